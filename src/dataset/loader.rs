//! Batches prepared in advance by a background thread, in order.

use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

use crate::error::Result;

/// The least number of batches prepared in advance.
const AHEAD: usize = 4;

/// An endless iterator over `make(first)`, `make(first + 1)`, ..., computed in a background thread. It ends after the
/// first error. Dropping the loader waits for the thread, which may take as long as a batch: the thread creates
/// tensors, and libtorch is unloaded when `main` returns.
#[derive(Debug)]
pub struct Loader<B> {
    /// None while it is dropped, which ends the thread.
    ready: Option<Receiver<Result<B>>>,
    thread: Option<JoinHandle<()>>,
}

impl<B: Send + 'static> Loader<B> {
    /// Starts with batch number `first`, for a reader that takes `at_once` batches without a pause.
    pub fn spawn(
        first: u64,
        at_once: usize,
        mut make: impl FnMut(u64) -> Result<B> + Send + 'static,
    ) -> Self {
        let (sender, ready) = sync_channel(at_once.max(AHEAD));
        let thread = thread::spawn(move || {
            for number in first.. {
                let batch = make(number);
                let failed = batch.is_err();
                if sender.send(batch).is_err() || failed {
                    return;
                }
            }
        });
        Self {
            ready: Some(ready),
            thread: Some(thread),
        }
    }
}

impl<B> Drop for Loader<B> {
    fn drop(&mut self) {
        self.ready = None;
        // The panic's message has been printed already.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl<B> Iterator for Loader<B> {
    type Item = Result<B>;
    fn next(&mut self) -> Option<Self::Item> {
        let next = self.ready.as_ref()?.recv().ok();
        if next.is_none()
            && let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
        {
            resume_unwind(panic);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    #[test]
    fn the_thread_ends_with_the_loader() {
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        let mut loader = Loader::spawn(0, 1, move |n| {
            if n > 0 {
                // A slow disk.
                thread::sleep(Duration::from_millis(200));
                ended.store(true, Ordering::SeqCst);
            }
            Ok(n)
        });
        assert_eq!(loader.next().unwrap().unwrap(), 0);
        drop(loader);
        assert!(over.load(Ordering::SeqCst));
    }

    #[test]
    #[should_panic = "no such batch"]
    fn a_panic_of_the_thread_is_passed_on() {
        let mut loader = Loader::<u64>::spawn(0, 1, |_| panic!("no such batch"));
        loader.next();
    }

    #[test]
    fn batches_come_in_order_and_errors_end_them() {
        let made: Vec<_> = Loader::spawn(5, 1, |n| match n {
            9 => Err(Error::option("n", "less than 9", "9")),
            n => Ok(n),
        })
        .collect();
        let numbers: Vec<u64> = made
            .iter()
            .filter_map(|b| b.as_ref().ok().copied())
            .collect();
        assert_eq!((numbers, made.len()), (vec![5, 6, 7, 8], 5));
    }
}
