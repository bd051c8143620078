//! What commands share that run a recogniser over an archive and write lines.

use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use crate::cli::failures::Failures;
use crate::cli::models::ModelArgs;
use crate::cli::progress::counter;
use crate::dataset::labels::Labels;
use crate::error::{Error, Result};
use crate::eval::asr::{Recognition, Scores};
use crate::io::atomic::AtomicFile;
use crate::io::message::output;
use crate::method::recogniser::Recogniser;
use crate::method::speech::{ModelInfo, load_recogniser};

/// A recogniser, its input and its output.
#[derive(Debug, Args)]
pub(super) struct RecognitionArgs {
    /// Features to read, as scp:FILE or ark:FILE
    #[arg(value_name = "RSPECIFIER")]
    feats: String,

    #[command(flatten)]
    model: ModelArgs,

    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// A recogniser that is loaded.
pub(super) struct Loaded {
    /// The recogniser.
    pub(super) recogniser: Recogniser,
    /// What its strings are made of.
    pub(super) labels: Labels,
    /// How it sees features, and the names of its labels.
    pub(super) info: ModelInfo,
}

impl RecognitionArgs {
    pub(super) fn load(&self) -> Result<Loaded> {
        let (device, experiment) = self.model.open()?;
        let (recogniser, labels, info) =
            load_recogniser(&experiment, &self.model.checkpoint.checkpoint, device)?;
        Ok(Loaded {
            recogniser,
            labels,
            info,
        })
    }

    /// Writes the lines that `read` makes of the scores of every utterance. An utterance that fails is reported and left out;
    /// the others are written.
    ///
    /// # Errors
    /// Errors of the library; and when utterances failed.
    pub(super) fn write_each(
        &self,
        loaded: &Loaded,
        read: impl Fn(&str, &Scores) -> Result<String> + Sync,
    ) -> anyhow::Result<()> {
        let recognition = Recognition {
            recogniser: &loaded.recogniser,
            info: &loaded.info,
            device: self.model.device.device.resolve()?,
        };
        let mut file = AtomicFile::create(&self.out)?;
        let progress = counter("utterances");
        let failed = recognition.each(&self.feats, read, |_, lines| {
            progress.inc(1);
            file.write_all(lines.as_bytes())
                .map_err(|e| Error::io(file.path())(e))
        })?;
        let written = progress.position();
        progress.finish_and_clear();
        let failures = Failures::of(&failed, &self.feats);
        if written == 0 {
            bail!(
                "{}: expected utterances that can be read, found none",
                self.feats
            );
        }
        file.commit()?;
        failures.into_result(failed.len() + written as usize, "utterances")?;
        output(format_args!(
            "{}: {written} utterances\n",
            self.out.display()
        ))?;
        Ok(())
    }
}
