//! What commands share that run a recogniser over an archive and write lines.

use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use crate::cli::failures::Failures;
use crate::cli::progress::counter;
use crate::dataset::labels::Labels;
use crate::error::{Error, Result};
use crate::eval::asr::{Recognition, Scores};
use crate::io::atomic::AtomicFile;
use crate::io::message::output;
use crate::method::recogniser::Recogniser;
use crate::method::speech::{ModelInfo, load_recogniser};
use crate::nn::device::DeviceChoice;
use crate::train::experiment::Experiment;

/// A recogniser, what it hears and where the lines go.
#[derive(Debug, Args)]
pub(super) struct RecognitionArgs {
    /// The features, as scp:FILE or ark:FILE
    #[arg(value_name = "RSPEC")]
    feats: String,

    /// Folder of the recogniser
    #[arg(long, value_name = "DIR")]
    exp: PathBuf,

    /// Which checkpoint: last, best or step_000123
    #[arg(long, default_value = "last")]
    checkpoint: String,

    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Where tensors live
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
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
        let experiment = Experiment::open(&self.exp)?;
        let device = self.device.resolve()?;
        let (recogniser, labels, info) = load_recogniser(&experiment, &self.checkpoint, device)?;
        Ok(Loaded {
            recogniser,
            labels,
            info,
        })
    }

    /// Writes what `read` makes of the scores of every utterance, lines that end. One that cannot be read is told in a line,
    /// and the others go on.
    ///
    /// # Errors
    /// What the library says; and when utterances failed.
    pub(super) fn write_each(
        &self,
        loaded: &Loaded,
        read: impl Fn(&str, &Scores) -> Result<String> + Sync,
    ) -> anyhow::Result<()> {
        let recognition = Recognition {
            recogniser: &loaded.recogniser,
            info: &loaded.info,
            device: self.device.resolve()?,
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
