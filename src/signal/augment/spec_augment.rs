//! Masks over time and frequency, and a warp of time, on log mel features.
//!
//! Source: Park et al., SpecAugment, Interspeech 2019, section 2. Departs from it in that the warp is piecewise linear
//! between the two ends and one moved point, where the paper fits a spline through the same points, and in that masks
//! are filled with the utterance's mean by option, the paper's features having a mean of zero.

use ndarray::{Array2, s};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::within;
use crate::error::{Error, Result};

/// How much is masked and warped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SpecAugmentOptions {
    /// The chance that an utterance is masked and warped at all.
    pub probability: f64,
    /// Masks over frequency (the paper's m_F).
    pub freq_masks: usize,
    /// Bins that one covers, at most (F).
    pub freq_width: usize,
    /// Masks over time (m_T).
    pub time_masks: usize,
    /// Frames that one covers, at most (T).
    pub time_width: usize,
    /// The part of the utterance that one mask over time covers, at most (p).
    pub time_part: f64,
    /// Frames that the middle is moved by, at most (W); 0 leaves time as it is.
    pub time_warp: usize,
    /// What masks are filled with.
    pub fill: Fill,
}

/// What masks are filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// The mean of all the utterance's features.
    Mean,
    /// Zero.
    Zero,
}

impl Default for SpecAugmentOptions {
    /// The paper's policy LibriSpeech double, without the warp.
    fn default() -> Self {
        Self {
            probability: 1.0,
            freq_masks: 2,
            freq_width: 27,
            time_masks: 2,
            time_width: 100,
            time_part: 1.0,
            time_warp: 0,
            fill: Fill::Mean,
        }
    }
}

impl SpecAugmentOptions {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`crate::Error::Option`] for a probability or a part outside 0 to 1.
    pub fn check(&self) -> Result<()> {
        within("spec_augment.probability", self.probability, 0.0, 1.0)?;
        within("spec_augment.time_part", self.time_part, 0.0, 1.0)
    }

    /// Refuses masks over frequency in features that are wider than these are, `[frames, bins]`.
    ///
    /// # Errors
    /// [`crate::Error::Option`].
    pub fn check_bins(&self, bins: usize) -> Result<()> {
        match self.freq_masks {
            0 => Ok(()),
            _ => check_mask("spec_augment.freq_width", self.freq_width, bins),
        }
    }
}

/// Refuses a mask that is wider than the features.
///
/// # Errors
/// [`crate::Error::Option`] naming `option`.
pub fn check_mask(option: &str, width: usize, bins: usize) -> Result<()> {
    if width <= bins {
        return Ok(());
    }
    let expected = format!("at most {bins}, the bins of the features");
    Err(Error::option(option, expected, width.to_string()))
}

/// Warps and masks `[frames, bins]` in place. A width is drawn uniformly from 0 to its maximum, then a position.
pub fn spec_augment(feats: &mut Array2<f32>, options: &SpecAugmentOptions, rng: &mut ChaCha8Rng) {
    let (frames, bins) = feats.dim();
    if feats.is_empty() {
        return;
    }
    warp_time(feats, options.time_warp, rng);
    let fill = match options.fill {
        Fill::Zero => 0.0,
        Fill::Mean => {
            let sum: f64 = feats.iter().map(|&x| f64::from(x)).sum();
            (sum / feats.len() as f64) as f32
        }
    };
    for _ in 0..options.freq_masks {
        let (from, to) = mask(bins, options.freq_width, rng);
        feats.slice_mut(s![.., from..to]).fill(fill);
    }
    let part = (options.time_part * frames as f64) as usize;
    for _ in 0..options.time_masks {
        let (from, to) = mask(frames, options.time_width.min(part), rng);
        feats.slice_mut(s![from..to, ..]).fill(fill);
    }
}

/// Where a mask of at most `most` of `length` begins and ends.
fn mask(length: usize, most: usize, rng: &mut ChaCha8Rng) -> (usize, usize) {
    let width = rng.random_range(0..=most.min(length));
    let from = rng.random_range(0..=length - width);
    (from, from + width)
}

