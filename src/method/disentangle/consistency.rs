//! Consistency losses: codes stay the same under voice conversion, under decoding, and under perturbed input.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::adversary::StepContext;
use crate::error::{Error, Result};
use crate::objective::independence::speaker_variance;
use crate::objective::invariance::Invariance;
use crate::objective::reconstruction::Reconstruction;
use crate::train::Scalars;

/// Weights of the consistency losses; 0 leaves one out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConsistencyOptions {
    /// Codes stay the same when they are decoded with another speaker's embedding and encoded again: `|E(D(z, s')) -
    /// z|`.
    pub cross_speaker: f64,
    /// As `cross_speaker`, with the speaker embedding of the reconstruction (AutoVC's content loss, Qian et al. 2019,
    /// eq. 6).
    pub content: f64,
    /// Codes of two views of an utterance are similar. Needs `perturb` or `data.second_view`.
    pub invariance: f64,
    /// Means and covariances of an utterance's codes are no more alike within a speaker than across speakers: weight of
    /// the share of their variance that lies between the speakers of a batch. This is what an attacker finds who averages
    /// statistics over several utterances. Needs `data.sampler.kind = "speakers"`.
    pub speaker_variance: f64,
    /// Distance between codes for `invariance`.
    pub similarity: Invariance,
}

impl ConsistencyOptions {
    /// Checks every value; `name` is the table that holds them. `has_views` tells whether two views of an utterance differ.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self, name: &str, has_views: bool) -> Result<()> {
        for (key, value) in [
            ("cross_speaker", self.cross_speaker),
            ("content", self.content),
            ("invariance", self.invariance),
            ("speaker_variance", self.speaker_variance),
        ] {
            if !value.is_finite() || value < 0.0 {
                let found = value.to_string();
                return Err(Error::option(format!("{name}.{key}"), "0 or more", found));
            }
        }
        if self.invariance > 0.0 && !has_views {
            return Err(Error::option(
                format!("{name}.invariance"),
                "0 without method.perturb or data.second_view",
                self.invariance.to_string(),
            ));
        }
        self.similarity.check(&format!("{name}.similarity"))
    }

    /// The weighted losses of a batch; `decoded` gives its reconstructed features `[batch, bins, frames]`.
    pub fn terms<'a>(
        &self,
        context: &StepContext,
        decoded: impl FnOnce() -> &'a Tensor,
        scalars: &mut Scalars,
    ) -> Vec<Tensor> {
        let model = context.model;
        // The original codes are detached: gradients go through the decoded features and their codes.
        let distance = |feats: &Tensor| {
            let again = model.encode(feats, &context.mask, context.train);
            Reconstruction::L1.loss(&again.codes, &context.codes().detach(), &again.mask)
        };
        let mut terms = Vec::new();
        let mut add = |name: &str, weight: f64, term: Tensor| {
            scalars.add(name, &term);
            terms.push(term * weight);
        };
        if self.cross_speaker > 0.0 {
            let term = distance(&context.converted(context.codes(), context.embeds()));
            add(
                "decoder/cross_speaker_consistency",
                self.cross_speaker,
                term,
            );
        }
        if self.content > 0.0 {
            add(
                "decoder/content_consistency",
                self.content,
                distance(decoded()),
            );
        }
        if self.speaker_variance > 0.0 && context.train {
            let (codes, mask) = (context.codes(), context.code_mask());
            let term = speaker_variance(codes, mask, &context.batch.speakers);
            add(
                "phonetic_encoder/speaker_variance",
                self.speaker_variance,
                term,
            );
        }
        if self.invariance > 0.0 && context.train {
            let other = model.encode(&context.second_view(), &context.mask, true);
            let term = self
                .similarity
                .loss(&other.codes, context.codes(), &other.mask);
            add("phonetic_encoder/invariance", self.invariance, term);
        }
        terms
    }
}
