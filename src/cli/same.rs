//! `unbraid same`: whether two recordings are of one speaker.

use std::path::PathBuf;

use clap::Args;

use super::models::ModelArgs;
use super::recordings::{ChannelArgs, Rates};
use crate::error::Error;
use crate::eval::backend::Calibration;
use crate::inference::Model;
use crate::io::audio::{FORMATS, read_audio};
use crate::io::message::output;

/// Compare two recordings: the same speaker, or two.
///
/// The score is the cosine of their speaker embeddings. If the model's folder has a calibration.json, as of 'unbraid verify
/// calibrate', the score becomes a likelihood ratio: how many times likelier the two recordings are if one person speaks
/// than if two do. It holds for recordings like those of the calibration.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid same --model en-16k a.wav b.wav
  unbraid same --exp exp/default a.flac b.mp3

It prints one line: the answer, the likelihood ratio and the cosine. The answer is 'same' for a ratio above 1, else 'different'.
With other priors, multiply the ratio by the odds before the recordings.")]
pub struct SameArgs {
    #[arg(help = format!("First recording; formats: {FORMATS}"))]
    first: PathBuf,
    #[arg(help = "Second recording")]
    second: PathBuf,
    #[command(flatten)]
    channel: ChannelArgs,
    #[command(flatten)]
    model: ModelArgs,
}

/// Runs the command.
///
/// # Errors
/// Errors of the library; and for a model without a calibration.
pub fn run(args: &SameArgs) -> anyhow::Result<()> {
    let (device, experiment) = args.model.open()?;
    let path = experiment.path().join("calibration.json");
    if !path.exists() {
        let expected = "a calibration of its scores: make it with unbraid verify calibrate";
        return Err(Error::format(path, expected, "none").into());
    }
    let calibration = Calibration::read(&path)?;
    let model = Model::of(&experiment, &args.model.checkpoint.checkpoint, device)?;
    let mut rates = Rates::default();
    let mut embed = |path| {
        let recording = read_audio(path, &args.channel.options())?;
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
