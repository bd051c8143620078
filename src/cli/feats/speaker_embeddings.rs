//! The speaker embedding of each utterance, for commands that read features beside them.

use std::path::PathBuf;

use clap::Args;
use ndarray::{ArrayView1, Axis};

use crate::dataset::Table;
use crate::error::{Error, Result};
use crate::eval::backend::Embeddings;

/// Where embeddings are.
#[derive(Debug, Args)]
pub(super) struct SpeakerArgs {
    /// Speaker embeddings, one vector per utterance, or per speaker with --utt2spk
    #[arg(long, value_name = "RSPECIFIER")]
    embeddings: String,

    /// Speaker of each utterance, for embeddings per speaker
    #[arg(long, value_name = "FILE")]
    utt2spk: Option<PathBuf>,
}

/// Embeddings by utterance.
pub(super) struct SpeakerEmbeddings {
    embeddings: Embeddings,
    speaker_of: Option<Table>,
}

impl SpeakerArgs {
    /// Reads them.
    ///
    /// # Errors
    /// As [`Embeddings::read`] and [`Table::read`].
    pub(super) fn read(&self) -> Result<SpeakerEmbeddings> {
        Ok(SpeakerEmbeddings {
            embeddings: Embeddings::read(&self.embeddings)?,
            speaker_of: self.utt2spk.as_ref().map(Table::read).transpose()?,
        })
    }
}

impl SpeakerEmbeddings {
    /// Values per embedding.
    pub(super) fn dim(&self) -> usize {
        self.embeddings.dims()
    }

    /// That of an utterance.
    ///
    /// # Errors
    /// [`Error::Key`] for an utterance without a speaker or an embedding.
    pub(super) fn of(&self, utterance: &str) -> Result<ArrayView1<'_, f32>> {
        let key = match &self.speaker_of {
            None => utterance,
            Some(table) => table.get(utterance).ok_or_else(|| {
                Error::key(table.path(), utterance, "a line with its speaker", "none")
            })?,
        };
        let found = self.embeddings.position(key);
        let row = found.map(|place| self.embeddings.vectors().index_axis_move(Axis(0), place));
        row.ok_or_else(|| {
            Error::key(
                self.embeddings.source(),
                key,
                "an embedding of this key",
                "none",
            )
        })
    }
}
