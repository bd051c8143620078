//! Clusters in place of labels: of two views of an utterance, each predicts the cluster of the other. With z and z' the items
//! of both views of length 1, c the clusters' directions of length 1, and q the assignments that use clusters equally:
//!
//! ```text
//! p(k | z) = exp(z c_k / temperature) / sum_j exp(z c_j / temperature)
//! loss = -1/2 mean_z sum_k (q(k | z') log p(k | z) + q(k | z) log p(k | z'))
//! ```
//!
//! Spin (Chang, Liu and Glass 2023, eq. 2 to 5) has the second view from signal processing, and clusters are used equally in a
//! batch: `second_view = "perturbed"`, `balance = "batch"`, `epsilon = 0.02`, `rounds = 3`. By default the decoder makes the second
//! view by voice conversion, and each speaker uses all clusters equally, so that clusters hold no speaker information.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::nn::{Path, init};
use tch::{Device, Kind, Tensor, no_grad};

use super::adversary::StepContext;
use crate::error::{Error, Result, check_within};
use crate::nn::classifier::Answer;
use crate::nn::speaker_encoder::normalise;
use crate::nn::{Classifier, ClassifierOptions, Mask, check_size};
use crate::objective::clustering::{assigned_cross_entropy, balanced_assignments};
use crate::train::schedule::Ramp;
use crate::train::{OptimiserOptions, Scalars, Trainable};

/// What is assigned to a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Each utterance, for single words.
    Utterance,
    /// Each code, for sentences.
    Code,
}

/// What the second view of an utterance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecondView {
    /// Decoded with the embedding of another speaker. It needs a trained decoder, so start the weight late.
    Converted,
    /// That of `data.second_view`, or the first, perturbed anew by `method.perturb`.
    Perturbed,
}

/// Among what all clusters are used equally.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// The items of each speaker.
    Speaker,
    /// All items.
    Batch,
}

/// Clusters, their network and the weight of the loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClusteringOptions {
    /// What is assigned to a cluster.
    pub unit: Unit,
    /// Weight of the loss.
    pub weight: Ramp,
    /// The view that the codes are compared with.
    pub second_view: SecondView,
    /// Among what all clusters are used equally.
    pub balance: Balance,
    /// Rounds of Sinkhorn and Knopp's algorithm, by which clusters are used equally.
    pub rounds: usize,
    /// Number of clusters.
    pub clusters: i64,
    /// Divides the cosines of the predictions; lower values make predictions sharper.
    pub temperature: f64,
    /// Regularisation of the assignments: the smaller, the harder they are.
    pub epsilon: f64,
    /// Items of earlier batches that take part in balancing the clusters; 0 balances within the batch.
    pub queue: i64,
    /// Network from codes to the space in which they are clustered.
    pub network: ClassifierOptions,
    /// Dimensions of the space in which codes are clustered.
    pub dim: i64,
}

impl Default for ClusteringOptions {
    fn default() -> Self {
        Self {
            unit: Unit::Utterance,
            weight: Ramp::default(),
            second_view: SecondView::Converted,
            balance: Balance::Speaker,
            rounds: 10,
            clusters: 32,
            temperature: 0.1,
            epsilon: 0.05,
            queue: 512,
            network: ClassifierOptions::default(),
            dim: 64,
        }
    }
}

impl ClusteringOptions {
    /// Checks every value; `name` is the table that holds them. `has_views` tells whether two views of an utterance differ.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self, name: &str, has_views: bool) -> Result<()> {
        if self.second_view == SecondView::Perturbed && !has_views {
            return Err(Error::option(
                format!("{name}.second_view"),
                "\"converted\" without method.perturb or data.second_view",
                "\"perturbed\"",
            ));
        }
        check_within(format!("{name}.rounds"), self.rounds, 1..=1000)?;
        self.weight.check(&format!("{name}.weight"))?;
        self.network.check(&format!("{name}.network"))?;
        check_within(format!("{name}.temperature"), self.temperature, 1e-6..=1e6)?;
        // Exponentials of cosines over less leave double precision.
        check_within(format!("{name}.epsilon"), self.epsilon, 0.003..=1e6)?;
        check_size(format!("{name}.clusters"), self.clusters, 2)?;
        check_size(format!("{name}.dim"), self.dim, 1)?;
        check_size(format!("{name}.queue"), self.queue, 0)
    }
}

/// The network and the clusters as a trainable module.
#[derive(Debug)]
pub struct Clustering {
    options: ClusteringOptions,
    trainable: Trainable,
    network: Classifier,
    /// Directions of the clusters, `[clusters, dim]`.
    centres: Tensor,
    /// The latest items `[queue, dim]` and their speakers `[queue]`, -1 for empty places; saved with the weights.
    queue: (Tensor, Tensor),
}

