//! Normalisation of features before networks read them: the utterance's mean is subtracted by option, bins are
//! standardised, utterances are stretched to a fixed length by option. Training and extraction use the same object.

use std::ops::Range;
use std::path::Path;

use ndarray::{Array1, Array2, Axis, s};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, check_within};
use crate::signal::FeatureType;
use crate::signal::pitch::F0Contour;
use crate::signal::stretch::stretch;

/// Largest number of frames to stretch to: about eleven minutes at 10 ms per frame.
const MOST_FRAMES: usize = 1 << 16;
/// Largest number of bins.
const MOST_BINS: usize = 1 << 16;

/// Normalisation of an utterance's features before a network reads them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NormalisationOptions {
    /// Subtract one number per utterance: the mean over all bins and frames. For log spectra this removes the loudness.
    /// By default true for those (`data.feature_type`), and false for all other features, where true is refused.
    #[serde(alias = "loudness")] // the name in `inventory.json` of earlier versions
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtract_utterance_mean: Option<bool>,
    /// Mean and variance normalisation of each bin.
    pub cmvn: Cmvn,
    /// Stretch each utterance to this many frames by linear interpolation; 0 keeps lengths. For single words, whose
    /// duration would reveal the speaker.
    #[serde(alias = "stretch_frames")] // likewise
    pub fixed_frames: usize,
}

impl Default for NormalisationOptions {
    fn default() -> Self {
        Self {
            subtract_utterance_mean: None,
            cmvn: Cmvn::Global,
            fixed_frames: 0,
        }
    }
}

impl NormalisationOptions {
    /// Whether the utterance's mean is subtracted; of features of unknown type it is, as of log spectra.
    pub fn subtracts_utterance_mean(&self) -> bool {
        self.subtract_utterance_mean.unwrap_or(true)
    }

    /// The same with every default that depends on the features' type.
    ///
    /// # Errors
    /// [`Error::Option`] where the level of features that have none is to be subtracted.
    pub fn for_features(&self, features: FeatureType) -> Result<Self> {
        if self.subtract_utterance_mean == Some(true) {
            features.check_spectral("normalisation.subtract_utterance_mean", "false", "true")?;
        }
        let default = features.is_log_spectrum();
        Ok(Self {
            subtract_utterance_mean: Some(self.subtract_utterance_mean.unwrap_or(default)),
            ..self.clone()
        })
    }

    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self) -> Result<()> {
        check_within(
            "normalisation.fixed_frames",
            self.fixed_frames,
            0..=MOST_FRAMES,
        )
    }
}

/// Statistics for the mean and variance normalisation of each bin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cmvn {
    /// No mean and variance normalisation.
    None,
    /// Statistics of the utterance. This also removes part of the speaker.
    Utterance,
    /// Statistics of the training set, for all utterances.
    Global,
}

