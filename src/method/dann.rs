//! DANN (Ganin, Ustinova, Ajakan, Germain, Larochelle, Laviolette, Marchand and Lempitsky 2016): features that predict
//! classes but not domains. A classifier with labels of one domain (the source) then works in another one (the target).
//!
//! With `F` the backbone, `Y` the label head, `D` the domain head, `p` the share of training done:
//!
//! ```text
//! lambda(p) = weight (2 / (1 + exp(-steepness p)) - 1)                                       (section 5.2.2)
//! gradient reversal:  F, Y and D minimise  CE(Y(F(x)), y) + CE(D(R(F(x))), d)    R: gradient times -lambda    (eq. 9, 13)
//! alternating:        D minimises          CE(D(F(x)), d), with F(x) detached
//!                     F and Y minimise     CE(Y(F(x)), y) + lambda * encoder loss against D
//! ```
//!
//! The label loss uses items with labels, the domain loss all items. The type of a batch and the network `F` are the
//! [`Backbone`]'s, for images and speech.

use std::fmt::Debug;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use tch::{Device, Tensor};

use super::disentangle::speaker_adversary::AdversaryUpdate;
use crate::error::{Error, Result};
use crate::nn::image::Head;
use crate::nn::image::classifier::check_hidden;
use crate::nn::layer::bf16_autocast;
use crate::objective::adversarial::{EncoderLoss, reverse_gradient};
use crate::objective::classification::{accuracy, cross_entropy};
use crate::train::schedule::{Decay, Schedule, check_inner_steps};
use crate::train::{
    Clock, Division, Method, OptimiserKind, OptimiserOptions, Scalars, Trainable, update,
};

/// The domain classifier, and how the feature extractor is trained against it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DannOptions {
    /// How domain classifier and feature extractor are updated.
    pub update: AdversaryUpdate,
    /// Loss of the feature extractor against the domain classifier, with `update = "alternating"`.
    pub encoder_loss: EncoderLoss,
    /// Steps of the domain classifier per training step, with `update = "alternating"`.
    pub inner_steps: usize,
    /// Full weight of the adversarial loss.
    pub weight: f64,
    /// How fast the weight rises with the share `p` of training done: `weight (2 / (1 + exp(-steepness p)) - 1)` (Ganin
    /// et al. 2016, section 5.2.2). 0 leaves the weight at 0.
    pub steepness: f64,
    /// Widths of the hidden layers of the domain classifier.
    pub domain_hidden: Vec<i64>,
    /// Optimiser of all networks.
    #[serde(deserialize_with = "own_optimiser")]
    pub optimiser: OptimiserOptions,
}

fn own_optimiser<'de, D: Deserializer<'de>>(written: D) -> Result<OptimiserOptions, D::Error> {
    OptimiserOptions::over(DannOptions::default().optimiser, written)
}

impl Default for DannOptions {
    fn default() -> Self {
        Self {
            update: AdversaryUpdate::GradientReversal,
            encoder_loss: EncoderLoss::FlippedLabels,
            inner_steps: 1,
            weight: 1.0,
            steepness: 10.0,
            domain_hidden: vec![100],
            optimiser: OptimiserOptions {
                kind: OptimiserKind::Sgd,
                lr: 0.01,
                beta1: 0.9,
                clip_norm: 0.0,
                schedule: Schedule {
                    decay: Decay::InversePower,
                    ..Schedule::default()
                },
                ..OptimiserOptions::default()
            },
        }
    }
}

impl DannOptions {
    /// Checks every value; `name` is the table that holds them.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self, name: &str) -> Result<()> {
        for (key, value) in [("weight", self.weight), ("steepness", self.steepness)] {
            if !value.is_finite() || value < 0.0 {
                let found = value.to_string();
                return Err(Error::option(format!("{name}.{key}"), "0 or more", found));
            }
        }
        check_inner_steps(format!("{name}.inner_steps"), self.inner_steps)?;
        check_hidden(&format!("{name}.domain_hidden"), &self.domain_hidden)?;
        self.optimiser.check(&format!("{name}.optimiser"))
    }

    fn lambda(&self, clock: &Clock) -> f64 {
        let share = clock.step as f64 / clock.total.max(1) as f64;
        self.weight * (2.0 / (1.0 + (-self.steepness * share).exp()) - 1.0)
    }
}

/// The feature extractor, and the labels of its batches.
pub trait Backbone: Debug {
    /// Its input.
    type Batch;
    /// Dimensions of a feature vector.
    fn dims(&self) -> i64;
    /// Features `[batch, dims]`.
    fn features(&self, batch: &Self::Batch, train: bool) -> Tensor;
    /// Classes for training, with [`crate::dataset::labels::NO_LABEL`] where they are not to be used, and domains (0 the
    /// source, 1 the target), both `[batch]`.
    fn training_labels(&self, batch: &Self::Batch) -> (Tensor, Tensor);
    /// All available classes, including those of the target domain, for validation: `[batch]`.
    fn all_labels(&self, batch: &Self::Batch) -> Tensor;
}

