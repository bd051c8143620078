//! A discriminator of real against converted features, which teaches the decoder what converted speech lacks
//! (Chou et al. 2018, section 2.2; Kaneko and Kameoka 2018).

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use tch::{Device, Kind, Tensor, no_grad};

use super::opponent::{Made, Opponent};
use crate::error::{Error, Result};
use crate::nn::classifier::Answer;
use crate::nn::{Classifier, ClassifierOptions, Mask};
use crate::objective::adversarial::{GanLoss, gradient_penalty};
use crate::train::schedule::{Ramp, check_turns};
use crate::train::{Clock, OptimiserOptions, Player, Scalars, update};

/// The discriminator and its game.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RealismOptions {
    /// The loss between discriminator and decoder.
    pub loss: GanLoss,
    /// Weight of the decoder's term. Codes and embeddings are held fast in it: the decoder alone answers for how
    /// real converted speech looks.
    pub weight: Ramp,
    /// The discriminator's steps a step.
    pub steps: usize,
    /// Weight of the gradient penalty of a Wasserstein discriminator.
    pub gradient_penalty: f64,
    /// Its network, which scores every patch that its kernels span.
    pub network: ClassifierOptions,
    /// Its optimiser.
    #[serde(deserialize_with = "own_optimiser")]
    pub optimiser: OptimiserOptions,
}

fn own_optimiser<'de, D: Deserializer<'de>>(written: D) -> Result<OptimiserOptions, D::Error> {
    OptimiserOptions::over(RealismOptions::default().optimiser, written)
}

impl Default for RealismOptions {
    fn default() -> Self {
        Self {
            loss: GanLoss::Hinge,
            weight: Ramp::default(),
            steps: 1,
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

impl RealismOptions {
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
        check_turns(format!("{name}.steps"), self.steps)?;
        if !self.gradient_penalty.is_finite() || self.gradient_penalty < 0.0 {
            let found = self.gradient_penalty.to_string();
            return refuse("gradient_penalty", "0 or more", found);
        }
        if self.network.batch_norm {
            let expected = "false, since statistics of a batch would tell real from converted,";
            return refuse("network.batch_norm", expected, "true".into());
        }
        Ok(())
    }
}

/// The discriminator with its player.
#[derive(Debug)]
pub struct Realism {
    options: RealismOptions,
    player: Player,
    network: Classifier,
}

impl Realism {
    /// For features of `bins`.
    pub fn new(options: &RealismOptions, bins: i64, device: Device) -> Self {
        let (player, network) = Player::new("discriminator", device, &options.optimiser, |path| {
            Classifier::new(path, bins, 1, Answer::Frames, &options.network)
        });
        Self {
            options: options.clone(),
            player,
            network,
        }
    }

    /// Scores of the real frames of `[batch, bins, frames]`, one after another.
    fn scores(&self, feats: &Tensor, mask: &Mask, train: bool) -> Tensor {
        let scores = self.network.forward(feats, mask, train);
        match mask.real() {
            None => scores.reshape([-1]),
            Some(real) => scores.masked_select(&real),
        }
    }

    fn loss(&self, made: &Made) -> Tensor {
        let converted = no_grad(|| made.converted(made.codes(), made.embeds()));
        let (real, mask) = (&made.batch.feats, &made.mask);
        let game = self.options.loss;
        let loss = game.critic(
            &self.scores(real, mask, true),
            &self.scores(&converted, mask, true),
        );
        if game != GanLoss::Wasserstein {
            return loss;
        }
        let slope = gradient_penalty(real, &converted, |between| {
            let mean = mask.apply(self.network.forward(between, mask, true));
            mean.mean_dim(&[1i64, 2][..], false, Kind::Float)
        });
        loss + slope * self.options.gradient_penalty
    }
}

impl Opponent for Realism {
    fn player(&mut self) -> &mut Player {
        &mut self.player
    }

    fn turns(&self) -> usize {
        self.options.steps
    }

    fn learn(&mut self, made: &Made, clock: &Clock, scalars: &mut Scalars) -> Result<()> {
        // Before the decoder has begun to answer there is nothing to learn from.
        if clock.step < self.options.weight.start {
            return Ok(());
        }
        let loss = self.loss(made);
        scalars.add("discriminator/loss", &loss);
        let updates =
            clock.total.saturating_sub(self.options.weight.start) * self.options.steps as u64;
        update(&mut [&mut self.player], &loss, updates)
    }

    fn term(&mut self, made: &Made, step: u64, scalars: &mut Scalars) -> Option<Tensor> {
        let weight = self.options.weight.at(step);
        (weight > 0.0).then(|| {
            let converted = made.converted(&made.codes().detach(), &made.embeds().detach());
            let scores = self.scores(&converted, &made.mask, true);
            let term = self.options.loss.generator(&scores);
            scalars.add("decoder/realism", &term);
            term * weight
        })
    }

    fn validate(&self, made: &Made, scalars: &mut Scalars) {
        let converted = made.converted(made.codes(), made.embeds());
        let mean = |feats: &Tensor| self.scores(feats, &made.mask, false).mean(Kind::Float);
        let gap = mean(&made.batch.feats) - mean(&converted);
        scalars.add("discriminator/score_gap", &gap);
    }
}