/// [`NormalisationOptions`] with the statistics of the training set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalisation {
    options: NormalisationOptions,
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl Normalisation {
    /// A normalisation for features of `bins`; [`Cmvn::Global`] computes its statistics over `corpus`.
    ///
    /// # Errors
    /// Errors of the corpus, and [`Error::Format`] for one without frames.
    pub fn fit(
        options: &NormalisationOptions,
        bins: usize,
        corpus: impl Iterator<Item = Result<Array2<f32>>>,
    ) -> Result<Self> {
        let mut normalisation = Self {
            options: options.clone(),
            mean: vec![0.0; bins],
            std: vec![1.0; bins],
        };
        if options.cmvn == Cmvn::Global {
            let mut moments = Moments::new(bins);
            for feats in corpus {
                moments.add(&normalisation.level(feats?));
            }
            (normalisation.mean, normalisation.std) = moments.mean_std()?;
        }
        Ok(normalisation)
    }

    /// Checks what was read from `path`: every value, and that there are one mean and one deviation per bin.
    ///
    /// # Errors
    /// [`Error::Key`] naming the first invalid value.
    pub fn check(&self, path: &Path) -> Result<()> {
        let wrong = |key: &str, expected: String, found: String| {
            Err(Error::key(
                path,
                format!("normalisation.{key}"),
                expected,
                found,
            ))
        };
        let (bins, stds) = (self.mean.len(), self.std.len());
        if !(1..=MOST_BINS).contains(&bins) {
            return wrong("mean", format!("1 to {MOST_BINS} values"), bins.to_string());
        }
        if stds != bins {
            return wrong(
                "std",
                format!("{bins} values, as many as normalisation.mean has"),
                stds.to_string(),
            );
        }
        if let Some(mean) = self.mean.iter().find(|mean| !mean.is_finite()) {
            return wrong("mean", "finite numbers".into(), mean.to_string());
        }
        if let Some(std) = self
            .std
            .iter()
            .find(|std| !(std.is_finite() && **std > 0.0))
        {
            return wrong("std", "finite numbers above 0".into(), std.to_string());
        }
        self.options.check()
    }

    /// A normalisation that changes nothing.
    pub fn identity(bins: usize) -> Self {
        Self {
            options: NormalisationOptions {
                subtract_utterance_mean: Some(false),
                cmvn: Cmvn::None,
                fixed_frames: 0,
            },
            mean: vec![0.0; bins],
            std: vec![1.0; bins],
        }
    }

    /// Bins of the features.
    pub fn bins(&self) -> usize {
        self.mean.len()
    }

    /// The options.
    pub fn options(&self) -> &NormalisationOptions {
        &self.options
    }

    /// Mean and deviation per bin for [`Cmvn::Global`].
    pub fn statistics(&self) -> (&[f32], &[f32]) {
        (&self.mean, &self.std)
    }

    /// Refuses options that need the whole utterance before the first frame.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check_streams(&self) -> Result<()> {
        let NormalisationOptions {
            cmvn, fixed_frames, ..
        } = self.options;
        let whole = "for a stream: it needs the whole utterance";
        let refuse = |key: &str, expected: &str, found: String| {
            let expected = format!("{expected} {whole}");
            Err(Error::option(
                format!("normalisation.{key}"),
                expected,
                found,
            ))
        };
        if self.options.subtracts_utterance_mean() {
            return refuse("subtract_utterance_mean", "false", "true".into());
        }
        if cmvn == Cmvn::Utterance {
            return refuse("cmvn", "\"global\" or \"none\"", "\"utterance\"".into());
        }
        match fixed_frames {
            0 => Ok(()),
            frames => refuse("fixed_frames", "0", frames.to_string()),
        }
    }

    /// Normalises `[frames, bins]` to `[frames, bins]` or `[fixed_frames, bins]`.
    pub fn apply(&self, feats: Array2<f32>) -> Array2<f32> {
        let all = 0..self.frames(feats.nrows());
        self.apply_within(feats, all)
    }

    /// Frames of what [`Normalisation::apply`] makes of so many.
    pub fn frames(&self, frames: usize) -> usize {
        match self.options.fixed_frames {
            0 => frames,
            fixed => fixed,
        }
    }

    /// The frames `window` of [`Normalisation::apply`], at the cost of these and of the statistics of the utterance.
    pub fn apply_within(&self, mut feats: Array2<f32>, window: Range<usize>) -> Array2<f32> {
        let level = match self.options.subtracts_utterance_mean() {
            true => utterance_mean(&feats),
            false => 0.0,
        };
        let own = (self.options.cmvn == Cmvn::Utterance).then(|| {
            feats -= level;
            own_statistics(&feats)
        });
        let is_whole = self.options.fixed_frames > 0 || window == (0..feats.nrows());
        if !is_whole {
            feats = feats.slice(s![window.clone(), ..]).to_owned();
        }
        match (self.options.cmvn, &own) {
            (Cmvn::Global, _) => standardise(&mut feats, level, (&self.mean, &self.std)),
            (_, Some((mean, std))) => standardise(&mut feats, 0.0, (&mean.to_vec(), &std.to_vec())),
            (_, None) => feats -= level,
        }
        match self.options.fixed_frames {
            0 => feats,
            frames => stretch(feats.view(), frames).slice_move(s![window, ..]),
        }
    }

    /// What a decoder reads of the pitch of features that [`Normalisation::apply`] gives, as many frames:
    /// [`F0Contour::standardised`], stretched as they are.
    pub fn pitch(&self, contour: &F0Contour) -> Array2<f32> {
        let pitch = contour.standardised();
        match self.options.fixed_frames {
            0 => pitch,
            frames => stretch(pitch.view(), frames),
        }
    }

    /// The inverse of [`Normalisation::apply`] for features that a network has decoded. Length, utterance mean and, with
    /// [`Cmvn::Utterance`], mean and deviation per bin are those of `like`, `[frames, bins]`.
    pub fn restore(&self, normalised: Array2<f32>, like: &Array2<f32>) -> Array2<f32> {
        let mut feats = match self.options.fixed_frames {
            0 => normalised,
            _ => stretch(normalised.view(), like.nrows()),
        };
        let subtracted = match self.options.subtracts_utterance_mean() {
            true => utterance_mean(like),
            false => 0.0,
        };
        match self.options.cmvn {
            Cmvn::None => {}
            Cmvn::Global => {
                let (mean, std) = (
                    Array1::from(self.mean.clone()),
                    Array1::from(self.std.clone()),
                );
                feats = feats * &std + &mean;
            }
            Cmvn::Utterance => {
                let (mean, std) = own_statistics(like);
                feats = feats * &std + &(mean - subtracted);
            }
        }
        feats + subtracted
    }

    fn level(&self, mut feats: Array2<f32>) -> Array2<f32> {
        if self.options.subtracts_utterance_mean() {
            let mean = utterance_mean(&feats);
            feats -= mean;
        }
        feats
    }
}

