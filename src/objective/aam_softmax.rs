//! Additive angular margin softmax: classification of the training speakers by angle, with a margin to keep.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::nn::{Path, init};
use tch::{Kind, Tensor};

use super::classification::cross_entropy;
use crate::dataset::labels::NO_LABEL;
use crate::error::{Error, Result, check_within};
use crate::nn::check_small;
use crate::nn::speaker_encoder::normalise;

/// Additive angular margin softmax (ArcFace, Deng et al. 2019, eq. 3).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AamSoftmaxOptions {
    /// Margin added to the angle of the right speaker, in radians.
    pub margin: f64,
    /// Factor of the cosines before the softmax.
    pub scale: f64,
    /// Directions of each speaker, of which the nearest counts (sub-centre ArcFace, Deng et al. 2020): the others take what
    /// is labelled wrongly or sounds unlike the rest.
    pub sub_centres: i64,
    /// The nearest other speakers whose angle is made smaller by `penalty` (inter-topk, Zhao et al. 2022). 0 for none.
    pub hard_speakers: i64,
    /// Angle by which `hard_speakers` come nearer, in radians.
    pub penalty: f64,
    /// Steps without margin and penalty.
    pub margin_start: u64,
    /// Steps after these in which margin and penalty grow to their values.
    pub margin_length: u64,
}

impl Default for AamSoftmaxOptions {
    fn default() -> Self {
        Self {
            margin: 0.2,
            scale: 30.0,
            sub_centres: 1,
            hard_speakers: 0,
            penalty: 0.06,
            margin_start: 0,
            margin_length: 0,
        }
    }
}

impl AamSoftmaxOptions {
    /// Checks every value; `name` is the table that holds them.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self, name: &str) -> Result<()> {
        let refuse = |key: &str, expected: &str, found: String| {
            Err(Error::option(format!("{name}.{key}"), expected, found))
        };
        // Beyond a right angle in total, the cosine would rise again.
        let right_angle = std::f64::consts::FRAC_PI_2;
        for (key, angle) in [("margin", self.margin), ("penalty", self.penalty)] {
            if !(0.0..right_angle).contains(&angle) {
                return refuse(key, "0 to less than pi / 2 radians", angle.to_string());
            }
        }
        if !self.scale.is_finite() || self.scale <= 0.0 {
            return refuse("scale", "more than 0", self.scale.to_string());
        }
        for (key, steps) in [
            ("margin_start", self.margin_start),
            ("margin_length", self.margin_length),
        ] {
            check_within(format!("{name}.{key}"), steps, 0..=1_000_000_000)?;
        }
        check_within(
            format!("{name}.hard_speakers"),
            self.hard_speakers,
            0..=1 << 16,
        )?;
        check_small(format!("{name}.sub_centres"), self.sub_centres, 1)
    }

    /// The share of margin and penalty at a step, from 0 to 1.
    fn share(&self, step: u64) -> f64 {
        let risen = step.saturating_sub(self.margin_start) as f64;
        (risen / self.margin_length.max(1) as f64).min(1.0)
    }
}

/// The loss with its directions.
#[derive(Debug)]
pub(super) struct AamSoftmax {
    options: AamSoftmaxOptions,
    /// `[speakers * sub-centres, dim]`, those of a speaker together.
    directions: Tensor,
}

impl AamSoftmax {
    pub(super) fn new(path: &Path, options: AamSoftmaxOptions, dim: i64, speakers: i64) -> Self {
        let shape = [speakers * options.sub_centres, dim];
        Self {
            options,
            directions: path.var("directions", &shape, init::DEFAULT_KAIMING_UNIFORM),
        }
    }

