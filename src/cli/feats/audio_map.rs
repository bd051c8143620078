//! Commands that make something of each utterance's audio: the arguments and the loop that they share.

use std::path::PathBuf;

use clap::Args;
use ndarray::Array2;

use crate::cli::arguments::ThreadArgs;
use crate::cli::failures::Failures;
use crate::cli::pipes::PipeLimit;
use crate::cli::progress::counter;
use crate::dataset::{RecordingOptions, Recordings, Segments, Table, UtteranceBlocks};
use crate::error::{Error, Result};
use crate::io::audio::{AudioOptions, FORMATS};
use crate::io::kaldi::{
    Compression, ReadFlags, ReadFrom, ReadSpecifier, RowSpool, TableWriter, WriteOptions,
};

/// What is read and written, and how audio is read.
#[derive(Debug, Args)]
pub struct AudioArgs {
    #[arg(value_name = "RSPECIFIER", help = format!("Recordings to read, as scp:data/x/wav.scp; formats: {FORMATS}"))]
    from: String,

    /// Archive to write, as ark,scp:out.ark,out.scp
    #[arg(value_name = "WSPECIFIER")]
    to: String,

    /// Cut the recordings into the utterances of this file
    #[arg(long, value_name = "FILE")]
    segments: Option<PathBuf>,

    /// Channel of files that have several, from 0
    #[arg(long, value_name = "N")]
    channel: Option<usize>,

    /// Resample recordings to this rate first
    #[arg(long, value_name = "HZ", value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    resample: Option<u32>,

    #[command(flatten)]
    threads: ThreadArgs,

    /// Compress the matrices, with loss, in the format that Kaldi chooses
    #[arg(long)]
    compress: bool,

    /// Run commands in wav.scp and WSPECIFIER ('command |' and '| command')
    #[arg(long)]
    allow_pipes: bool,

    #[command(flatten)]
    pipe_limit: PipeLimit,
}

impl AudioArgs {
    /// Writes what `work` makes of each utterance, which it gets block after block, so that a recording of hours takes
    /// no more memory than one of seconds. One that fails is reported and left out; the others are written.
    ///
    /// # Errors
    /// What is wrong with lists or the place to write to: then nothing is written. At the end the utterances that
    /// failed, but with `scp,p:`; without one that succeeded nothing is written either.
    pub fn map(
        &self,
        work: impl Fn(UtteranceBlocks) -> Result<RowSpool> + Sync,
    ) -> anyhow::Result<()> {
        let (recordings, permissive) = self.recordings()?;
        let options = WriteOptions {
            compression: self.compress.then_some(Compression::Auto),
            allow_pipes: self.allow_pipes,
        };
        let writer = TableWriter::create_with(&self.to, options)?;
        let threads = self.threads.pool()?;
        let failures = threads.install(|| self.write(&recordings, &work, writer))?;
        if permissive && failures.count() < recordings.utterances() {
            return Ok(());
        }
        failures.into_result(recordings.utterances(), "utterances")
    }

    /// The recordings, and whether the list has the option `p`.
    fn recordings(&self) -> anyhow::Result<(Recordings, bool)> {
        let ReadSpecifier { from, flags } = ReadSpecifier::parse(&self.from)?;
        let refuse = |found: &str| {
            let option = format!("'{}'", self.from);
            Error::option(option, "a list of audio files as scp:wav.scp", found)
        };
        let path = match &from {
            ReadFrom::Ark(_) => return Err(refuse("an archive").into()),
            ReadFrom::Scp(name) if name.ends_with('|') => return Err(refuse("a pipe").into()),
            ReadFrom::Scp(name) if name.is_empty() || name == "-" => "/dev/stdin",
            ReadFrom::Scp(name) => name,
        };
        let wav_scp = Table::read(path)?;
        check_order(&wav_scp, flags)?;
        let recordings = match &self.segments {
            Some(path) => Recordings::with_segments(&wav_scp, &Segments::read(path)?)?,
            None => Recordings::new(&wav_scp)?,
        };
        Ok((recordings, flags.permissive))
    }

    fn write(
        &self,
        recordings: &Recordings,
        work: &(impl Fn(UtteranceBlocks) -> Result<RowSpool> + Sync),
        mut writer: TableWriter<Array2<f32>>,
    ) -> anyhow::Result<Failures> {
        let options = RecordingOptions {
            audio: AudioOptions::with_choice(self.channel),
            resample_hz: self.resample,
            pipes: self.pipe_limit.pipes(self.allow_pipes),
        };
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

fn check_order(wav_scp: &Table, flags: ReadFlags) -> Result<()> {
    let mut pairs = wav_scp.entries().windows(2);
    match pairs.find(|pair| flags.sorted && pair[0].key > pair[1].key) {
        None => Ok(()),
        Some(pair) => {
            let expected = format!(
                "keys in byte order, as ',s' requires: one after '{}'",
                pair[0].key
            );
            let found = format!("'{}'", pair[1].key);
            Err(Error::line(wav_scp.path(), pair[1].line, expected, found))
        }
    }
}