/// Subtracts a level and a mean per bin, and divides by a deviation per bin.
fn standardise(feats: &mut Array2<f32>, level: f32, (mean, std): (&[f32], &[f32])) {
    for mut frame in feats.rows_mut() {
        for ((value, mean), std) in frame.iter_mut().zip(mean).zip(std) {
            *value = (*value - level - mean) / std;
        }
    }
}

/// Mean over all bins and frames, in double precision. Several sums at once do not wait for each other.
fn utterance_mean(feats: &Array2<f32>) -> f32 {
    let values = feats.as_standard_layout();
    let (chunks, rest) = values.as_slice().unwrap_or_default().as_chunks::<8>();
    let mut sums = [0f64; 8];
    for chunk in chunks {
        for (sum, &value) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(value);
        }
    }
    let rest = rest.iter().copied().map(f64::from);
    ((sums.into_iter().chain(rest)).sum::<f64>() / feats.len().max(1) as f64) as f32
}

/// Mean and deviation per bin of an utterance, each `[bins]`.
fn own_statistics(feats: &Array2<f32>) -> (Array1<f32>, Array1<f32>) {
    let feats = feats.mapv(f64::from);
    let mean = feats.mean_axis(Axis(0)).unwrap_or_default();
    let std = feats.std_axis(Axis(0), 0.0);
    (mean.mapv(|m| m as f32), std.mapv(|s| s.max(1e-5) as f32))
}

/// Sums for mean and deviation per bin, in double precision.
#[derive(Debug)]
struct Moments {
    count: f64,
    sum: Array1<f64>,
    squares: Array1<f64>,
}

impl Moments {
    fn new(bins: usize) -> Self {
        Self {
            count: 0.0,
            sum: Array1::zeros(bins),
            squares: Array1::zeros(bins),
        }
    }

    fn add(&mut self, feats: &Array2<f32>) {
        for row in feats.rows() {
            let row = row.mapv(f64::from);
            self.sum += &row;
            self.squares += &(&row * &row);
        }
        self.count += feats.nrows() as f64;
    }

