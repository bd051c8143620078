//! Losses on speaker embeddings: similar embeddings of one speaker, different ones of different speakers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::nn::{Path, init};
use tch::{Kind, Tensor};

use super::aam_softmax::{AamSoftmax, AamSoftmaxOptions};
use super::classification::mean_where;
use crate::error::{Error, Result};
use crate::nn::speaker_encoder::normalise;

/// Loss on speaker embeddings that brings those of one speaker together and separates speakers. All but `aam_softmax`
/// compare the utterances of a batch, so batches need several utterances per speaker (sampler `speakers`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SpeakerConstraint {
    /// Supervised contrastive loss (Khosla et al. 2020, eq. 2): among all other embeddings of the batch, identify those
    /// of the same speaker.
    SupervisedContrastive {
        /// Divides the cosines; lower values weight the hardest negatives more.
        temperature: f64,
    },
    /// Contrastive loss with a margin (Hadsell et al. 2006): squared distance for pairs of one speaker, `max(0, margin
    /// - distance)^2` for pairs of two speakers; the mean of both.
    PairwiseMargin {
        /// Distance beyond which two speakers are not pushed further apart. Embeddings have length 1, so distances are
        /// at most 2.
        margin: f64,
    },
    /// Triplet loss (Schroff et al. 2015) with the hardest positive and negative of the batch (Hermans et al. 2017):
    /// `max(0, margin + d_same - d_other)`.
    Triplet {
        /// Distance by which the other speaker has to be further away. Embeddings have length 1.
        margin: f64,
    },
    /// Generalised end-to-end loss (Wan et al. 2018, eq. 5 and 6, softmax): the cosine to the mean of the speaker's
    /// other embeddings, compared with those to the means of the other speakers. Scale and shift are learned.
    Ge2e,
    /// Angular prototypical loss (Chung et al. 2020, eq. 7): as `ge2e`, with one query per speaker against the mean of
    /// the speaker's other embeddings.
    AngularPrototypical,
    /// Additive angular margin softmax (ArcFace, Deng et al. 2019, eq. 3): classification of the training speakers with
    /// a margin added to the angle of the right one. Works with any sampler.
    AamSoftmax(AamSoftmaxOptions),
}

impl Default for SpeakerConstraint {
    fn default() -> Self {
        Self::SupervisedContrastive { temperature: 0.1 }
    }
}

impl SpeakerConstraint {
    /// Checks every value; `name` is the table that holds them.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(self, name: &str) -> Result<()> {
        let positive = match self {
            Self::SupervisedContrastive { temperature } => vec![("temperature", temperature)],
            Self::PairwiseMargin { margin } | Self::Triplet { margin } => vec![("margin", margin)],
            Self::Ge2e | Self::AngularPrototypical => Vec::new(),
            Self::AamSoftmax(options) => return options.check(name),
        };
        for (key, value) in positive {
            if !value.is_finite() || value <= 0.0 {
                let found = value.to_string();
                return Err(Error::option(format!("{name}.{key}"), "more than 0", found));
            }
        }
        Ok(())
    }

    /// Whether it has parameters.
    pub fn learns(self) -> bool {
        matches!(
            self,
            Self::Ge2e | Self::AngularPrototypical | Self::AamSoftmax(_)
        )
    }
}

/// A loss with its parameters.
#[derive(Debug)]
pub struct SpeakerHead {
    constraint: SpeakerConstraint,
    /// Scale and shift of cosines, each `[1]`.
    scale_shift: Option<(Tensor, Tensor)>,
    aam_softmax: Option<AamSoftmax>,
}

impl SpeakerHead {
    /// For embeddings of `dim` values of `speakers` training speakers.
    pub fn new(path: Path, constraint: SpeakerConstraint, dim: i64, speakers: i64) -> Self {
        use SpeakerConstraint::{AngularPrototypical, Ge2e};
        let scale_shift = matches!(constraint, Ge2e | AngularPrototypical).then(|| {
            let start = |name: &str, value| path.var(name, &[1], init::Init::Const(value));
            (start("scale", 10.0), start("shift", -5.0))
        });
        let aam_softmax = match constraint {
            SpeakerConstraint::AamSoftmax(options) => {
                Some(AamSoftmax::new(&path, options, dim, speakers))
            }
            _ => None,
        };
        Self {
            constraint,
            scale_shift,
            aam_softmax,
        }
    }

