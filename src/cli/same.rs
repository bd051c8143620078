//! `unbraid same`: whether two recordings are of one speaker.

use std::path::{Path, PathBuf};

use clap::Args;

use super::models::ModelArgs;
use super::recordings::{AudioFileArgs, Rates};
use crate::error::Error;
use crate::eval::backend::Calibration;
use crate::inference::Model;
use crate::io::audio::{FORMATS, Waveform, read_audio};
use crate::io::message::output;

/// Shorter recordings say nothing of a speaker.
const LEAST_SECONDS: f64 = 0.5;
/// Below -60 dB of full scale there is no speech.
const SILENCE: f32 = 1e-3;

/// Compare two recordings: the same speaker, or two.
///
/// The score is the cosine of their speaker embeddings. The calibration.json of the model's folder, which 'unbraid verify
/// calibrate' trains, makes it a likelihood ratio: how many times likelier the two recordings are if one person speaks than
/// if two do. It holds for recordings like those of the calibration. A recording must have half a second, and not be silent.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid same --model en-16k a.wav b.wav
  unbraid same --exp exp/mine a.flac b.mp3    # with exp/mine/calibration.json

It prints one line: the answer, the likelihood ratio and the cosine. The answer
is 'same' for a ratio above 1, else 'different'. With other priors, multiply the
ratio by the odds before the recordings.")]
pub(super) struct SameArgs {
    #[arg(help = format!("First recording; formats: {FORMATS}"))]
    first: PathBuf,
    #[arg(help = "Second recording")]
    second: PathBuf,
    #[command(flatten)]
    audio: AudioFileArgs,
    #[command(flatten)]
    model: ModelArgs,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library; and for a model without a calibration.
pub(super) fn run(args: &SameArgs) -> anyhow::Result<()> {
    let (device, experiment) = args.model.open()?;
    let path = experiment.path().join("calibration.json");
    if !path.exists() {
        let expected = "a calibration of its scores: make it with unbraid verify calibrate train";
        return Err(Error::format(path, expected, "none").into());
    }
    let calibration = Calibration::read(&path)?;
    let model = Model::of(&experiment, &args.model.checkpoint.checkpoint, device)?;
    let mut rates = Rates::default();
    let mut embed = |path: &Path| {
        let recording = read_audio(path, &args.audio.options())?;
        check_speech(path, &recording)?;
        rates.add(recording.sample_rate_hz);
        model.speaker(&recording)
    };
    let (first, second) = (embed(&args.first)?, embed(&args.second)?);
    rates.report(model.sample_rate_hz());
    let cosine = f64::from(first.dot(&second));
    let log_ratio = calibration.apply(cosine);
    let answer = if log_ratio > 0.0 { "same" } else { "different" };
    let ratio = log_ratio.exp();
    output(format_args!(
        "{answer}  ratio {ratio:.3e}  cosine {cosine:.3}\n"
    ))?;
    Ok(())
}

/// Refuses recordings that no answer can be given for.
fn check_speech(path: &Path, recording: &Waveform) -> crate::Result<()> {
    let seconds = recording.samples.len() as f64 / f64::from(recording.sample_rate_hz);
    if seconds < LEAST_SECONDS {
        let expected = format!("at least {LEAST_SECONDS} s of speech");
        return Err(Error::format(path, expected, format!("{seconds:.2} s")));
    }
    let mean = recording.samples.iter().sum::<f32>() / recording.samples.len() as f32;
    let greatest = (recording.samples.iter()).fold(0f32, |most, x| most.max((x - mean).abs()));
    match greatest < SILENCE {
        true => Err(Error::format(path, "speech", "silence")),
        false => Ok(()),
    }
}
