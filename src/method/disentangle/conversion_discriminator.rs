//! A discriminator of real against converted features, which trains the decoder to make converted speech realistic (Chou
//! et al. 2018, section 2.2; Kaneko and Kameoka 2018).

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use tch::{Device, Kind, Tensor, no_grad};

use super::adversary::{Adversary, StepContext};
use crate::error::{Error, Result};
use crate::nn::classifier::Answer;
use crate::nn::{Classifier, ClassifierOptions, Mask};
use crate::objective::adversarial::{GanLoss, gradient_penalty};
use crate::train::schedule::{Ramp, check_inner_steps};
use crate::train::{Clock, OptimiserOptions, Scalars, Trainable, update};

/// The discriminator, and how the decoder is trained against it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConversionDiscriminatorOptions {
    /// Loss of discriminator and decoder.
    pub loss: GanLoss,
    /// Weight of the decoder's loss. Codes and embeddings get no gradient from it, so it trains the decoder alone.
    pub weight: Ramp,
    /// Discriminator steps per training step, each on a batch of its own.
    pub inner_steps: usize,
    /// Weight of the gradient penalty of `loss = "wasserstein"`.
    pub gradient_penalty: f64,
    /// Network of the discriminator, which gives a score per frame.
    pub network: ClassifierOptions,
    /// Optimiser of the discriminator.
    #[serde(deserialize_with = "own_optimiser")]
    pub optimiser: OptimiserOptions,
}

fn own_optimiser<'de, D: Deserializer<'de>>(written: D) -> Result<OptimiserOptions, D::Error> {
    OptimiserOptions::over(ConversionDiscriminatorOptions::default().optimiser, written)
}

impl Default for ConversionDiscriminatorOptions {
    fn default() -> Self {
        Self {
            loss: GanLoss::Hinge,
            weight: Ramp::default(),
            inner_steps: 1,
            gradient_penalty: 10.0,
            network: ClassifierOptions {
                batch_norm: false,
                spectral_norm: true,
                ..ClassifierOptions::default()
            },
            optimiser: OptimiserOptions {
                beta1: 0.5,
                beta2: 0.9,
                ..OptimiserOptions::default()
            },
        }
    }
}

impl ConversionDiscriminatorOptions {
    /// Checks every value; `name` is the table that holds them.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self, name: &str) -> Result<()> {
        self.weight.check(&format!("{name}.weight"))?;
        self.network.check(&format!("{name}.network"))?;
        self.optimiser.check(&format!("{name}.optimiser"))?;
        let refuse = |key: &str, expected: &str, found: String| {
            Err(Error::option(format!("{name}.{key}"), expected, found))
        };
        check_inner_steps(format!("{name}.inner_steps"), self.inner_steps)?;
        if !self.gradient_penalty.is_finite() || self.gradient_penalty < 0.0 {
            let found = self.gradient_penalty.to_string();
            return refuse("gradient_penalty", "0 or more", found);
        }
        if self.network.batch_norm {
            let expected = "false, because batch statistics would reveal what is converted,";
            return refuse("network.batch_norm", expected, "true".into());
        }
        Ok(())
    }
}

/// The discriminator as a trainable module.
#[derive(Debug)]
pub struct ConversionDiscriminator {
    options: ConversionDiscriminatorOptions,
    trainable: Trainable,
    network: Classifier,
}

impl ConversionDiscriminator {
    /// For features of `bins`.
    pub fn new(options: &ConversionDiscriminatorOptions, bins: i64, device: Device) -> Self {
        let (trainable, network) =
            Trainable::new("discriminator", device, &options.optimiser, |path| {
                Classifier::new(path, bins, 1, Answer::Frames, &options.network)
            });
        Self {
            options: options.clone(),
            trainable,
            network,
        }
    }

    /// Scores of all frames without padding of `[batch, bins, frames]`, in one vector.
    fn scores(&self, feats: &Tensor, mask: &Mask, train: bool) -> Tensor {
        let scores = (self.network).forward(feats, mask, self.trainable.trains(train));
        match mask.real() {
            None => scores.reshape([-1]),
            Some(real) => scores.masked_select(&real),
        }
    }

    fn loss(&self, context: &StepContext) -> Tensor {
        let converted = no_grad(|| context.converted(context.codes(), context.embeds()));
        let (real, mask) = (&context.batch.feats, &context.mask);
        let loss_kind = self.options.loss;
        let loss = loss_kind.discriminator(
            &self.scores(real, mask, true),
            &self.scores(&converted, mask, true),
        );
        if loss_kind != GanLoss::Wasserstein {
            return loss;
        }
        let penalty = gradient_penalty(real, &converted, |between| {
            let mean =
                mask.apply((self.network).forward(between, mask, self.trainable.trains(true)));
            mean.mean_dim(&[1i64, 2][..], false, Kind::Float)
        });
        loss + penalty * self.options.gradient_penalty
    }
}

impl Adversary for ConversionDiscriminator {
    fn trainable(&mut self) -> &mut Trainable {
        &mut self.trainable
    }

    fn inner_steps(&self) -> usize {
        self.options.inner_steps
    }

    fn inner_step(
        &mut self,
        context: &StepContext,
        clock: &Clock,
        scalars: &mut Scalars,
    ) -> Result<()> {
        // The discriminator starts together with the decoder's loss.
        if clock.step < self.options.weight.start {
            return Ok(());
        }
        let loss = self.loss(context);
        scalars.add("discriminator/loss", &loss);
        let updates =
            clock.total.saturating_sub(self.options.weight.start) * self.options.inner_steps as u64;
        update(&mut [&mut self.trainable], &loss, updates)
    }

    fn encoder_term(
        &mut self,
        context: &StepContext,
        step: u64,
        scalars: &mut Scalars,
    ) -> Option<Tensor> {
        let weight = self.options.weight.at(step);
        (weight > 0.0).then(|| {
            let converted =
                context.converted(&context.codes().detach(), &context.embeds().detach());
            let scores = self.scores(&converted, &context.mask, true);
            let term = self.options.loss.generator(&scores);
            scalars.add("decoder/conversion_discriminator", &term);
            term * weight
        })
    }

    fn validate(&self, context: &StepContext, scalars: &mut Scalars) {
        let converted = context.converted(context.codes(), context.embeds());
        let mean = |feats: &Tensor| self.scores(feats, &context.mask, false).mean(Kind::Float);
        let gap = mean(&context.batch.feats) - mean(&converted);
        scalars.add("discriminator/score_gap", &gap);
    }
}