    /// The loss of embeddings `[batch, dim]` of length 1 with speakers `[batch]`. A batch in which no speaker occurs twice
    /// has no positive pairs; then only negative pairs count, where the loss has any. `step` counts from 1.
    pub fn loss(&self, embeds: &Tensor, speakers: &Tensor, step: u64) -> Tensor {
        match self.constraint {
            SpeakerConstraint::SupervisedContrastive { temperature } => {
                let pairs = Pairs::of(embeds, speakers);
                let log_probability = (pairs.cosines / temperature)
                    .masked_fill(&pairs.itself, -1e9)
                    .log_softmax(1, Kind::Float);
                mean_where(&log_probability.neg(), &pairs.positive)
            }
            SpeakerConstraint::PairwiseMargin { margin } => {
                let pairs = Pairs::of(embeds, speakers);
                let squared = pairs.squared_distances();
                let hinge: Tensor = (squared.sqrt().neg() + margin).relu();
                mean_where(&squared, &pairs.positive) + mean_where(&hinge.square(), &pairs.negative)
            }
            SpeakerConstraint::Triplet { margin } => {
                let pairs = Pairs::of(embeds, speakers);
                let distances = pairs.squared_distances().sqrt();
                let furthest = (&distances * &pairs.positive).amax(1i64, false);
                let nearest = (&distances + (pairs.negative.neg() + 1.0) * 1e9).amin(1i64, false);
                let complete = pairs.positive.amax(1i64, false) * pairs.negative.amax(1i64, false);
                mean_where(&(furthest - nearest + margin).relu(), &complete)
            }
            SpeakerConstraint::Ge2e => self.ge2e(embeds, speakers),
            SpeakerConstraint::AngularPrototypical => self.prototypical(embeds, speakers),
            SpeakerConstraint::AamSoftmax(_) => match &self.aam_softmax {
                Some(head) => head.loss(embeds, speakers, step),
                None => embeds.sum(Kind::Float) * 0.0,
            },
        }
    }

    /// Scaled and shifted cosines; the scale stays positive.
    fn similarity(&self, cosines: &Tensor) -> Tensor {
        match &self.scale_shift {
            Some((scale, shift)) => cosines * scale.clamp_min(1e-6) + shift,
            None => cosines.shallow_clone(),
        }
    }

    fn ge2e(&self, embeds: &Tensor, speakers: &Tensor) -> Tensor {
        let pairs = Pairs::of(embeds, speakers);
        let counts = pairs.counts();
        let means = normalise(&pairs.same.matmul(embeds));
        let to_own = self.similarity(&(embeds * pairs.others_mean(embeds)).sum_dim_intlist(
            &[1i64][..],
            true,
            Kind::Float,
        ));
        let to_means = self.similarity(&embeds.matmul(&means.tr()));
        let own = pairs.same.gt(0.5);
        let scores = to_own.where_self(&own, &to_means);
        // Each speaker's mean occurs once per embedding of the speaker, and has to count once.
        let all = (scores - counts.tr().log()).logsumexp(&[1i64][..], true);
        mean_where(&(all - to_own), &counts.gt(1.5).to_kind(Kind::Float))
    }

    fn prototypical(&self, embeds: &Tensor, speakers: &Tensor) -> Tensor {
        let pairs = Pairs::of(embeds, speakers);
        let scores = self.similarity(&embeds.matmul(&pairs.others_mean(embeds).tr()));
        // The first embedding of each speaker with several is a query.
        let earlier = pairs
            .same
            .tril(-1)
            .sum_dim_intlist(&[1i64][..], true, Kind::Float);
        let query = earlier.lt(0.5).logical_and(&pairs.counts().gt(1.5));
        let scores = scores.masked_fill(&query.tr().logical_not(), -1e9);
        let own = scores.log_softmax(1, Kind::Float).diagonal(0, 0, 1).neg();
        mean_where(&own, &query.squeeze_dim(1).to_kind(Kind::Float))
    }
}

