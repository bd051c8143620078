//! `unbraid`: parses, calls the library, prints; one line on standard error and a non-zero exit when it fails.

use std::process::ExitCode;

fn main() -> ExitCode {
    match unbraid::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("unbraid: {error:#}");
            match error.downcast_ref() {
                // As a shell reports a process that the signal ended.
                Some(unbraid::Error::Interrupted { signal, .. }) => {
                    ExitCode::from(128 + *signal as u8)
                }
                _ => ExitCode::FAILURE,
            }
        }
    }
}
