//! An adversary in closed form: linear discriminant analysis of utterances' statistics, as an attacker who averages several
//! utterances of a speaker would learn it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor, no_grad};

use super::adversary::{Adversary, StepContext};
use crate::error::{Error, Result};
use crate::objective::independence::{
    between_speakers, means_and_covariances, statistics_of, within_speakers,
};
use crate::train::{Clock, OptimiserOptions, Scalars, Trainable};

/// Weight of the discriminant, and how it is estimated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SpeakerLdaOptions {
    /// Weight in the encoders' loss of the variance of codes' means and covariances that lies between the speakers of a
    /// batch, relative to that within speakers. Needs `data.sampler.kind = "speakers"`.
    pub weight: f64,
    /// What the covariance within speakers keeps from step to step; the rest is the batch's.
    pub decay: f64,
    /// Share of the variances that is added to the covariance within speakers, whose small ones are uncertain.
    pub shrinkage: f64,
}

impl Default for SpeakerLdaOptions {
    fn default() -> Self {
        Self {
            weight: 5.0,
            decay: 0.97,
            shrinkage: 0.1,
        }
    }
}

impl SpeakerLdaOptions {
    /// Checks every value; `name` is the table that holds them.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self, name: &str) -> Result<()> {
        for (key, value, range, expected) in [
            ("weight", self.weight, 0.0..f64::MAX, "0 or more"),
            ("decay", self.decay, 0.0..1.0, "from 0 to below 1"),
            ("shrinkage", self.shrinkage, 1e-4..1e4, "from 0.0001"),
        ] {
            if !range.contains(&value) {
                return Err(Error::option(
                    format!("{name}.{key}"),
                    expected,
                    value.to_string(),
                ));
            }
        }
        Ok(())
    }
}

/// The adversary.
#[derive(Debug)]
pub struct SpeakerLda {
    options: SpeakerLdaOptions,
    trainable: Trainable,
    /// Covariance within speakers `[statistics, statistics]`, and how much of it has been observed, from 0 to 1.
    within: Tensor,
    observed: Tensor,
}

impl SpeakerLda {
    /// For codes of `code_dim`.
    pub fn new(options: &SpeakerLdaOptions, code_dim: i64, device: Device) -> Self {
        let count = statistics_of(code_dim);
        let optimiser = OptimiserOptions::default();
        let (trainable, (within, observed)) =
            Trainable::new("speaker_lda", device, &optimiser, |path| {
                let within = path.zeros_no_train("within", &[count, count]);
                (within, path.zeros_no_train("observed", &[]))
            });
        Self {
            options: options.clone(),
            trainable,
            within,
            observed,
        }
    }

    /// Takes the covariance of a batch in; one without two utterances of a speaker has none.
    fn observe(&mut self, statistics: &Tensor, speakers: &Tensor) {
        no_grad(|| {
            if let Some(found) = within_speakers(statistics, speakers) {
                let keep = self.options.decay;
                let _ = self
                    .within
                    .g_mul_scalar_(keep)
                    .g_add_(&(found * (1.0 - keep)));
                let _ = self.observed.g_mul_scalar_(keep).g_add_scalar_(1.0 - keep);
            }
        });
    }

    /// `x` times the inverse of the shrunk covariance within speakers.
    fn whitened(&self, x: &Tensor) -> Tensor {
        let within = &self.within / self.observed.clamp_min(1e-6);
        let variances = within.diag(0);
        let floor = variances.mean(None) * 1e-3 + 1e-6;
        let shrunk = &within + (variances * self.options.shrinkage + floor).diag(0);
        // Codes that are not finite have none, and then neither has the loss, which ends the run by name.
        let (factor, _) = shrunk.linalg_cholesky_ex(false, false);
        x.tr().cholesky_solve(&factor, false).tr()
    }
}

impl Adversary for SpeakerLda {
    fn trainable(&mut self) -> &mut Trainable {
        &mut self.trainable
    }