    /// The mean loss of embeddings `[batch, dim]` of length 1 whose speakers `[batch]` are known.
    pub(super) fn loss(&self, embeds: &Tensor, speakers: &Tensor, step: u64) -> Tensor {
        let options = &self.options;
        let cosines = embeds.matmul(&normalise(&self.directions).tr());
        let cosines = match options.sub_centres {
            1 => cosines,
            count => cosines
                .view([embeds.size()[0], -1, count])
                .amax(2i64, false),
        };
        let cosines = cosines.clamp(-1.0 + 1e-7, 1.0 - 1e-7);
        let sines = (cosines.square().neg() + 1.0).sqrt();
        let right = speakers
            .clamp_min(0)
            .one_hot(cosines.size()[1])
            .to_kind(Kind::Bool)
            .logical_and(&speakers.ne(NO_LABEL).unsqueeze(1));
        let share = options.share(step);
        let margin = options.margin * share;
        let wider = &cosines * margin.cos() - &sines * margin.sin();
        // Beyond pi - margin the cosine of the wider angle would rise again: it is continued by a straight line.
        let beyond = &cosines - margin.sin() * margin;
        let wider = wider.where_self(&cosines.gt(-margin.cos()), &beyond);
        let mut logits = wider.where_self(&right, &cosines);
        let hard_speakers = options.hard_speakers.min(cosines.size()[1] - 1);
        if hard_speakers > 0 {
            let penalty = options.penalty * share;
            let narrower = &cosines * penalty.cos() + &sines * penalty.sin();
            let others = cosines.masked_fill(&right, f64::NEG_INFINITY);
            let (_, nearest) = others.topk(hard_speakers, 1, true, false);
            let hard = right.zeros_like().scatter_value(1, &nearest, 1);
            logits = narrower.where_self(&hard, &logits);
        }
        cross_entropy(&(logits * options.scale), speakers, 0.0)
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    fn head(options: AamSoftmaxOptions, directions: &[f32]) -> AamSoftmax {
        AamSoftmax {
            options,
            directions: Tensor::from_slice(directions).view([-1, 2]),
        }
    }

    #[test]
    fn the_margin_widens_the_angle_as_far_as_it_has_grown() {
        let angle = 0.5f64;
        let embeds = Tensor::from_slice(&[angle.cos() as f32, angle.sin() as f32]).view([1, 2]);
        let options = AamSoftmaxOptions {
            scale: 8.0,
            margin_start: 2,
            margin_length: 4,
            ..AamSoftmaxOptions::default()
        };
        let head = head(options, &[1.0, 0.0, 0.0, 1.0]);
        for (step, margin) in [(2, 0.0), (3, 0.05), (6, 0.2), (1000, 0.2)] {
            let loss = head.loss(&embeds, &Tensor::from_slice(&[0i64]), step);
            let (right, other) = (8.0 * (angle + margin).cos(), 8.0 * angle.sin());
            let expected = -(right.exp() / (right.exp() + other.exp())).ln();
            let found = loss.double_value(&[]);
            assert!(
                (found - expected).abs() < 1e-5,
                "{step}: {found} {expected}"
            );
        }
        let unknown = head.loss(&embeds, &Tensor::from_slice(&[NO_LABEL]), 9);
        assert_eq!(unknown.double_value(&[]), 0.0);
    }

    /// Against plain arithmetic in f64: the nearest of each speaker's directions counts, and the nearest two other speakers
    /// come nearer.
    #[test]
    fn sub_centres_and_hard_speakers_follow_their_formulas() {
        let options = AamSoftmaxOptions {
            margin: 0.3,
            scale: 5.0,
            sub_centres: 3,
            hard_speakers: 2,
            penalty: 0.1,
            ..AamSoftmaxOptions::default()
        };
        tch::manual_seed(4);
        let random = |rows: i64| {
            let drawn = Tensor::randn([rows, 2], (Kind::Double, Device::Cpu));
            normalise(&drawn)
        };
        let (embeds, directions) = (random(8), random(5 * 3));
        let speakers = [0i64, 1, 2, 3, 4, 0, 1, 2];
        let head = AamSoftmax {
            options,
            directions: directions.shallow_clone(),
        };
        let found = head.loss(&embeds, &Tensor::from_slice(&speakers), 1);
        let cosine = |utterance: i64, row: i64| {
            let (a, b) = (embeds.get(utterance), directions.get(row));
            a.dot(&b).double_value(&[])
        };
        let mut expected = 0.0;
        for (utterance, &right) in (0..).zip(&speakers) {
            let nearest = |speaker: i64| {
                (0..3)
                    .map(|centre| cosine(utterance, 3 * speaker + centre))
                    .fold(-1.0, f64::max)
            };
            let mut others: Vec<f64> = (0..5).filter(|&s| s != right).map(nearest).collect();
            others.sort_by(|a, b| b.total_cmp(a));
            let narrower = |cosine: f64| (cosine.acos() - 0.1).cos();
            let own = (nearest(right).acos() + 0.3).cos();
            let logits = [
                own,
                narrower(others[0]),
                narrower(others[1]),
                others[2],
                others[3],
            ];
            let sum: f64 = logits.iter().map(|x| (5.0 * x).exp()).sum();
            expected += (sum.ln() - 5.0 * own) / 8.0;
        }
        let found = found.double_value(&[]);
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }

    #[test]
    fn options_out_of_range_are_refused() {
        let options = AamSoftmaxOptions::default();
        for (key, odd) in [
            (
                "speaker.margin",
                AamSoftmaxOptions {
                    margin: 1.6,
                    ..options
                },
            ),
            (
                "speaker.margin",
                AamSoftmaxOptions {
                    margin: f64::NAN,
                    ..options
                },
            ),
            (
                "speaker.penalty",
                AamSoftmaxOptions {
                    penalty: -0.1,
                    ..options
                },
            ),
            (
                "speaker.scale",
                AamSoftmaxOptions {
                    scale: 0.0,
                    ..options
                },
            ),
            (
                "speaker.sub_centres",
                AamSoftmaxOptions {
                    sub_centres: 0,
                    ..options
                },
            ),
            (
                "speaker.hard_speakers",
                AamSoftmaxOptions {
                    hard_speakers: -1,
                    ..options
                },
            ),
        ] {
            let error = odd.check("speaker").unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
    }
}
