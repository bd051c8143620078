//! Lets the program find libtorch at run time, without LD_LIBRARY_PATH.

fn main() {
    if let Some(lib) = std::env::var_os("DEP_UNBRAID_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.to_string_lossy());
    }
}
