//! Batches made ahead of time by a background thread, in order.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use crate::error::Result;

/// Batches ready before they are asked for.
const AHEAD: usize = 4;

/// An endless iterator over `make(first)`, `make(first + 1)`, ..., each made in a background thread. It ends
/// after the first error, and when it is dropped the thread ends too.
#[derive(Debug)]
pub struct Loader<B> {
    ready: Receiver<Result<B>>,
}

impl<B: Send + 'static> Loader<B> {
    /// Starts to make batches from number `first` on.
    pub fn spawn(first: u64, mut make: impl FnMut(u64) -> Result<B> + Send + 'static) -> Self {
        let (sender, ready) = sync_channel(AHEAD);
        thread::spawn(move || {
            for number in first.. {
                let batch = make(number);
                let failed = batch.is_err();
                if sender.send(batch).is_err() || failed {
                    return;
                }
            }
        });
        Self { ready }
    }
}

impl<B> Iterator for Loader<B> {
    type Item = Result<B>;
    fn next(&mut self) -> Option<Self::Item> {
        self.ready.recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn batches_come_in_order_and_errors_end_them() {
        let made: Vec<_> = Loader::spawn(5, |n| match n {
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
