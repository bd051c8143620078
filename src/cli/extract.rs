//! `unbraid extract`: strands out of a trained experiment.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use super::pipes::PipeLimit;
use super::progress::counter;
use crate::dataset::Table;
use crate::dataset::recordings::{RecordingOptions, Recordings};
use crate::eval::extract::{Extraction, Pool, Route, Speakers, Strand};
use crate::io::kaldi::{ReadFrom, ReadSpecifier, TableReader};
use crate::method::speech::load;
use crate::nn::device::DeviceChoice;
use crate::signal::{FrontEnd, FrontEndOptions};
use crate::train::experiment::Experiment;

/// Take a strand out of speech with a trained experiment, as Kaldi archives.
///
/// Phonetic codes are one matrix an utterance, speaker embeddings one vector of length 1. An utterance that
/// cannot be extracted is told in a line, the others go on, and the exit code is 1.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  unbraid extract --exp exp/default --strand phonetic scp:data/test/feats.scp ark,scp:z.ark,z.scp
  unbraid extract --exp exp/default --strand phonetic --wav scp:data/test/wav.scp ark,scp:z.ark,z.scp
  unbraid extract --exp exp/default --strand speaker --pool speaker --utt2spk data/test/utt2spk \\
    scp:data/test/feats.scp ark,scp:spk.ark,spk.scp")]
pub struct ExtractArgs {
    /// Folder of the experiment.
    #[arg(long, value_name = "DIR")]
    exp: PathBuf,
    /// What to take out.
    #[arg(long)]
    strand: Strand,
    /// Over what to average.
    #[arg(long, default_value = "none")]
    pool: Pool,
    /// Speakers of the utterances, for --pool speaker.
    #[arg(long, value_name = "FILE", required_if_eq("pool", "speaker"))]
    utt2spk: Option<PathBuf>,
    /// Which checkpoint: last, best or step_000123.
    #[arg(long, default_value = "last")]
    checkpoint: String,
    /// Take up what a killed extraction to the same place left.
    #[arg(long)]
    resume: bool,
    /// Read audio (scp:wav.scp) instead of features, through the front-end that training named (data.front_end).
    #[arg(long)]
    wav: bool,
    /// With --wav, run the commands that wav.scp names as 'command |'.
    #[arg(long, requires = "wav")]
    allow_pipes: bool,
    #[command(flatten)]
    pipe_limit: PipeLimit,
    /// Where tensors live.
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// Features to read, as scp:FILE or ark:FILE.
    #[arg(value_name = "RSPEC")]
    source: String,
    /// Where to write, as ark,scp:FILE,FILE or ark:FILE.
    #[arg(value_name = "WSPEC")]
    target: String,
}

/// Runs the command.
///
/// # Errors
/// What the library says; and when utterances failed.
pub fn run(args: ExtractArgs) -> anyhow::Result<()> {
    if args.utt2spk.is_some() && args.pool != Pool::Speaker {
        bail!("--utt2spk: expected --pool speaker beside it, found another pool");
    }
    let experiment = Experiment::open(&args.exp)?;
    let device = args.device.resolve()?;
    let (model, settled) = load(&experiment, &args.checkpoint, device)?;
    let speakers = match &args.utt2spk {
        None => None,
        Some(path) => Some(Speakers::read(path)?),
    };
    let extraction = Extraction {
        model: model.as_ref(),
        view: &settled.view,
        device,
        strand: args.strand,
        pool: args.pool,
    };
    let route = Route {
        checkpoint: &experiment.checkpoint(&args.checkpoint)?,
        source: &args.source,
        target: &args.target,
        speakers: speakers.as_ref(),
        resume: args.resume,
    };
    let mut session = extraction.start(route)?;
    let progress = counter("utterances");
    let mut take = |entry| {
        progress.inc(1);
        session.take(entry)
    };
    if args.wav {
        let front_end = FrontEnd::new(FrontEndOptions::read(args.exp.join("front_end.toml"))?)?;
        let options = RecordingOptions {
            pipes: args.pipe_limit.pipes(args.allow_pipes),
            ..RecordingOptions::default()
        };
        let recordings = Recordings::new(&Table::read(wav_scp(&args.source)?)?)?;
        recordings.for_each(
            &options,
            |waveform| front_end.compute_waveform(&waveform),
            |utterance, feats| take(feats.map(|feats| (utterance.to_string(), feats))),
        )?;
    } else {
        TableReader::open(&args.source)?.try_for_each(take)?;
    }
    progress.finish_and_clear();
    let result = session.finish()?;
    for line in &result.failed {
        eprintln!("unbraid: {line}");
    }
    if !result.failed.is_empty() {
        bail!(
            "{} of {} utterances failed",
            result.failed.len(),
            result.failed.len() + result.written
        );
    }
    if result.written == 0 {
        bail!("{}: expected utterances, found none", args.source);
    }
    Ok(())
}

/// The list of a read specifier `scp:FILE`.
fn wav_scp(source: &str) -> anyhow::Result<String> {
    match ReadSpecifier::parse(source)?.from {
        ReadFrom::Scp(name) => Ok(name),
        ReadFrom::Ark(_) => bail!(
            "'{source}': expected a list of audio files as scp:wav.scp with --wav, found an archive"
        ),
    }
}