/// Moves one frame away from the ends, drawn uniformly, by up to `most` frames; what lies on either side of it is
/// stretched or pressed together.
fn warp_time(feats: &mut Array2<f32>, most: usize, rng: &mut ChaCha8Rng) {
    let frames = feats.nrows();
    if most == 0 || frames < 2 * most + 2 {
        return;
    }
    let from = rng.random_range(most..frames - most);
    let to = from + rng.random_range(0..=2 * most) - most;
    let (from, to, last) = (from as f64, to as f64, (frames - 1) as f64);
    let old = feats.clone();
    for (frame, mut row) in feats.rows_mut().into_iter().enumerate() {
        let at = frame as f64;
        let source = match at < to {
            true => at * from / to,
            false if last > to => from + (at - to) * (last - from) / (last - to),
            false => from,
        };
        let source = source.clamp(0.0, last);
        let (below, share) = (source.floor() as usize, (source - source.floor()) as f32);
        let above = (below + 1).min(frames - 1);
        for (bin, value) in row.iter_mut().enumerate() {
            *value = old[[below, bin]] + (old[[above, bin]] - old[[below, bin]]) * share;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn rng(seed: u64) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(seed)
    }

    fn ramp(frames: usize, bins: usize) -> Array2<f32> {
        Array2::from_shape_fn((frames, bins), |(t, f)| 1.0 + t as f32 + 0.01 * f as f32)
    }

    #[test]
    fn masks_are_whole_stripes_of_bounded_width() {
        let options = SpecAugmentOptions {
            freq_masks: 1,
            freq_width: 5,
            time_masks: 1,
            time_width: 8,
            fill: Fill::Zero,
            ..SpecAugmentOptions::default()
        };
        let (mut widest, mut longest) = (0, 0);
        for seed in 0..200 {
            let mut feats = ramp(50, 20);
            spec_augment(&mut feats, &options, &mut rng(seed));
            let bins = (0..20)
                .filter(|&f| feats.column(f).iter().all(|&x| x == 0.0))
                .count();
            let frames = (0..50)
                .filter(|&t| feats.row(t).iter().all(|&x| x == 0.0))
                .count();
            let zeros = feats.iter().filter(|&&x| x == 0.0).count();
            assert_eq!(
                zeros,
                50 * bins + 20 * frames - bins * frames,
                "seed {seed}"
            );
            (widest, longest) = (widest.max(bins), longest.max(frames));
        }
        assert_eq!((widest, longest), (5, 8));
    }

    #[test]
    fn a_short_utterance_is_masked_in_part_only() {
        let options = SpecAugmentOptions {
            freq_masks: 0,
            time_part: 0.2,
            time_masks: 1,
            ..SpecAugmentOptions::default()
        };
        for seed in 0..50 {
            let mut feats = ramp(10, 4);
            let whole = feats.clone();
            spec_augment(&mut feats, &options, &mut rng(seed));
            let changed = (0..10).filter(|&t| feats.row(t) != whole.row(t)).count();
            assert!(changed <= 2);
        }
        spec_augment(&mut Array2::zeros((0, 0)), &options, &mut rng(0));
        spec_augment(&mut ramp(1, 1), &SpecAugmentOptions::default(), &mut rng(0));
    }

    #[test]
    fn warped_time_keeps_its_ends_and_its_order() {
        let options = SpecAugmentOptions {
            freq_masks: 0,
            time_masks: 0,
            time_warp: 10,
            ..SpecAugmentOptions::default()
        };
        let mut moved = 0;
        for seed in 0..50 {
            let mut feats = ramp(60, 1);
            spec_augment(&mut feats, &options, &mut rng(seed));
            assert_eq!((feats[[0, 0]], feats[[59, 0]]), (1.0, 60.0));
            assert!(
                (1..60).all(|t| feats[[t, 0]] >= feats[[t - 1, 0]]),
                "seed {seed}"
            );
            let shift = (0..60)
                .map(|t| (feats[[t, 0]] - 1.0 - t as f32).abs())
                .fold(0.0, f32::max);
            assert!(shift <= 10.0 + 1e-4, "seed {seed}: {shift}");
            moved += usize::from(shift > 1.0);
        }
        assert!(moved > 30);
    }
}
