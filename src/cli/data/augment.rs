//! `unbraid data augment`: a data directory of variations.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::cli::arguments::ThreadArgs;
use crate::cli::failures::Failures;
use crate::cli::progress::counter;
use crate::cli::recordings::{AudioFileArgs, PipeArgs};
use crate::dataset::RecordingOptions;
use crate::dataset::augment::{AugmentChain, AugmentJob, AugmentOptions, augment};
use crate::io::config::read_toml;
use crate::io::message::message;

/// Augment the audio of a data directory: speed, voice, room, noise, equaliser, codec, volume.
///
/// Makes a valid data directory with a 16-bit WAV file for each copy of each utterance. New ids are aug1-UTTERANCE and
/// aug1-SPEAKER, or UTTERANCE-aug1 with --keep-speakers. An utterance that fails is reported and left out; the other
/// utterances are written, and the exit code is 1.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid data augment --conf aug.toml --noise musan/noise --rirs rirs \\
    data/train data/train_aug
  unbraid data combine data/train_all data/train data/train_aug

The configuration is TOML. Operations without a table are not applied. The order
is that of this list; keys that are left out have these defaults:

  seed = 0
  [speed]                      # one of these factors
  factors = [0.9, 1.0, 1.1]
  [voice]                      # up or down by up to these factors, time stays
  probability = 1.0
  formants = 1.4
  pitch = 2.0
  range = 1.5                  # of the pitch around its mean
  [reverb]                     # one of --rirs
  probability = 1.0
  [noise]                      # one of --noise, looped or cropped
  probability = 1.0
  snrs_db = [0, 5, 10, 15]
  [equaliser]                  # shelves and peaks of random gain
  probability = 1.0
  bands = 10
  low_hz = 60.0
  high_hz = 7600.0
  gain_db = 12.0
  min_q = 2.0
  max_q = 5.0
  [codec]                      # 8 kHz, 300 to 3400 Hz
  probability = 1.0
  mu_law = false
  [volume]                     # a factor in this range
  min = 0.125
  max = 2.0

--noise and --rirs are folders with a wav.scp, or of audio files; in the
configuration they are noise_folder and rir_folder. The same seed gives the same
bytes for any number of threads. utt2aug in the new folder lists the random
choices.")]
pub(super) struct AugmentArgs {
    /// Data directory to augment
    #[arg(value_name = "SOURCE")]
    source: PathBuf,

    /// Data directory to make
    #[arg(value_name = "TARGET")]
    target: PathBuf,

    /// Configuration in TOML
    #[arg(long, value_name = "FILE")]
    conf: PathBuf,

    /// Copies per utterance
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    copies: u16,

    /// Noise recordings
    #[arg(long, value_name = "DIR")]
    noise: Option<PathBuf>,

    /// Room impulse responses
    #[arg(long, value_name = "DIR")]
    rirs: Option<PathBuf>,

    /// Override the seed of the configuration
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,

    /// Prefix of new ids, before the number of the copy
    #[arg(long, value_name = "TEXT", default_value = "aug", value_parser = id_part)]
    prefix: String,

    /// Keep the speaker ids
    #[arg(long)]
    keep_speakers: bool,

    #[command(flatten)]
    audio: AudioFileArgs,

    #[command(flatten)]
    threads: ThreadArgs,

    #[command(flatten)]
    pipes: PipeArgs,
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
pub(super) fn run(args: &AugmentArgs) -> anyhow::Result<()> {
    let mut options: AugmentOptions = read_toml(&args.conf)?;
    options.seed = args.seed.unwrap_or(options.seed);
    let pipes = args.pipes.pipes();
    options.noise_folder = args.noise.clone().or(options.noise_folder);
    options.rir_folder = args.rirs.clone().or(options.rir_folder);
    let chain =
        AugmentChain::new(options, pipes).with_context(|| args.conf.display().to_string())?;
    let job = AugmentJob {
        source: &args.source,
        target: &args.target,
        chain: &chain,
        copies: args.copies.into(),
        prefix: &args.prefix,
        keep_speakers: args.keep_speakers,
        recordings: RecordingOptions {
            audio: args.audio.options(),
            resample_hz: None,
            pipes,
        },
    };
    let threads = args.threads.pool()?;
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
