//! Lets the binary find libtorch where it was built against it: torch-sys tells its folder, we add an rpath, and tell it to
//! the build scripts of dependent crates, which add theirs. Compiles what is written in C++ over libtorch.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The link of scripts/libtorch.sh; torch-sys itself is built anew only when LIBTORCH changes.
    println!("cargo:rerun-if-changed=.libtorch/lib/libtorch_cpu.so");
    println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    if let Some(lib) = std::env::var_os("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:libtorch_lib={}", lib.to_string_lossy());
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.to_string_lossy());
        #[cfg(feature = "torch")]
        {
            compile_c10d(std::path::Path::new(&lib));
            compile_operators(std::path::Path::new(&lib));
        }
    }
}

/// Headers of Gloo are not among those of a PyTorch; the few names that c10d's headers use are in `gloo_stub`.
#[cfg(feature = "torch")]
fn compile_c10d(lib: &std::path::Path) {
    const FOLDER: &str = "src/train/ranks";
    println!("cargo:rerun-if-changed={FOLDER}/gloo_stub");
    over_libtorch(lib, &format!("{FOLDER}/c10d.cpp"))
        .define("USE_C10D_GLOO", None)
        .include(format!("{FOLDER}/gloo_stub"))
        .compile("unbraid_c10d");
}

/// Their loops are for the compiler to unroll, in every profile.
#[cfg(feature = "torch")]
fn compile_operators(lib: &std::path::Path) {
    println!("cargo:rerun-if-changed=src/nn/lanes.h");
    for name in ["norm_act", "attentive_pooling"] {
        over_libtorch(lib, &format!("src/nn/{name}.cpp"))
            .opt_level(3)
            .flag_if_supported("-Wno-psabi")
            .compile(&format!("unbraid_{name}"));
    }
}

/// A file in C++ that uses libtorch; `lib` has the headers beside it, as in a PyTorch.
#[cfg(feature = "torch")]
fn over_libtorch(lib: &std::path::Path, file: &str) -> cc::Build {
    println!("cargo:rerun-if-changed={file}");
    println!("cargo:rerun-if-env-changed=LIBTORCH_INCLUDE");
    let headers = match std::env::var_os("LIBTORCH_INCLUDE") {
        Some(folder) => std::path::PathBuf::from(folder),
        None => lib.with_file_name(""),
    };
    let mut build = cc::Build::new();
    (build.cpp(true).std("c++17").warnings(false))
        .define("_GLIBCXX_USE_CXX11_ABI", "1")
        .include(headers.join("include"))
        .include(headers.join("include/torch/csrc/api/include"))
        .file(file);
    build
}
