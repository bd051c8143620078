//! Lets the binary find libtorch where it was built against it: torch-sys tells its folder, we add an rpath, and tell it to
//! the build scripts of dependent crates, which add theirs. Compiles what is called of libtorch's c10d.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The link of scripts/libtorch.sh; torch-sys itself is built anew only when LIBTORCH changes.
    println!("cargo:rerun-if-changed=.libtorch/lib/libtorch_cpu.so");
    println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    if let Some(lib) = std::env::var_os("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:libtorch_lib={}", lib.to_string_lossy());
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.to_string_lossy());
        #[cfg(feature = "torch")]
        compile_c10d(std::path::Path::new(&lib));
    }
}

/// `lib` has the headers beside it, as in a PyTorch. Those of Gloo are not among them; the few names that c10d's headers use
/// are in `gloo_stub`.
#[cfg(feature = "torch")]
fn compile_c10d(lib: &std::path::Path) {
    const FOLDER: &str = "src/train/ranks";
    println!("cargo:rerun-if-changed={FOLDER}/c10d.cpp");
    println!("cargo:rerun-if-changed={FOLDER}/gloo_stub");
    println!("cargo:rerun-if-env-changed=LIBTORCH_INCLUDE");
    let headers = match std::env::var_os("LIBTORCH_INCLUDE") {
        Some(folder) => std::path::PathBuf::from(folder),
        None => lib.with_file_name(""),
    };
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .warnings(false)
        .define("USE_C10D_GLOO", None)
        .define("_GLIBCXX_USE_CXX11_ABI", "1")
        .include(format!("{FOLDER}/gloo_stub"))
        .include(headers.join("include"))
        .include(headers.join("include/torch/csrc/api/include"))
        .file(format!("{FOLDER}/c10d.cpp"))
        .compile("unbraid_c10d");
}