    fn mean_std(&self) -> Result<(Vec<f32>, Vec<f32>)> {
        if self.count == 0.0 {
            return Err(Error::option(
                "training data",
                "features with frames",
                "none",
            ));
        }
        let mean = &self.sum / self.count;
        let variance = &self.squares / self.count - &mean * &mean;
        let std = variance.mapv(|v| v.max(1e-10).sqrt() as f32);
        Ok((mean.mapv(|m| m as f32).to_vec(), std.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn restore_inverts_apply() {
        let feats = Array2::from_shape_fn((9, 4), |(t, b)| (t * 3 + b * b) as f32 * 0.3 - 2.0);
        for cmvn in [Cmvn::None, Cmvn::Utterance, Cmvn::Global] {
            for (subtract_utterance_mean, fixed_frames) in [(true, 0), (false, 0), (true, 9)] {
                let options = NormalisationOptions {
                    subtract_utterance_mean: Some(subtract_utterance_mean),
                    cmvn,
                    fixed_frames,
                };
                let other = feats.mapv(|x| x * 2.0 + 1.0);
                let normalisation =
                    Normalisation::fit(&options, 4, std::iter::once(Ok(other))).unwrap();
                let all = normalisation.apply(feats.clone());
                let window = 1..3;
                let some = normalisation.apply_within(feats.clone(), window.clone());
                assert_eq!(some, all.slice(s![window, ..]), "{options:?}");
                let back = normalisation.restore(all, &feats);
                let gap = (&back - &feats).mapv(f32::abs);
                assert!(gap.iter().all(|&gap| gap < 1e-4), "{options:?} {gap}");
            }
        }
    }

    #[test]
    fn global_statistics_standardise_the_corpus() {
        let corpus = [
            array![[1f32, 10.0], [3.0, 30.0]],
            array![[5.0, 50.0], [7.0, 70.0]],
        ];
        let options = NormalisationOptions {
            subtract_utterance_mean: Some(false),
            ..Default::default()
        };
        let normalisation =
            Normalisation::fit(&options, 2, corpus.iter().cloned().map(Ok)).unwrap();
        let normalised = normalisation.apply(corpus[0].clone());
        let expected = (1.0 - 4.0) / 5f32.sqrt();
        assert!(
            (normalised[[0, 0]] - expected).abs() < 1e-5
                && (normalised[[0, 1]] - expected).abs() < 1e-5
        );
    }

    #[test]
    fn invalid_statistics_are_refused() {
        let of = |mean: &[f32], std: &[f32]| {
            let normalisation = Normalisation {
                mean: mean.to_vec(),
                std: std.to_vec(),
                ..Normalisation::identity(2)
            };
            (normalisation
                .check(Path::new("x.json"))
                .map_err(|error| error.to_string()))
            .err()
        };
        assert_eq!(of(&[0.0, 1.0], &[1.0, 2.0]), None);
        for (mean, std, expected) in [
            (
                &[][..],
                &[][..],
                "x.json: normalisation.mean: expected 1 to 65536 values, found 0",
            ),
            (
                &[0.0, 1.0],
                &[1.0],
                "x.json: normalisation.std: expected 2 values, as many as normalisation.mean has, found 1",
            ),
            (
                &[0.0, f32::NAN],
                &[1.0, 1.0],
                "x.json: normalisation.mean: expected finite numbers, found NaN",
            ),
            (
                &[0.0, 1.0],
                &[1.0, 0.0],
                "x.json: normalisation.std: expected finite numbers above 0, found 0",
            ),
            (
                &[0.0, 1.0],
                &[1.0, f32::INFINITY],
                "x.json: normalisation.std: expected finite numbers above 0, found inf",
            ),
        ] {
            assert_eq!(of(mean, std).as_deref(), Some(expected));
        }
    }

    #[test]
    fn the_type_of_features_decides_whether_they_have_a_level() {
        let of = |subtract_utterance_mean, features: FeatureType| {
            let options = NormalisationOptions {
                subtract_utterance_mean,
                ..Default::default()
            };
            let resolved = options.for_features(features);
            resolved.map(|resolved| resolved.subtract_utterance_mean)
        };
        for features in FeatureType::ALL {
            let level = features.is_log_spectrum();
            assert_eq!(of(None, features).unwrap(), Some(level));
            assert_eq!(of(Some(false), features).unwrap(), Some(false));
            assert_eq!(of(Some(true), features).is_ok(), level);
        }
        let error = of(Some(true), FeatureType::HiddenStates).unwrap_err();
        let expected = "normalisation.subtract_utterance_mean: expected false with features of type hidden_states";
        assert!(error.to_string().starts_with(expected), "{error}");
    }

    #[test]
    fn loudness_is_removed() {
        let normalisation = Normalisation::fit(
            &NormalisationOptions {
                cmvn: Cmvn::None,
                ..Default::default()
            },
            2,
            std::iter::empty(),
        )
        .unwrap();
        let quiet = array![[1f32, 2.0], [4.0, 3.0]];
        let gap = normalisation.apply(quiet.clone()) - normalisation.apply(quiet + 7.0);
        assert!(gap.iter().all(|g| g.abs() < 1e-5));
    }
}
