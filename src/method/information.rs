//! An estimator of how much a code sequence tells of the speaker embedding, which the encoders bring down (CLUB, Cheng
//! et al. 2020; as VQMIVC, Wang et al. 2021, has it between content and speaker).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::opponent::{Made, Opponent};
use crate::error::Result;
use crate::nn::classifier::Answer;
use crate::nn::{Classifier, ClassifierOptions};
use crate::objective::information::{club, gaussian_log_density};
use crate::train::schedule::{Ramp, check_turns};
use crate::train::{Clock, OptimiserOptions, Player, Scalars, update};

/// The estimator and its weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InformationOptions {
    /// Weight of the bound in the encoders' loss.
    pub weight: Ramp,
    /// The estimator's steps a step.
    pub steps: usize,
    /// Its network, from codes to mean and variance of the embedding.
    pub network: ClassifierOptions,
    /// Its optimiser.
    pub optimiser: OptimiserOptions,
}

impl Default for InformationOptions {
    fn default() -> Self {
        Self {
            weight: Ramp::default(),
            steps: 5,
            network: ClassifierOptions::default(),
            optimiser: OptimiserOptions::default(),
        }
    }
}

impl InformationOptions {
    /// Checks every value; `name` is the table that holds them.
    ///
    /// # Errors
    /// [`crate::Error::Option`] naming the key.
    pub fn check(&self, name: &str) -> Result<()> {
        self.weight.check(&format!("{name}.weight"))?;
        self.network.check(&format!("{name}.network"))?;
        self.optimiser.check(&format!("{name}.optimiser"))?;
        check_turns(format!("{name}.steps"), self.steps)
    }
}

/// The estimator with its player.
#[derive(Debug)]
pub struct Information {
    options: InformationOptions,
    player: Player,
    network: Classifier,
}

impl Information {
    /// From codes of `code_dim` to embeddings of `embedding_dim`.
    pub fn new(
        options: &InformationOptions,
        code_dim: i64,
        embedding_dim: i64,
        device: Device,
    ) -> Self {
        let (player, network) = Player::new("information", device, &options.optimiser, |path| {
            let outputs = 2 * embedding_dim;
            Classifier::new(path, code_dim, outputs, Answer::Sequence, &options.network)
        });
        Self {
            options: options.clone(),
            player,
            network,
        }
    }

    /// Mean and logarithm of the variance of the embedding, each `[batch, embedding_dim]`.
    fn estimate(&self, made: &Made, train: bool) -> (Tensor, Tensor) {
        let told = self.network.forward(made.codes(), made.code_mask(), train);
        let parts = told.chunk(2, 1);
        (parts[0].shallow_clone(), parts[1].tanh())
    }

    fn bound(&self, made: &Made, train: bool) -> Tensor {
        let (mean, log_variance) = self.estimate(made, train);
        club(made.embeds(), &mean, &log_variance)
    }
}

impl Opponent for Information {
    fn player(&mut self) -> &mut Player {
        &mut self.player
    }

    fn turns(&self) -> usize {
        self.options.steps
    }

    fn learn(&mut self, made: &Made, clock: &Clock, scalars: &mut Scalars) -> Result<()> {
        let (mean, log_variance) = self.estimate(made, true);
        let embeds = made.embeds().detach();
        let density = gaussian_log_density(&embeds, &mean, &log_variance);
        let loss = density.mean(Kind::Float).neg();
        scalars.add("information/surprise", &loss);
        let updates = clock.total * self.options.steps as u64;
        update(&mut [&mut self.player], &loss, updates)
    }

    fn term(&mut self, made: &Made, step: u64, scalars: &mut Scalars) -> Option<Tensor> {
        let weight = self.options.weight.at(step);
        (weight > 0.0).then(|| {
            let bound = self.bound(made, true);
            scalars.add("information/bound", &bound);
            bound * weight
        })
    }

    fn validate(&self, made: &Made, scalars: &mut Scalars) {
        scalars.add("information/bound", &self.bound(made, false));
    }
}