/// All pairs of a batch of embeddings of length 1; all tensors are `[batch, batch]`.
struct Pairs {
    cosines: Tensor,
    itself: Tensor,
    /// 1 for pairs of one speaker, including each embedding with itself.
    same: Tensor,
    positive: Tensor,
    negative: Tensor,
}

impl Pairs {
    fn of(embeds: &Tensor, speakers: &Tensor) -> Self {
        let same = speakers.unsqueeze(0).eq_tensor(&speakers.unsqueeze(1));
        let itself = Tensor::eye(embeds.size()[0], (Kind::Bool, embeds.device()));
        let number = |x: &Tensor| x.to_kind(embeds.kind());
        Self {
            cosines: embeds.matmul(&embeds.tr()),
            positive: number(&same.logical_and(&itself.logical_not())),
            negative: number(&same.logical_not()),
            same: number(&same),
            itself,
        }
    }

    /// |a - b|^2 = 2 - 2 cos; the lower bound keeps the derivative of the root finite.
    fn squared_distances(&self) -> Tensor {
        (self.cosines.neg() * 2.0 + 2.0).clamp_min(1e-8)
    }

    /// For each embedding, the number of embeddings of its speaker, `[batch, 1]`.
    fn counts(&self) -> Tensor {
        self.same.sum_dim_intlist(&[1i64][..], true, Kind::Float)
    }

