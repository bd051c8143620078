//! `unbraid-networks`: all commands, also those that need networks. `unbraid` runs it where it was built without them.

#[cfg(feature = "jemalloc")]
unbraid::tensor_memory!();

fn main() {
    unbraid::cli::main()
}