    fn inner_steps(&self) -> usize {
        1
    }

    fn inner_step(&mut self, context: &StepContext, _: &Clock, _: &mut Scalars) -> Result<()> {
        let statistics = means_and_covariances(context.codes(), context.code_mask());
        self.observe(&statistics, &context.batch.speakers);
        Ok(())
    }

    fn encoder_term(
        &mut self,
        context: &StepContext,
        _: u64,
        scalars: &mut Scalars,
    ) -> Option<Tensor> {
        (self.options.weight > 0.0).then(|| {
            let statistics = means_and_covariances(context.codes(), context.code_mask());
            let term = between_speakers(&statistics, &context.batch.speakers, |x| self.whitened(x));
            scalars.add("speaker_lda/between", &term);
            term * self.options.weight
        })
    }

    fn validate(&self, context: &StepContext, scalars: &mut Scalars) {
        let statistics = means_and_covariances(context.codes(), context.code_mask());
        let term = between_speakers(&statistics, &context.batch.speakers, |x| self.whitened(x));
        scalars.add("speaker_lda/between", &term);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

    /// 20 speakers of 4 utterances; the second statistic varies little, the others much.
    fn statistics(of_speaker: f64) -> (Tensor, Tensor) {
        let count = statistics_of(1);
        let speakers =
            Tensor::arange(80, (Kind::Int64, Device::Cpu)).divide_scalar_mode(4, "floor");
        let scale = Tensor::from_slice(&[1.0f32, 0.1]);
        let noise = Tensor::randn([80, count], CPU) * &scale;
        let own = Tensor::randn([20, 1], CPU).index_select(0, &speakers) * (of_speaker * 0.1);
        (noise + Tensor::cat(&[own.zeros_like(), own], 1), speakers)
    }

    #[test]
    fn what_varies_little_counts_as_much() {
        tch::manual_seed(0);
        let mut lda = SpeakerLda::new(&SpeakerLdaOptions::default(), 1, Device::Cpu);
        for _ in 0..50 {
            let (statistics, speakers) = statistics(1.0);
            lda.observe(&statistics, &speakers);
        }
        let mean = |lda: &SpeakerLda, of_speaker| {
            let draws = (0..50).map(|_| {
                let (statistics, speakers) = statistics(of_speaker);
                let term = between_speakers(&statistics, &speakers, |x| lda.whitened(x));
                term.double_value(&[])
            });
            draws.sum::<f64>() / 50.0
        };
        // One of two statistics has as much variance between speakers as within.
        let found = mean(&lda, 1.0);
        assert!((found - 0.43).abs() < 0.1, "{found}");
        assert!(mean(&lda, 0.0).abs() < 0.05);
    }

    #[test]
    fn codes_that_are_not_finite_give_no_finite_term() {
        let mut lda = SpeakerLda::new(&SpeakerLdaOptions::default(), 1, Device::Cpu);
        let (statistics, speakers) = statistics(1.0);
        lda.observe(&(&statistics * f64::NAN), &speakers);
        let term = between_speakers(&statistics, &speakers, |x| lda.whitened(x));
        assert!(!term.double_value(&[]).is_finite());
    }

    #[test]
    fn before_anything_is_observed_it_is_finite() {
        let lda = SpeakerLda::new(&SpeakerLdaOptions::default(), 1, Device::Cpu);
        let (statistics, speakers) = statistics(1.0);
        let term = between_speakers(&statistics, &speakers, |x| lda.whitened(x));
        assert!(term.double_value(&[]).is_finite());
    }

    #[test]
    fn invalid_values_are_named() {
        let error = SpeakerLdaOptions {
            decay: 1.0,
            ..Default::default()
        };
        let expected = "speaker_lda.decay: expected from 0 to below 1, found 1";
        assert_eq!(
            error.check("speaker_lda").unwrap_err().to_string(),
            expected
        );
    }
}
