//! `unbraid feats subtract-speaker`: features without what a linear map predicts of the speaker.

use clap::Args;
use ndarray::Array2;

use super::feature_map::FeatureArgs;
use super::speaker_embeddings::SpeakerArgs;
use super::speaker_regression::KEY;
use crate::error::{Error, Result};
use crate::eval::speaker_regression::subtract_speaker;
use crate::io::kaldi::TableReader;

/// Subtract what a linear map predicts from the speaker embedding.
///
/// The residual is free of the speaker as far as a linear map sees it (Eta-WavLM, Ruggiero et al. 2025). The map is that of
/// 'feats speaker-regression'. An utterance that fails is reported and left out; the other utterances
/// are written, and the exit code is 1.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  unbraid feats subtract-speaker --embeddings scp:ecapa/test.scp \\
    ark:wavlm/speaker.ark scp:wavlm/test.scp ark,scp:eta/test.ark,eta/test.scp

An embedding of a new speaker is that of the utterance itself, or of others of
the same speaker (--utt2spk): no training is needed.")]
pub(super) struct SubtractSpeakerArgs {
    /// Map to read, as ark:speaker.ark
    #[arg(value_name = "MAP_RSPECIFIER")]
    map: String,

    #[command(flatten)]
    features: FeatureArgs,

    #[command(flatten)]
    speakers: SpeakerArgs,
}

/// Runs the command.
///
/// # Errors
/// What is wrong with the map or the embeddings, and the errors of [`super::feature_map::FeatureMap::run`].
pub(super) fn run(args: &SubtractSpeakerArgs) -> anyhow::Result<()> {
    let map = args.read_map()?;
    let embeddings = args.speakers.read()?;
    args.features.map(|utterance, mut feats| {
        subtract_speaker(&map, &mut feats, embeddings.of(utterance)?)?;
        Ok(feats)
    })
}

impl SubtractSpeakerArgs {
    fn read_map(&self) -> Result<Array2<f64>> {
        let options = self.features.read_options();
        for entry in TableReader::<Array2<f64>>::open_with(&self.map, options)? {
            let (key, map) = entry?;
            if key != KEY {
                continue;
            }
            return match map.iter().find(|value| !value.is_finite()) {
                None => Ok(map),
                Some(odd) => Err(Error::key(
                    &self.map,
                    KEY,
                    "finite numbers",
                    odd.to_string(),
                )),
            };
        }
        Err(Error::key(
            &self.map,
            KEY,
            "a map of feats speaker-regression",
            "none",
        ))
    }
}
