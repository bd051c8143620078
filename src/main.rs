//! `unbraid`: parses, calls the library, prints; one line on standard error and a non-zero exit when it fails.

use std::process::ExitCode;

use unbraid::io::message::{message, reader_is_gone};
use unbraid::io::{inputs, interrupt};

/// Memory that a tensor gives back stays with the process: each step takes as much again, and a page that went to the
/// system and came back has to be cleared first (a sixth of a probe of frames).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn keep_freed_memory() {
    const LARGEST_OF_HEAP: libc::c_int = 32 << 20;
    // SAFETY: mallopt reads its two numbers and is called before there are other threads.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_OF_HEAP);
        libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn keep_freed_memory() {}

fn main() -> ExitCode {
    keep_freed_memory();
    let run = || {
        interrupt::listen()?;
        inputs::remember();
        unbraid::cli::run()
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    if error.downcast_ref().is_some_and(reader_is_gone) {
        return ExitCode::SUCCESS;
    }
    message(format_args!("unbraid: {error:#}"));
    match error.downcast_ref() {
        // As a shell reports a process that the signal ended.
        Some(unbraid::Error::Interrupted { signal, .. }) => ExitCode::from(128 + *signal as u8),
        _ => ExitCode::FAILURE,
    }
}
