//! `unbraid`: parses, calls the library, prints; one line on standard error and a non-zero exit when it fails.

#[cfg(feature = "jemalloc")]
unbraid::tensor_memory!();

fn main() {
    unbraid::cli::main()
}
