//! `unbraid data augment`: a data directory of variations.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::cli::failures::Failures;
use crate::cli::pipes::PipeLimit;
use crate::cli::progress::counter;
use crate::dataset::RecordingOptions;
use crate::dataset::augment::{AugmentChain, AugmentJob, AugmentOptions, augment};
use crate::io::audio::AudioOptions;
use crate::io::config::read_toml;
use crate::io::message::message;

/// Augment the audio of a data directory: speed, rooms, noise, telephone, volume.
///
/// Makes a valid data directory with a 16-bit WAV for each copy of each utterance. Ids become aug1-UTTERANCE and
/// aug1-SPEAKER, or UTTERANCE-aug1 with --keep-speakers. An utterance that fails is named and left out, and the
/// command fails at the end.
#[derive(Debug, Args)]
#[command(after_help = "\
The configuration is TOML; what has a table is done, in this order, and what has
no key has its default:

  seed = 0
  [speed]                      # one of these factors
  factors = [0.9, 1.0, 1.1]
  [reverb]                     # one of --rirs
  probability = 0.5
  [noise]                      # one of --noise, looped or cropped
  probability = 0.8
  snrs_db = [0, 5, 10, 15]
  [codec]                      # 8 kHz, 300 to 3400 Hz
  probability = 0.2
  mu_law = true
  [volume]                     # a factor between these
  min = 0.125
  max = 2.0

--noise and --rirs name folders with a wav.scp, or of audio files. The same seed
gives the same bytes, whatever the number of threads; utt2aug in the new folder
tells what was drawn.

Example:
  unbraid data augment --conf aug.toml --noise musan/noise --rirs rirs \\
    data/train data/train_aug
  unbraid data combine data/train_all data/train data/train_aug")]
pub struct AugmentArgs {
    /// The data directory to take from
    #[arg(value_name = "SOURCE")]
    source: PathBuf,

    /// The data directory to make
    #[arg(value_name = "TARGET")]
    target: PathBuf,

    /// What is done
    #[arg(long, value_name = "FILE")]
    conf: PathBuf,

    /// Variations of each utterance
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    copies: u16,

    /// Noises
    #[arg(long, value_name = "DIR")]
    noise: Option<PathBuf>,

    /// Room impulse responses
    #[arg(long, value_name = "DIR")]
    rirs: Option<PathBuf>,

    /// Where drawing starts, instead of the configuration's seed
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,

    /// What new ids begin with, before the number of the copy
    #[arg(long, value_name = "TEXT", default_value = "aug", value_parser = id_part)]
    prefix: String,

    /// Leave speakers who they are
    #[arg(long)]
    keep_speakers: bool,

    /// The channel to take of files that have several, from 0
    #[arg(long, value_name = "N")]
    channel: Option<usize>,

    /// Threads; all cores without
    #[arg(long, visible_alias = "nj", value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,

    /// Run the commands that wav.scp names as 'command |'
    #[arg(long)]
    allow_pipes: bool,

    #[command(flatten)]
    pipe_limit: PipeLimit,
}

fn id_part(text: &str) -> Result<String, String> {
    match text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !text.is_empty()
    {
        true => Ok(text.to_string()),
        false => Err("expected letters, digits and '_'".to_string()),
    }
}

/// Runs the command.
///
/// # Errors
/// What is wrong with configuration, folders or the place to write to; and at the end the utterances that failed.
/// Without one that succeeded nothing is written.
pub fn run(args: &AugmentArgs) -> anyhow::Result<()> {
    let mut options: AugmentOptions = read_toml(&args.conf)?;
    options.seed = args.seed.unwrap_or(options.seed);
    let pipes = args.pipe_limit.pipes(args.allow_pipes);
    let chain = AugmentChain::new(options, args.noise.as_deref(), args.rirs.as_deref(), pipes)
        .with_context(|| args.conf.display().to_string())?;
    let job = AugmentJob {
        source: &args.source,
        target: &args.target,
        chain: &chain,
        copies: args.copies.into(),
        prefix: &args.prefix,
        keep_speakers: args.keep_speakers,
        recordings: RecordingOptions {
            audio: AudioOptions::with_choice(args.channel),
            resample_hz: None,
            pipes,
        },
    };
    let threads = rayon::ThreadPoolBuilder::new()
        .num_threads(args.threads.map_or(0, usize::from))
        .build()
        .context("cannot start threads")?;
    let progress = counter("utterances");
    let mut failures = Failures::default();
    let made = threads.install(|| {
        augment(&job, |utterance, error| {
            progress.inc(1);
            if let Some(error) = error {
                failures.add(utterance, &error, &progress);
            }
        })
    })?;
    progress.finish_and_clear();
    for name in &made.left_out {
        message(format_args!(
            "unbraid: {name} is left out: it does not hold for the variations"
        ));
    }
    failures.into_result(made.utterances, "utterances")
}