    /// For each embedding, the direction of the mean of its speaker's other embeddings.
    fn others_mean(&self, embeds: &Tensor) -> Tensor {
        normalise(&self.positive.matmul(embeds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, nn::VarStore};

    const AAM_SOFTMAX: AamSoftmaxOptions = AamSoftmaxOptions {
        margin: 0.2,
        scale: 30.0,
        sub_centres: 2,
        hard_speakers: 1,
        penalty: 0.06,
        margin_start: 0,
        margin_length: 0,
    };
    const ALL: [SpeakerConstraint; 6] = [
        SpeakerConstraint::SupervisedContrastive { temperature: 0.1 },
        SpeakerConstraint::PairwiseMargin { margin: 1.0 },
        SpeakerConstraint::Triplet { margin: 0.3 },
        SpeakerConstraint::Ge2e,
        SpeakerConstraint::AngularPrototypical,
        SpeakerConstraint::AamSoftmax(AAM_SOFTMAX),
    ];

    fn head(constraint: SpeakerConstraint, dim: i64) -> (VarStore, SpeakerHead) {
        let store = VarStore::new(Device::Cpu);
        let head = SpeakerHead::new(store.root(), constraint, dim, 3);
        (store, head)
    }

    /// Three embeddings with cosines 01: 0.6, 02: 0, 12: 0.8.
    fn three() -> Tensor {
        Tensor::from_slice(&[1f32, 0.0, 0.6, 0.8, 0.0, 1.0]).reshape([3, 2])
    }

    fn value(constraint: SpeakerConstraint, embeds: &Tensor, speakers: &[i64]) -> f64 {
        let (_store, head) = head(constraint, embeds.size()[1]);
        head.loss(embeds, &Tensor::from_slice(speakers), 1)
            .double_value(&[])
    }

    #[test]
    fn contrastive_follows_its_formula() {
        let constraint = SpeakerConstraint::SupervisedContrastive { temperature: 0.5 };
        // Anchors 0 and 1 have one positive each.
        let anchor0 = -(1.2f64 - (1.2f64.exp() + 0f64.exp()).ln());
        let anchor1 = -(1.2f64 - (1.2f64.exp() + 1.6f64.exp()).ln());
        let found = value(constraint, &three(), &[0, 0, 1]);
        assert!((found - (anchor0 + anchor1) / 2.0).abs() < 1e-6, "{found}");
    }

    #[test]
    fn triplets_follow_their_formula() {
        let constraint = SpeakerConstraint::Triplet { margin: 0.3 };
        let d = |cosine: f64| (2.0 - 2.0 * cosine).sqrt();
        let hinge = |same: f64, other: f64| (0.3 + d(same) - d(other)).max(0.0);
        let found = value(constraint, &three(), &[0, 0, 1]);
        let expected = (hinge(0.6, 0.0) + hinge(0.6, 0.8)) / 2.0;
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }

    #[test]
    fn prototypes_follow_their_formulae() {
        let s = |cosine: f64| (10.0 * cosine - 5.0).exp();
        // Speaker 0 has 0 and 1; speaker 1 has only 2, which is no query, and counts as a mean for GE2E.
        let to_own = s(0.6);
        let ge2e = [0.0, 0.8].map(|to_2| -(to_own / (to_own + s(to_2))).ln());
        let expected = (ge2e[0] + ge2e[1]) / 2.0;
        let found = value(SpeakerConstraint::Ge2e, &three(), &[0, 0, 1]);
        assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        // Two speakers of two: queries are 0 and 2, prototypes 1 and 3.
        let four = Tensor::cat(&[three(), three().narrow(0, 1, 1)], 0);
        let query0 = -(s(0.6) / (s(0.6) + s(0.6))).ln();
        let query2 = -(s(0.8) / (s(0.8) + s(0.8))).ln();
        let found = value(SpeakerConstraint::AngularPrototypical, &four, &[0, 0, 1, 1]);
        assert!((found - (query0 + query2) / 2.0).abs() < 1e-4, "{found}");
    }

    #[test]
    fn the_right_grouping_has_a_lower_loss() {
        tch::manual_seed(0);
        let centres = Tensor::randn([2, 8], (Kind::Float, Device::Cpu));
        let noise = Tensor::randn([8, 8], (Kind::Float, Device::Cpu)) * 0.1;
        let embeds = normalise(&(centres.repeat_interleave_self_int(4, 0, None) + noise));
        // The classes of AAM-softmax have to be learned first.
        for constraint in ALL
            .into_iter()
            .filter(|c| !matches!(c, SpeakerConstraint::AamSoftmax(_)))
        {
            let low = value(constraint, &embeds, &[0, 0, 0, 0, 1, 1, 1, 1]);
            let high = value(constraint, &embeds, &[0, 1, 0, 1, 0, 1, 0, 1]);
            assert!(low < high, "{constraint:?} {low} {high}");
        }
    }

    #[test]
    fn the_loss_of_a_batch_of_different_speakers_is_finite() {
        let embeds = normalise(&Tensor::randn([3, 4], (Kind::Float, Device::Cpu)));
        for constraint in ALL {
            assert!(
                value(constraint, &embeds, &[0, 1, 2]).is_finite(),
                "{constraint:?}"
            );
        }
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        tch::manual_seed(1);
        let speakers = Tensor::from_slice(&[0i64, 0, 1, 1, 2]);
        let x = Tensor::randn([5, 4], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        for constraint in ALL {
            let (_store, head) = head(constraint, 4);
            let value = |x: &Tensor| head.loss(&normalise(x), &speakers, 1);
            let grad = Tensor::run_backward(&[value(&x)], &[&x], false, false).remove(0);
            let h = 5e-3;
            for index in [0i64, 7, 18] {
                let step = Tensor::zeros_like(&x.detach()).view([-1]);
                let _ = step.get(index).fill_(h);
                let step = step.view([5, 4]);
                let slope = (value(&(x.detach() + &step)) - value(&(x.detach() - &step)))
                    .double_value(&[])
                    / (2.0 * h);
                let found = grad.view([-1]).double_value(&[index]);
                // The sums run in f32, which bounds what a difference can show.
                let off = (slope - found).abs();
                assert!(
                    off < 0.02 * (1.0 + found.abs()),
                    "{constraint:?}: {slope} {found}"
                );
            }
        }
    }
}
