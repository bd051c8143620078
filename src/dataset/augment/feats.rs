//! Augmentation of features by a configuration: warps of the frequency axis and masks.

use ndarray::Array2;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::generator;
use crate::error::{Error, Result};
use crate::signal::FeatureType;
use crate::signal::augment::{
    SpecAugmentOptions, VtlpOptions, happens, spec_augment, warp_vocal_tract,
};

/// Augmentations of log mel features, in this order; those without a table are left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FeatAugmentOptions {
    /// Seed of all random numbers.
    pub seed: u64,
    /// Warps of the frequency axis.
    pub vtlp: Option<VtlpOptions>,
    /// Masks over time and frequency, and a warp of time.
    pub spec_augment: Option<SpecAugmentOptions>,
}

impl FeatAugmentOptions {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key; no step at all.
    pub fn check(&self) -> Result<()> {
        if let Some(vtlp) = &self.vtlp {
            vtlp.check()?;
        }
        if let Some(masks) = &self.spec_augment {
            masks.check()?;
        }
        match (&self.vtlp, &self.spec_augment) {
            (None, None) => {
                let expected = "a table: vtlp or spec_augment";
                Err(Error::option("augmentation", expected, "none"))
            }
            _ => Ok(()),
        }
    }

    /// Refuses what makes no sense for features of a type or a width.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key: a warp of the mel axis for other features than filter banks; masks over the
    /// frequencies of features that have none; masks that are wider than the features.
    pub fn check_features(&self, features: FeatureType, bins: usize) -> Result<()> {
        if self.vtlp.is_some() && features != FeatureType::FilterBank {
            let expected =
                "no table unless data.feature_type = \"filter_bank\", whose mel axis it warps";
            return Err(Error::option("vtlp", expected, features.name()));
        }
        let Some(masks) = &self.spec_augment else {
            return Ok(());
        };
        if masks.freq_masks > 0 {
            let found = masks.freq_masks.to_string();
            features.check_spectral("spec_augment.freq_masks", "0", &found)?;
        }
        masks.check_bins(bins)
    }

    /// Augments features, `[frames, bins]`.
    pub fn vary(&self, feats: &mut Array2<f32>, rng: &mut ChaCha8Rng) {
        if let Some(vtlp) = &self.vtlp
            && happens(vtlp.probability, rng)
        {
            warp_vocal_tract(feats, vtlp, vtlp.draw(rng));
        }
        if let Some(masks) = &self.spec_augment
            && happens(masks.probability, rng)
        {
            spec_augment(feats, masks, rng);
        }
    }

    /// Augments features of draw `number` of an utterance, `[frames, bins]`.
    pub fn vary_draw(&self, feats: &mut Array2<f32>, utterance: &str, number: u64) {
        self.vary(feats, &mut generator(self.seed, number, utterance));
    }
}
