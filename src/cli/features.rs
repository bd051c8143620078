//! Audio to features: what the commands `fbank`, `mfcc`, `spectrogram`, `mel` and `whisper` share.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use ndarray::Array2;

use super::failures::Failures;
use super::progress::counter;
use super::vtln::{VtlnArgs, Warps};
use crate::dataset::{RecordingOptions, Recordings, Segments, Table};
use crate::error::{Error, Result};
use crate::io::audio::{AudioOptions, Waveform};
use crate::io::config::with_setting;
use crate::io::kaldi::{
    Compression, ReadFlags, ReadFrom, ReadSpecifier, TableWriter, WriteOptions,
};
use crate::signal::{FrontEnd, FrontEndKind, FrontEndOptions, Preset};

/// What the commands of front-ends share.
#[derive(Debug, Args)]
pub struct FeatureArgs {
    /// What to read, as scp:data/x/wav.scp
    #[arg(value_name = "RSPEC")]
    from: String,

    /// Where to write to, as ark,scp:feats.ark,feats.scp
    #[arg(value_name = "WSPEC")]
    to: String,

    /// Options of the front-end, in TOML; the original's defaults without
    #[arg(long, value_name = "FILE")]
    conf: Option<PathBuf>,

    /// One option instead of the file's; may be given many times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,

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
}

/// Options of Kaldi's front-ends alone.
#[derive(Debug, Default, Args)]
pub struct KaldiArgs {
    /// Defaults for options left out: torchaudio for those of torchaudio.compliance.kaldi
    #[arg(long, value_name = "NAME")]
    preset: Option<PresetName>,
}

/// Names of presets on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum PresetName {
    Torchaudio,
}

impl From<PresetName> for Preset {
    fn from(name: PresetName) -> Self {
        match name {
            PresetName::Torchaudio => Self::Torchaudio,
        }
    }
}

/// Reads, computes, writes.
///
/// # Errors
/// What is wrong with configuration, lists or the place to write to; and at the end the utterances that
/// failed. Without one that succeeded nothing is written.
pub fn run(
    kind: FrontEndKind,
    args: &FeatureArgs,
    kaldi: &KaldiArgs,
    vtln: &VtlnArgs,
) -> anyhow::Result<()> {
    let options = options(kind, args, kaldi)?;
    let place = || args.conf.as_ref().map(|conf| conf.display().to_string());
    let front_end = FrontEnd::new(options.clone());
    let front_end = match place() {
        Some(conf) => front_end.context(conf)?,
        None => front_end?,
    };
    let warps = Warps::read(vtln, &options)?;
    let (recordings, permissive) = recordings(args)?;
    let write_options = WriteOptions {
        compression: args.compress.then_some(Compression::Auto),
        allow_pipes: args.allow_pipes,
    };
    let writer = TableWriter::create_with(&args.to, write_options)?;
    let threads = rayon::ThreadPoolBuilder::new()
        .num_threads(args.threads.map_or(0, usize::from))
        .build()
        .context("cannot start threads")?;
    let compute = |utterance: &str, waveform: &Waveform| match &warps {
        None => front_end.compute_waveform(waveform),
        Some(warps) => warps.of(utterance)?.compute_waveform(waveform),
    };
    let failures = threads.install(|| write(args, &recordings, compute, writer))?;
    if permissive && failures.count() < recordings.utterances() {
        return Ok(());
    }
    failures.into_result(recordings.utterances(), "utterances")
}

fn options(
    kind: FrontEndKind,
    args: &FeatureArgs,
    kaldi: &KaldiArgs,
) -> anyhow::Result<FrontEndOptions> {
    let preset = kaldi.preset.map(Preset::from);
    let mut options = match (&args.conf, preset) {
        (Some(conf), preset) => FrontEndOptions::read_as(conf, kind, preset)?,
        (None, Some(preset)) => kind.preset(preset)?,
        (None, None) => kind.defaults(),
    };
    for setting in &args.settings {
        options = with_setting(&options, setting)?;
    }
    Ok(options)
}

/// The recordings, and whether the list says `p`.
fn recordings(args: &FeatureArgs) -> anyhow::Result<(Recordings, bool)> {
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

fn write(
    args: &FeatureArgs,
    recordings: &Recordings,
    compute: impl Fn(&str, &Waveform) -> Result<Array2<f32>> + Sync,
    mut writer: TableWriter<Array2<f32>>,
) -> anyhow::Result<Failures> {
    let options = RecordingOptions {
        audio: AudioOptions {
            channel: args.channel,
        },
        resample_hz: args.resample,
        allow_pipes: args.allow_pipes,
    };
    let progress = counter("utterances");
    let mut failures = Failures::default();
    recordings.for_each_named(
        &options,
        |utterance, waveform| compute(utterance, &waveform),
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
