//! What front-ends that are networks share: their sizes and their checksum.

use std::path::Path;

use crate::error::{Error, Result};

/// The sizes of a front-end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Of the audio, in Hz.
    pub rate_hz: f64,
    /// Samples from one frame to the next.
    pub frame_shift: usize,
    /// The fewest samples that give a frame.
    pub frame_length: usize,
    /// Values per frame.
    pub dim: usize,
}

impl Shape {
    /// Frames of so many samples.
    pub(super) fn frames(&self, samples: usize) -> usize {
        match samples.checked_sub(self.frame_length) {
            Some(rest) if samples > 0 => rest / self.frame_shift + 1,
            _ => 0,
        }
    }
}

/// Refuses a network of another checksum than was recorded for it.
pub(super) fn check_checksum(recorded: Option<&String>, own: &str, place: &Path) -> Result<()> {
    match recorded {
        Some(recorded) if recorded != own => {
            let expected = format!("\"{recorded}\", the checksum of the network that was recorded");
            Err(Error::key(
                place,
                "checksum",
                expected,
                format!("\"{own}\""),
            ))
        }
        _ => Ok(()),
    }
}
