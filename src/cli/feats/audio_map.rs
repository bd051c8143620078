//! Commands that make something of each utterance's audio: the arguments and the loop that they share.

use clap::Args;
use ndarray::Array2;

use crate::cli::arguments::ThreadArgs;
use crate::cli::failures::Failures;
use crate::cli::progress::counter;
use crate::cli::recordings::RecordingArgs;
use crate::dataset::{Recordings, UtteranceBlocks};
use crate::error::{Error, Result};
use crate::io::audio::FORMATS;
use crate::io::kaldi::{Compression, RowSpool, TableWriter, WriteOptions};

/// What is read and written, and how audio is read.
#[derive(Debug, Args)]
pub(super) struct AudioArgs {
    #[arg(value_name = "RSPECIFIER", help = format!("Recordings to read, as scp:data/x/wav.scp; formats: {FORMATS}"))]
    from: String,

    /// Archive to write, as ark,scp:out.ark,out.scp
    #[arg(value_name = "WSPECIFIER")]
    to: String,

    #[command(flatten)]
    recordings: RecordingArgs,

    #[command(flatten)]
    threads: ThreadArgs,

    /// Compress the matrices, with loss, in the format that Kaldi chooses
    #[arg(long)]
    compress: bool,
}

impl AudioArgs {
    /// Writes what `work` makes of each utterance, which it gets block after block, so that a recording of hours takes
    /// no more memory than one of seconds. One that fails is reported and left out; the others are written.
    ///
    /// # Errors
    /// What is wrong with lists or the place to write to: then nothing is written. At the end the utterances that
    /// failed, but with `scp,p:`; without one that succeeded nothing is written either.
    pub(super) fn map(
        &self,
        work: impl Fn(UtteranceBlocks) -> Result<RowSpool> + Sync,
    ) -> anyhow::Result<()> {
        let (recordings, permissive) = self.recordings.open(&self.from)?;
        let options = WriteOptions {
            compression: self.compress.then_some(Compression::Auto),
            allow_pipes: self.recordings.pipes.allow_pipes,
        };
        let writer = TableWriter::create_with(&self.to, options)?;
        let threads = self.threads.pool()?;
        let failures = threads.install(|| self.write(&recordings, &work, writer))?;
        if permissive && failures.count() < recordings.utterances() {
            return Ok(());
        }
        failures.into_result(recordings.utterances(), "utterances")
    }

    fn write(
        &self,
        recordings: &Recordings,
        work: &(impl Fn(UtteranceBlocks) -> Result<RowSpool> + Sync),
        mut writer: TableWriter<Array2<f32>>,
    ) -> anyhow::Result<Failures> {
        let options = self.recordings.options(None);
        let progress = counter("utterances");
        let mut failures = Failures::default();
        let rows_of = |blocks: UtteranceBlocks| {
            let mut rows = work(blocks)?;
            rows.settle()?;
            Ok(rows)
        };
        recordings.for_each_stream(&options, rows_of, |utterance, rows| {
            progress.inc(1);
            match rows {
                Ok(rows) => writer.write_rows(utterance, rows)?,
                Err(error) => failures.add(utterance, &error, &progress),
            }
            Ok::<(), Error>(())
        })?;
        progress.finish_and_clear();
        if failures.count() < recordings.utterances() {
            writer.finish()?;
        }
        Ok(failures)
    }
}
