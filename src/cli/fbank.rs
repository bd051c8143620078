//! `unbraid fbank`: audio to log mel filter banks.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use ndarray::Array2;

use super::failures::Failures;
use super::pipes::PipeLimit;
use super::progress::counter;
use crate::dataset::{RecordingOptions, Recordings, Segments, Table};
use crate::error::Error;
use crate::io::audio::AudioOptions;
use crate::io::config::read_toml;
use crate::io::kaldi::{
    Compression, ReadFlags, ReadFrom, ReadSpecifier, TableWriter, WriteOptions,
};
use crate::signal::{FbankComputer, FbankOptions};

/// Computes Kaldi's log mel filter banks from audio.
///
/// The audio may be of any kind that the README names. An utterance that fails is named and left out, the others
/// are written, and the command fails at the end; with scp,p: it succeeds.
#[derive(Debug, Args)]
#[command(after_help = "\
RSPEC is scp:wav.scp, lines of an utterance and a file or, with --allow-pipes,
'command |'. WSPEC is as in copy-feats. The configuration is TOML with Kaldi's
option names, as

  sample_frequency = 16000.0
  num_mel_bins = 40
  dither = 0.0

Options left out have Kaldi's defaults: 23 bins, 25 ms every 10 ms, dither 1.0.
Dither is drawn from `seed`, so that features repeat.

Examples:
  unbraid fbank scp:data/mini/train/wav.scp ark,scp:fbank.ark,feats.scp
  unbraid fbank --conf conf/fbank.toml --segments data/x/segments \\
    --resample 16000 scp:data/x/wav.scp ark,scp:fbank.ark,feats.scp")]
pub struct FbankArgs {
    /// What to read, as scp:data/x/wav.scp
    #[arg(value_name = "RSPEC")]
    from: String,

    /// Where to write to, as ark,scp:fbank.ark,feats.scp
    #[arg(value_name = "WSPEC")]
    to: String,

    /// Options of the filter banks; Kaldi's defaults without
    #[arg(long, value_name = "FILE")]
    conf: Option<PathBuf>,

    /// Cut the recordings of wav.scp into these utterances
    #[arg(long, value_name = "FILE")]
    segments: Option<PathBuf>,

    /// The channel to take of files that have several, from 0
    #[arg(long, value_name = "N")]
    channel: Option<usize>,

    /// Bring all audio to this sample rate first
    #[arg(long, value_name = "HZ", value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    resample: Option<u32>,

    /// Threads; all cores without
    #[arg(long, visible_alias = "nj", value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,

    /// Write the features compressed, by Kaldi's own choice of form, with loss
    #[arg(long)]
    compress: bool,

    /// Run the commands that wav.scp and WSPEC name as 'command |' and '| command'
    #[arg(long)]
    allow_pipes: bool,

    #[command(flatten)]
    pipe_limit: PipeLimit,
}

/// Runs the command.
///
/// # Errors
/// What is wrong with configuration, lists or the place to write to; and at the end the utterances that
/// failed. Without one that succeeded nothing is written.
pub fn run(args: FbankArgs) -> anyhow::Result<()> {
    let computer = computer(args.conf.as_deref())?;
    let (recordings, permissive) = recordings(&args)?;
    let options = WriteOptions {
        compression: args.compress.then_some(Compression::Auto),
        allow_pipes: args.allow_pipes,
    };
    let writer = TableWriter::create_with(&args.to, options)?;
    let threads = rayon::ThreadPoolBuilder::new()
        .num_threads(args.threads.map_or(0, usize::from))
        .build()
        .context("cannot start threads")?;
    let failures = threads.install(|| compute(&args, &recordings, &computer, writer))?;
    if permissive && failures.count() < recordings.utterances() {
        return Ok(());
    }
    failures.into_result(recordings.utterances(), "utterances")
}

fn computer(conf: Option<&Path>) -> anyhow::Result<FbankComputer> {
    let Some(conf) = conf else {
        return Ok(FbankComputer::new(&FbankOptions::default())?);
    };
    FbankComputer::new(&read_toml(conf)?).with_context(|| conf.display().to_string())
}

/// The recordings, and whether the list says `p`.
fn recordings(args: &FbankArgs) -> anyhow::Result<(Recordings, bool)> {
    let ReadSpecifier { from, flags } = ReadSpecifier::parse(&args.from)?;
    let refuse = |found: &str| {
        let option = format!("'{}'", args.from);
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
    let recordings = match &args.segments {
        Some(path) => Recordings::with_segments(&wav_scp, &Segments::read(path)?)?,
        None => Recordings::new(&wav_scp)?,
    };
    Ok((recordings, flags.permissive))
}

fn check_order(wav_scp: &Table, flags: ReadFlags) -> Result<(), Error> {
    let mut pairs = wav_scp.entries().windows(2);
    match pairs.find(|pair| flags.sorted && pair[0].key > pair[1].key) {
        None => Ok(()),
        Some(pair) => {
            let expected = format!(
                "keys in byte order, as ',s' says: one after '{}'",
                pair[0].key
            );
            let found = format!("'{}'", pair[1].key);
            Err(Error::line(wav_scp.path(), pair[1].line, expected, found))
        }
    }
}

fn compute(
    args: &FbankArgs,
    recordings: &Recordings,
    computer: &FbankComputer,
    mut writer: TableWriter<Array2<f32>>,
) -> anyhow::Result<Failures> {
    let options = RecordingOptions {
        audio: AudioOptions {
            channel: args.channel,
        },
        resample_hz: args.resample,
        pipes: args.pipe_limit.pipes(args.allow_pipes),
    };
    let progress = counter("utterances");
    let mut failures = Failures::default();
    recordings.for_each(
        &options,
        |waveform| computer.compute_waveform(&waveform),
        |utterance, feats| {
            progress.inc(1);
            match feats {
                Ok(feats) => writer.write(utterance, &feats)?,
                Err(error) => failures.add(utterance, error, &progress),
            }
            Ok::<(), Error>(())
        },
    )?;
    progress.finish_and_clear();
    if failures.count() < recordings.utterances() {
        writer.finish()?;
    }
    Ok(failures)
}
