//! `unbraid-networks`: all commands, also those that need networks. `unbraid` runs it where it was built without them.

fn main() {
    unbraid::cli::main()
}
