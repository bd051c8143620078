//! Lets the binary find libtorch where it was built against it: torch-sys tells its folder, we add an rpath, and tell it to
//! the build scripts of dependent crates, which add theirs.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The link of scripts/libtorch.sh; torch-sys itself is built anew only when LIBTORCH changes.
    println!("cargo:rerun-if-changed=.libtorch/lib/libtorch_cpu.so");
    println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    if let Some(lib) = std::env::var_os("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:libtorch_lib={}", lib.to_string_lossy());
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.to_string_lossy());
    }
}
