//! Phonetic codes without a trained encoder, as baselines.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::nn::Path;
use tch::{Kind, Tensor, no_grad};

use super::check_size;
use super::mask::Mask;
use crate::dataset::labels::NO_LABEL;
use crate::error::Result;

/// A fixed transformation of the features, one code per frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum BaselineOptions {
    /// Each bin gets mean 0 and variance 1 over its utterance.
    Standardise,
    /// Removes the directions in which the means of the training speakers differ most (principal components).
    SpeakerPca {
        /// Number of directions to remove, less than the number of bins.
        directions: i64,
    },
}

impl BaselineOptions {
    /// Checks every value; `name` is the table that holds them.
    ///
    /// # Errors
    /// [`crate::Error::Option`] naming the key.
    pub fn check(self, name: &str) -> Result<()> {
        match self {
            Self::Standardise => Ok(()),
            Self::SpeakerPca { directions } => {
                check_size(format!("{name}.directions"), directions, 1)
            }
        }
    }
}

/// How fast a speaker's running mean follows a new utterance.
const MEAN_RATE: f64 = 0.05;

/// A baseline with its running statistics.
#[derive(Debug)]
pub struct Baseline {
    options: BaselineOptions,
    /// Running means of the training speakers, `[speakers, bins]`.
    means: Tensor,
    /// 1 for each speaker that occurred in training, else 0, `[speakers, 1]`.
    present: Tensor,
}

impl Baseline {
    /// For features of `bins` from a number of training `speakers`.
    pub fn new(path: Path, bins: i64, speakers: i64, options: BaselineOptions) -> Self {
        Self {
            options,
            means: path.zeros_no_train("means", &[speakers, bins]),
            present: path.zeros_no_train("seen", &[speakers, 1]),
        }
    }

    /// Updates the statistics with a training batch: features `[batch, bins, frames]` of `speakers` `[batch]`.
    pub fn observe(&self, feats: &Tensor, mask: &Mask, speakers: &Tensor) {
        no_grad(|| {
            let utterances = mask.mean_std(feats).0.squeeze_dim(2);
            for (utterance, speaker) in
                (0..).zip(Vec::<i64>::try_from(speakers).unwrap_or_default())
            {
                if speaker == NO_LABEL {
                    continue;
                }
                let (mean, present) = (self.means.get(speaker), self.present.get(speaker));
                let rate = (&present * (MEAN_RATE - 1.0)) + 1.0;
                let moved = &mean + (utterances.get(utterance) - &mean) * rate;
                mean.shallow_clone().copy_(&moved);
                let _ = present.shallow_clone().fill_(1.0);
            }
        });
    }

    /// Features `[batch, bins, frames]` to codes of the same shape.
    pub fn forward(&self, feats: &Tensor, mask: &Mask) -> Tensor {
        match self.options {
            BaselineOptions::Standardise => mask.instance_norm(feats),
            BaselineOptions::SpeakerPca { directions } => {
                let (centre, across) =
                    no_grad(|| principal(&self.means, &self.present, directions));
                let part = across.tr().matmul(&(feats - &centre));
                mask.apply(feats - across.matmul(&part))
            }
        }
    }
}

/// The mean of the speakers' means `[bins, 1]`, and orthonormal directions `[bins, directions]`, of the means
/// `[speakers, bins]` of those who are present, `[speakers, 1]`.
pub(crate) fn principal(means: &Tensor, present: &Tensor, directions: i64) -> (Tensor, Tensor) {
    let count = present.sum(Kind::Float).clamp_min(1.0);
    let centre = (means * present).sum_dim_intlist(&[0i64][..], true, Kind::Float) / count;
    let differences = (means - &centre) * present;
    let (_, _, across) = differences.svd(true, true);
    let most = directions.min(across.size()[1]);
    (centre.tr(), across.narrow(1, 0, most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, nn::VarStore};

    #[test]
    fn the_directions_in_which_speakers_differ_are_removed() {
        tch::manual_seed(0);
        let store = VarStore::new(Device::Cpu);
        let options = BaselineOptions::SpeakerPca { directions: 1 };
        let baseline = Baseline::new(store.root(), 3, 2, options);
        // Two speakers that differ only in the second bin.
        let speakers = Tensor::from_slice(&[0i64, 1, 0, 1]);
        let mask = Mask::new(&[50; 4], Device::Cpu);
        let batch = || {
            let noise = Tensor::randn([4, 3, 50], (Kind::Float, Device::Cpu));
            let side = (&speakers * 10 - 5).to_kind(Kind::Float).reshape([4, 1, 1]);
            noise + side * Tensor::from_slice(&[0f32, 1.0, 0.0]).reshape([1, 3, 1])
        };
        for _ in 0..100 {
            baseline.observe(&batch(), &mask, &speakers);
        }
        let (feats, codes) = {
            let feats = batch();
            let codes = baseline.forward(&feats, &mask);
            (feats, codes)
        };
        let spread = |x: &Tensor, bin: i64| x.select(1, bin).std(true).double_value(&[]);
        assert!(spread(&codes, 1) < 0.3, "{}", spread(&codes, 1));
        assert!((spread(&codes, 0) - spread(&feats, 0)).abs() < 0.1);
    }

    #[test]
    fn an_unknown_speaker_is_ignored() {
        let store = VarStore::new(Device::Cpu);
        let baseline = Baseline::new(store.root(), 3, 2, BaselineOptions::Standardise);
        let feats = Tensor::ones([1, 3, 4], (Kind::Float, Device::Cpu));
        let speakers = Tensor::from_slice(&[NO_LABEL]);
        baseline.observe(&feats, &Mask::new(&[4], Device::Cpu), &speakers);
        assert_eq!(baseline.present.sum(Kind::Float).double_value(&[]), 0.0);
    }
}
