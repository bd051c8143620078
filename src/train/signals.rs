//! SIGINT and SIGTERM as a wish to stop at the next step; a second one ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::error::{Error, Result};

/// Watches for the wish to stop.
#[derive(Debug)]
pub struct StopSignal(Arc<AtomicUsize>);

impl StopSignal {
    /// Begins to watch.
    ///
    /// # Errors
    /// [`Error::Io`] when the system does not let signals be caught.
    pub fn watch() -> Result<Self> {
        let received = Arc::new(AtomicUsize::new(0));
        let armed = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // The order matters: the shutdown has to see the flag as it was before this signal.
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, armed.clone())
                .and_then(|_| signal_hook::flag::register(signal, armed.clone()))
                .and_then(|_| {
                    signal_hook::flag::register_usize(signal, received.clone(), signal as usize)
                })
                .map_err(Error::io("signal handlers"))?;
        }
        Ok(Self(received))
    }

    /// The signal that came, if any.
    pub fn received(&self) -> Option<i32> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(signal as i32),
        }
    }
}