impl Clustering {
    /// For codes of `code_dim`.
    pub fn new(
        options: &ClusteringOptions,
        code_dim: i64,
        optimiser: &OptimiserOptions,
        device: Device,
    ) -> Self {
        let answer = match options.unit {
            Unit::Utterance => Answer::Sequence,
            Unit::Code => Answer::Frames,
        };
        let (trainable, (network, centres, queue)) =
            Trainable::new("clustering", device, optimiser, |path: Path| {
                let network = Classifier::new(
                    &path / "network",
                    code_dim,
                    options.dim,
                    answer,
                    &options.network,
                );
                let spread = init::Init::Randn {
                    mean: 0.0,
                    stdev: 1.0,
                };
                let centres = path.var("centres", &[options.clusters, options.dim], spread);
                let items = path.zeros_no_train("queue", &[options.queue, options.dim]);
                let speakers = path.zeros_no_train("queue_speakers", &[options.queue]);
                let _ = speakers.shallow_clone().fill_(-1.0);
                (network, centres, (items, speakers))
            });
        Self {
            options: options.clone(),
            trainable,
            network,
            centres,
            queue,
        }
    }

    /// Its trainable module.
    pub fn trainable(&mut self) -> &mut Trainable {
        &mut self.trainable
    }

    /// The weighted loss of a training batch at `step`; none while its weight is 0.
    pub fn loss(&self, context: &StepContext, step: u64, scalars: &mut Scalars) -> Option<Tensor> {
        let weight = self.options.weight.at(step);
        if weight == 0.0 {
            return None;
        }
        let second = match self.options.second_view {
            SecondView::Perturbed => context.second_view(),
            SecondView::Converted => {
                let converted = no_grad(|| context.converted(context.codes(), context.embeds()));
                context.perturb.apply(&converted)
            }
        };
        let other = (context.model).encode(&second, &context.mask, true);
        let speakers = self.speakers(context);
        let views = [
            self.items(context.codes(), context.code_mask()),
            self.items(&other.codes, &other.mask),
        ];
        let centres = normalise(&self.centres);
        let scores = views.each_ref().map(|items| items.matmul(&centres.tr()));
        let assigned = views
            .each_ref()
            .map(|items| self.assign(items, &speakers, &centres));
        if self.trainable.trains(true) {
            self.remember(&views[0], &speakers);
        }
        let predict = |view: usize| {
            assigned_cross_entropy(&scores[view], &assigned[1 - view], self.options.temperature)
        };
        let loss = (predict(0) + predict(1)) / 2.0;
        scalars.add("clustering/cross_entropy", &loss);
        let agree = assigned[0]
            .argmax(1, false)
            .eq_tensor(&scores[1].argmax(1, false));
        scalars.add(
            "clustering/agreement",
            &agree.to_kind(Kind::Float).mean(Kind::Float),
        );
        Some(loss * weight)
    }

    /// Items `[items, dim]` of length 1.
    fn items(&self, codes: &Tensor, mask: &Mask) -> Tensor {
        let items = self
            .network
            .forward(codes, mask, self.trainable.trains(true));
        normalise(&match self.options.unit {
            Unit::Utterance => items,
            Unit::Code => {
                let dim = items.size()[1];
                let flat = items.transpose(1, 2).reshape([-1, dim]);
                flat.index_select(0, &real(mask, flat.device()))
            }
        })
    }

    /// The speaker of each item, `[items]`.
    fn speakers(&self, context: &StepContext) -> Tensor {
        let speakers = &context.batch.speakers;
        match self.options.unit {
            Unit::Utterance => speakers.shallow_clone(),
            Unit::Code => {
                let mask = context.code_mask();
                let every = speakers
                    .unsqueeze(1)
                    .repeat([1, mask.frames()])
                    .reshape([-1]);
                every.index_select(0, &real(mask, every.device()))
            }
        }
    }

    /// Assignments of items, balanced together with the items of the queue.
    fn assign(&self, items: &Tensor, speakers: &Tensor, centres: &Tensor) -> Tensor {
        no_grad(|| {
            let (queued, of) = &self.queue;
            let filled = of.ge(0.0).nonzero().squeeze_dim(1);
            let all = Tensor::cat(&[items, &queued.index_select(0, &filled)], 0);
            let groups = Tensor::cat(
                &[speakers, &of.index_select(0, &filled).to_kind(Kind::Int64)],
                0,
            );
            let scores = all.matmul(&centres.tr());
            let groups = match self.options.balance {
                Balance::Speaker => groups,
                Balance::Batch => groups.zeros_like(),
            };
            let ClusteringOptions {
                epsilon, rounds, ..
            } = self.options;
            balanced_assignments(&scores, &groups, epsilon, rounds).narrow(0, 0, items.size()[0])
        })
    }

    /// Puts items at the front of the queue.
    fn remember(&self, items: &Tensor, speakers: &Tensor) {
        no_grad(|| {
            let keep = |new: &Tensor, queue: &Tensor| {
                let longer = Tensor::cat(&[new, queue], 0);
                let first = longer.narrow(0, 0, queue.size()[0]);
                queue.shallow_clone().copy_(&first);
            };
            keep(items, &self.queue.0);
            keep(&speakers.to_kind(Kind::Float), &self.queue.1);
        });
    }
}

/// Indices of the codes without padding, over all codes of a batch.
fn real(mask: &Mask, device: Device) -> Tensor {
    mask.flat_real(device).nonzero().squeeze_dim(1)
}
