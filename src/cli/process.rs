//! The life of the process: signals, memory, the one line of an error, the exit code.

use std::io::Write;

use super::run;
use crate::io::message::{message, reader_is_gone};
use crate::io::{inputs, interrupt};

/// Memory that a tensor gives back stays with the process: each step takes as much again, and a page that went to the
/// system and came back has to be cleared first (a sixth of a probe of frames). Called before there are other threads.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn keep_freed_memory() {
    const LARGEST_OF_HEAP: libc::c_int = 32 << 20;
    // SAFETY: mallopt reads its two numbers and takes the allocator's lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_OF_HEAP);
        libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
/// As on Linux with glibc: nothing.
pub fn keep_freed_memory() {}

/// The whole program: what `main` of a binary calls. Never comes back: the destructors of libtorch take 70 ms and give back
/// what the end of the process gives back as well.
pub fn main() -> ! {
    keep_freed_memory();
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
