//! The pitch of a data directory's utterances: `pitch.scp`, as `unbraid feats pitch` writes it.

use std::path::Path;

use ndarray::Array2;

use crate::error::Result;
use crate::io::kaldi::ScpTable;
use crate::signal::pitch::F0Contour;

/// Correlation and pitch in Hz, `[frames, 2]`, read when needed.
#[derive(Debug)]
pub struct Pitch(ScpTable<Array2<f32>>);

impl Pitch {
    /// Opens the `pitch.scp` of the data directory `dir`.
    ///
    /// # Errors
    /// As [`ScpTable::open`].
    pub fn open(dir: &Path) -> Result<Self> {
        ScpTable::open(dir.join("pitch.scp")).map(Self)
    }

    /// Refuses an utterance that has no pitch for so many frames, by its header.
    ///
    /// # Errors
    /// As [`Pitch::contour`].
    pub fn check(&self, id: &str, frames: usize) -> Result<()> {
        let found = self.0.read_shape(id)?;
        F0Contour::check_shape(found, frames).map_err(|error| error.at_key(self.0.path(), id))
    }

    /// The contour of an utterance whose features have so many frames.
    ///
    /// # Errors
    /// As [`ScpTable::get`]; [`crate::Error::Key`] for what [`F0Contour::of_frames`] refuses.
    pub fn contour(&self, id: &str, frames: usize) -> Result<F0Contour> {
        let pitch = self.0.get(id)?;
        F0Contour::of_frames(pitch.view(), frames).map_err(|error| error.at_key(self.0.path(), id))
    }
}
