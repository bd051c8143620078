//! The life of the process: signals, memory, the one line of an error, the exit code.

use std::io::Write;

use super::run;
use crate::io::message::{message, reader_is_gone};
use crate::io::{inputs, interrupt};

/// The whole program: what `main` of a binary calls. Never comes back: the destructors of libtorch take 70 ms and give back
/// what the end of the process gives back as well.
pub fn main() -> ! {
    let run = || {
        interrupt::listen()?;
        inputs::remember();
        run()
    };
    let code = run().map_or_else(|error| exit_code(&error), |()| 0);
    let _ = std::io::stdout().flush();
    // SAFETY: everything that has to be written is: files are written by commands that have ended.
    unsafe { libc::_exit(code) }
}

/// Reports an error in one line; the exit code.
fn exit_code(error: &anyhow::Error) -> libc::c_int {
    if error.downcast_ref().is_some_and(reader_is_gone) {
        return 0;
    }
    message(format_args!("unbraid: {error:#}"));
    match error.downcast_ref() {
        // As a shell reports a process that the signal ended.
        Some(crate::Error::Interrupted { signal, .. }) => 128 + *signal,
        _ => 1,
    }
}
