//! `unbraid`: parses, calls the library, prints; one line on standard error and a non-zero exit when it fails.

use std::process::ExitCode;

fn main() -> ExitCode {
    match unbraid::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("unbraid: {error:#}");
            ExitCode::FAILURE
        }
    }
}
