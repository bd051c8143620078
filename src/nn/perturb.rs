//! Random perturbation of the phonetic encoder's input in training, while the decoder reconstructs the original: vocal
//! tracts of another length, and masks (SpecAugment, Park et al. 2019).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::check_size;
use crate::error::{Error, Result};
use crate::signal::FeatureType;
use crate::signal::augment::spec_augment::check_mask;

/// Strength of the random perturbation of features; with all keys at 0 there is none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PerturbOptions {
    /// Largest relative warp of the mel axis: with 0.1, bin `b` is read at `0.9 b` to `1.1 b`. This imitates a vocal
    /// tract up to about 10 % longer or shorter.
    pub warp: f64,
    /// Largest width of a mask over neighbouring bins, in bins. 0 masks none.
    pub mask_bins: i64,
    /// Largest width of a mask over neighbouring frames, in frames. 0 masks none.
    pub mask_frames: i64,
}

impl PerturbOptions {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self) -> Result<()> {
        if !(0.0..0.5).contains(&self.warp) {
            return Err(Error::option(
                "perturb.warp",
                "0 <= x < 0.5",
                self.warp.to_string(),
            ));
        }
        for (key, value) in [
            ("mask_bins", self.mask_bins),
            ("mask_frames", self.mask_frames),
        ] {
            check_size(format!("perturb.{key}"), value, 0)?;
        }
        Ok(())
    }

    /// Refuses what makes no sense for features of a type, `table` being the options' place, such as `method.perturb`, and a
    /// mask that is wider than they are.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check_features(&self, table: &str, features: FeatureType, bins: usize) -> Result<()> {
        if self.warp > 0.0 {
            let key = format!("{table}.warp");
            features.check_spectral(&key, "0", &self.warp.to_string())?;
        }
        if self.mask_bins > 0 {
            let key = format!("{table}.mask_bins");
            features.check_spectral(&key, "0", &self.mask_bins.to_string())?;
        }
        check_mask(&format!("{table}.mask_bins"), self.mask_bins as usize, bins)
    }

    /// `[batch, bins, frames]`, each utterance perturbed at random by libtorch's generator.
    pub fn apply(&self, feats: &Tensor) -> Tensor {
        let mut feats = feats.shallow_clone();
        if self.warp > 0.0 {
            feats = warp_bins(&feats, self.warp);
        }
        for (axis, widest) in [(1, self.mask_bins), (2, self.mask_frames)] {
            if widest > 0 {
                feats = mask_band(&feats, axis, widest);
            }
        }
        feats
    }
}

/// Uniform random numbers in [0, 1), one per utterance, `[batch, 1]`.
fn draws(feats: &Tensor) -> Tensor {
    Tensor::rand([feats.size()[0], 1], (Kind::Float, feats.device()))
}

/// Linear interpolation along the bins at positions scaled by a factor in `1 +- most`.
fn warp_bins(feats: &Tensor, most: f64) -> Tensor {
    let bins = feats.size()[1];
    let factor = (draws(feats) * 2.0 - 1.0) * most + 1.0;
    let bin = Tensor::arange(bins, (Kind::Float, feats.device())).unsqueeze(0);
    let position = (factor * &bin).clamp(0.0, (bins - 1) as f64);
    // The weight of each bin `[batch, bins read, bins]`: two of a row are not 0.
    let weights: Tensor = 1.0 - (position.unsqueeze(1) - bin.unsqueeze(2)).abs();
    let by_frame = feats.transpose(1, 2).bmm(&weights.clamp_min(0.0));
    by_frame.transpose(1, 2)
}

/// Zeroes a band of width 0 to `widest` at a random place along `axis`. Features are standardised, so zero is their
/// mean.
fn mask_band(feats: &Tensor, axis: i64, widest: i64) -> Tensor {
    let size = feats.size()[axis as usize];
    let width = draws(feats) * (widest.min(size) as f64);
    let start = draws(feats) * (&width * -1.0 + size as f64);
    let place = Tensor::arange(size, (Kind::Float, feats.device())).unsqueeze(0);
    let inside = place
        .ge_tensor(&start)
        .logical_and(&place.lt_tensor(&(&start + &width)));
    let shape = if axis == 1 {
        [-1, size, 1]
    } else {
        [-1, 1, size]
    };
    feats.masked_fill(&inside.reshape(shape), 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn a_warp_moves_a_peak_by_its_share() {
        tch::manual_seed(0);
        let bins = Tensor::arange(40, (Kind::Float, Device::Cpu)).reshape([1, 40, 1]);
        let warped = warp_bins(&bins.expand([16, -1, 3], false), 0.1);
        // The identity, read at `factor * bin`, shows the factor.
        let factors = warped.select(2, 0).select(1, 20) / 20.0;
        let (low, high) = (
            factors.min().double_value(&[]),
            factors.max().double_value(&[]),
        );
        assert!(
            (0.9..1.0).contains(&low) && (1.0..1.1).contains(&high),
            "{low} {high}"
        );
    }

    #[test]
    fn masks_are_bands_of_limited_width() {
        tch::manual_seed(0);
        for axis in [1, 2] {
            let masked = mask_band(
                &Tensor::ones([64, 40, 30], (Kind::Float, Device::Cpu)),
                axis,
                8,
            );
            let other = if axis == 1 { 2 } else { 1 };
            let zeros = masked.select(other, 0).eq(0.0).to_kind(Kind::Int64);
            let widths = zeros.sum_dim_intlist(&[1i64][..], false, Kind::Int64);
            assert!(widths.max().int64_value(&[]) <= 8 && widths.max().int64_value(&[]) > 3);
            // One band: at most one step up and one step down.
            let edges = zeros.diff::<Tensor>(1, 1, None, None).abs();
            assert!(
                edges
                    .sum_dim_intlist(&[1i64][..], false, Kind::Int64)
                    .max()
                    .int64_value(&[])
                    <= 2
            );
        }
    }

    #[test]
    fn every_option_has_an_effect_and_the_seed_decides() {
        let alone = [
            PerturbOptions {
                warp: 0.2,
                ..PerturbOptions::default()
            },
            PerturbOptions {
                mask_bins: 6,
                ..PerturbOptions::default()
            },
            PerturbOptions {
                mask_frames: 6,
                ..PerturbOptions::default()
            },
        ];
        let feats =
            Tensor::randn([1, 20, 15], (Kind::Float, Device::Cpu)).expand([4, -1, -1], false);
        let apply = |options: &PerturbOptions, seed| {
            tch::manual_seed(seed);
            options.apply(&feats)
        };
        for options in &alone {
            let found = apply(options, 1);
            assert_ne!(found, feats, "{options:?}");
            assert_eq!(found, apply(options, 1));
            assert_ne!(found, apply(options, 2));
            assert_ne!(
                found.get(0),
                found.get(1),
                "each utterance is perturbed differently"
            );
        }
        let both = PerturbOptions {
            mask_bins: 6,
            mask_frames: 6,
            ..PerturbOptions::default()
        };
        let masked = apply(&both, 1).eq(0.0);
        let whole = |axis: i64| masked.all_dim(axis, false).any().int64_value(&[]) == 1;
        assert!(whole(1) && whole(2), "a band of bins and a band of frames");
        assert_eq!(
            apply(&both, 1).where_self(&masked.logical_not(), &feats),
            feats
        );
    }

    #[test]
    fn default_options_change_nothing() {
        let feats = Tensor::randn([2, 5, 7], (Kind::Float, Device::Cpu));
        assert_eq!(PerturbOptions::default().apply(&feats), feats);
    }
}
