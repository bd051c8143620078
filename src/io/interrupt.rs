//! SIGHUP, SIGINT and SIGTERM: unfinished files are removed and the process ends by the signal. While a [`StopSignal`]
//! exists, the first signal only requests a stop at the next step, and a second one ends the process.

use std::io;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use super::scratch;
use crate::error::{Error, Result};

/// Whether the first signal only requests a stop.
static WATCHED: AtomicBool = AtomicBool::new(false);
/// The received signal, or 0.
static RECEIVED: AtomicI32 = AtomicI32::new(0);

/// Installs the removal of unfinished files when a signal ends this process. Signals that the caller ignores, as under
/// `nohup`, stay ignored.
///
/// # Errors
/// [`Error::Io`] when the system does not let signals be caught.
pub fn listen() -> Result<()> {
    static LISTENING: Mutex<bool> = Mutex::new(false);
    let mut listening = LISTENING.lock().unwrap_or_else(PoisonError::into_inner);
    if !*listening {
        start().map_err(Error::io("signal handlers"))?;
        *listening = true;
    }
    Ok(())
}

fn start() -> io::Result<()> {
    let handled = [SIGHUP, SIGINT, SIGTERM]
        .into_iter()
        .filter(|&signal| !is_ignored(signal));
    let mut signals = Signals::new(handled)?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || signals.forever().for_each(receive))
        .map(drop)
}

fn receive(signal: i32) {
    let first = RECEIVED.swap(signal, Ordering::Relaxed) == 0;
    if first && WATCHED.load(Ordering::Relaxed) {
        return;
    }
    scratch::remove_all();
    // It fails for signals that have no default handler, which these have.
    let _ = emulate_default_handler(signal);
}

fn is_ignored(signal: i32) -> bool {
    // SAFETY: without a new action, sigaction only fills in the old one, for which all zeros are a valid value.
    unsafe {
        let mut old: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut old) == 0
            && old.sa_sigaction == libc::SIG_IGN
    }
}

/// Waits for a request to stop.
#[derive(Debug)]
pub struct StopSignal(());

impl StopSignal {
    /// Starts to wait.
    ///
    /// # Errors
    /// As [`listen`].
    pub fn watch() -> Result<Self> {
        listen()?;
        WATCHED.store(true, Ordering::Relaxed);
        Ok(Self(()))
    }

    /// The received signal, if any.
    pub fn received(&self) -> Option<i32> {
        match RECEIVED.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(signal),
        }
    }
}

impl Drop for StopSignal {
    fn drop(&mut self) {
        WATCHED.store(false, Ordering::Relaxed);
    }
}
