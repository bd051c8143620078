//! An estimator of the mutual information between codes and speaker embedding, which the encoders minimise (CLUB, Cheng
//! et al. 2020; used between content and speaker in VQMIVC, Wang et al. 2021).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::adversary::{Adversary, StepContext};
use crate::error::Result;
use crate::nn::classifier::Answer;
use crate::nn::{Classifier, ClassifierOptions};
use crate::objective::information::{club, gaussian_log_density};
use crate::train::schedule::{Ramp, check_inner_steps};
use crate::train::{Clock, OptimiserOptions, Scalars, Trainable, update};

/// The estimator (CLUB) and its weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MutualInformationOptions {
    /// Weight of the estimated mutual information in the encoders' loss.
    pub weight: Ramp,
    /// Steps of the estimator per training step, each on a batch of its own.
    pub inner_steps: usize,
    /// Network from codes to mean and variance of the speaker embedding.
    pub network: ClassifierOptions,
    /// Optimiser of the estimator.
    pub optimiser: OptimiserOptions,
}

impl Default for MutualInformationOptions {
    fn default() -> Self {
        Self {
            weight: Ramp::default(),
            inner_steps: 5,
            network: ClassifierOptions::default(),
            optimiser: OptimiserOptions::default(),
        }
    }
}

impl MutualInformationOptions {
    /// Checks every value; `name` is the table that holds them.
    ///
    /// # Errors
    /// [`crate::Error::Option`] naming the key.
    pub fn check(&self, name: &str) -> Result<()> {
        self.weight.check(&format!("{name}.weight"))?;
        self.network.check(&format!("{name}.network"))?;
        self.optimiser.check(&format!("{name}.optimiser"))?;
        check_inner_steps(format!("{name}.inner_steps"), self.inner_steps)
    }
}

/// The estimator as a trainable module.
#[derive(Debug)]
pub struct MutualInformation {
    options: MutualInformationOptions,
    trainable: Trainable,
    network: Classifier,
}

impl MutualInformation {
    /// From codes of `code_dim` to embeddings of `embedding_dim`.
    pub fn new(
        options: &MutualInformationOptions,
        code_dim: i64,
        embedding_dim: i64,
        device: Device,
    ) -> Self {
        let (trainable, network) =
            Trainable::new("mutual_information", device, &options.optimiser, |path| {
                let outputs = 2 * embedding_dim;
                Classifier::new(path, code_dim, outputs, Answer::Sequence, &options.network)
            });
        Self {
            options: options.clone(),
            trainable,
            network,
        }
    }

    /// Mean and logarithm of the variance of the embedding, each `[batch, embedding_dim]`.
    fn estimate(&self, context: &StepContext, train: bool) -> (Tensor, Tensor) {
        let output = self.network.forward(
            context.codes(),
            context.code_mask(),
            self.trainable.trains(train),
        );
        let parts = output.chunk(2, 1);
        (parts[0].shallow_clone(), parts[1].tanh())
    }

    fn bound(&self, context: &StepContext, train: bool) -> Tensor {
        let (mean, log_variance) = self.estimate(context, train);
        club(context.embeds(), &mean, &log_variance)
    }
}

impl Adversary for MutualInformation {
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
        let (mean, log_variance) = self.estimate(context, true);
        let embeds = context.embeds().detach();
        let density = gaussian_log_density(&embeds, &mean, &log_variance);
        let loss = density.mean(Kind::Float).neg();
        scalars.add("mutual_information/surprise", &loss);
        let updates = clock.total * self.options.inner_steps as u64;
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
            let bound = self.bound(context, true);
            scalars.add("mutual_information/bound", &bound);
            bound * weight
        })
    }

    fn validate(&self, context: &StepContext, scalars: &mut Scalars) {
        scalars.add("mutual_information/bound", &self.bound(context, false));
    }
}