/// The method.
#[derive(Debug)]
pub struct Dann<T> {
    options: DannOptions,
    backbone: T,
    label: Head,
    domain: Head,
    extractor: Trainable,
    label_head: Trainable,
    domain_head: Trainable,
    bf16: bool,
}

const DOMAINS: i64 = 2;

impl<T: Backbone> Dann<T> {
    /// New heads on the backbone from `build`. The label head has `classes` outputs and hidden layers of widths `hidden`.
    pub fn new(
        options: &DannOptions,
        (hidden, classes): (&[i64], i64),
        device: Device,
        bf16: bool,
        build: impl FnOnce(tch::nn::Path) -> T,
    ) -> Self {
        let optimiser = &options.optimiser;
        let (extractor, backbone) = Trainable::new("extractor", device, optimiser, build);
        let dims = backbone.dims();
        let (label_head, label) = Trainable::new("label_head", device, optimiser, |path| {
            Head::new(&path, dims, hidden, classes)
        });
        let (domain_head, domain) = Trainable::new("domain_head", device, optimiser, |path| {
            Head::new(&path, dims, &options.domain_hidden, DOMAINS)
        });
        Self {
            options: options.clone(),
            backbone,
            label,
            domain,
            extractor,
            label_head,
            domain_head,
            bf16,
        }
    }

    /// The feature extractor.
    pub fn backbone(&self) -> &T {
        &self.backbone
    }

    /// Logits of classes `[batch, classes]` from features.
    pub fn classify(&self, features: &Tensor) -> Tensor {
        self.label.forward(features, false)
    }

    fn label_loss(&self, features: &Tensor, labels: &Tensor, scalars: &mut Scalars) -> Tensor {
        let logits = self.label.forward(features, true);
        scalars.add("label/accuracy", &accuracy(&logits, labels));
        let loss = cross_entropy(&logits, labels, 0.0);
        scalars.add("label/cross_entropy", &loss);
        loss
    }

    fn domain_loss(&self, features: &Tensor, domains: &Tensor, scalars: &mut Scalars) -> Tensor {
        let logits = self.domain.forward(features, true);
        scalars.add("domain/accuracy", &accuracy(&logits, domains));
        let loss = cross_entropy(&logits, domains, 0.0);
        scalars.add("domain/cross_entropy", &loss);
        loss
    }

    fn reversal_step(
        &mut self,
        batch: &T::Batch,
        clock: &Clock,
        scalars: &mut Scalars,
    ) -> Result<()> {
        let (labels, domains) = self.backbone.training_labels(batch);
        let features = self.backbone.features(batch, true);
        let reversed = reverse_gradient(&features, self.options.lambda(clock));
        let loss = self.label_loss(&features, &labels, scalars)
            + self.domain_loss(&reversed, &domains, scalars);
        update(
            &mut [
                &mut self.extractor,
                &mut self.label_head,
                &mut self.domain_head,
            ],
            &loss,
            clock.total,
        )
    }

    fn alternating_step(
        &mut self,
        batch: &T::Batch,
        clock: &Clock,
        scalars: &mut Scalars,
    ) -> Result<()> {
        let (labels, domains) = self.backbone.training_labels(batch);
        let features = self.backbone.features(batch, true);
        for _ in 0..self.options.inner_steps {
            let loss = self.domain_loss(&features.detach(), &domains, scalars);
            let updates = clock.total * self.options.inner_steps as u64;
            update(&mut [&mut self.domain_head], &loss, updates)?;
        }
        let logits = self.domain.forward(&features, true);
        let adversarial = self.options.encoder_loss.loss(&logits, &domains);
        let loss =
            self.label_loss(&features, &labels, scalars) + adversarial * self.options.lambda(clock);
        update(
            &mut [&mut self.extractor, &mut self.label_head],
            &loss,
            clock.total,
        )
    }
}

impl<T: Backbone> Method for Dann<T> {
    type Batch = T::Batch;

    fn trainables(&mut self) -> Vec<&mut Trainable> {
        vec![
            &mut self.extractor,
            &mut self.label_head,
            &mut self.domain_head,
        ]
    }

    fn division(&self) -> Division {
        match self.options.update {
            AdversaryUpdate::GradientReversal => Division::Any,
            AdversaryUpdate::Alternating => Division::Ranks,
        }
    }

    fn step(&mut self, batch: &T::Batch, clock: &Clock, scalars: &mut Scalars) -> Result<()> {
        bf16_autocast(self.bf16, || {
            match self.options.update {
                AdversaryUpdate::GradientReversal => self.reversal_step(batch, clock, scalars)?,
                AdversaryUpdate::Alternating => self.alternating_step(batch, clock, scalars)?,
            }
            Ok(())
        })
    }

    fn validate(&self, batch: &T::Batch) -> Result<Scalars> {
        bf16_autocast(self.bf16, || {
            let mut scalars = Scalars::default();
            let labels = self.backbone.all_labels(batch);
            let logits = self.classify(&self.backbone.features(batch, false));
            scalars.add("loss", &cross_entropy(&logits, &labels, 0.0));
            scalars.add("label/accuracy", &accuracy(&logits, &labels));
            Ok(scalars)
        })
    }
}
