//! What a training method is: its trainable modules, what it does with a batch, and the terms that it logs.

use std::collections::BTreeMap;

use tch::Tensor;

use super::Trainable;
use crate::error::{Error, Result};

/// The term with the accuracy of a discriminator, in 0..1.
pub(super) const DISCRIMINATOR_ACCURACY: &str = "discriminator/accuracy";

/// The progress of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Steps done before this one.
    pub step: u64,
    /// Number of steps of the whole run.
    pub total: u64,
    /// The batch of the step that is its turn, from 0 to [`Method::batches_per_step`].
    pub batch: usize,
}

/// Named scalars of one step, on the device until they are logged. A name is `module/term`, or a term alone.
#[derive(Debug, Default)]
pub struct Scalars {
    terms: Vec<(String, Tensor)>,
    pub(super) incomplete: Option<String>,
    pub(super) patience: u64,
}

impl Scalars {
    /// Adds a term.
    pub fn add(&mut self, name: impl Into<String>, value: &Tensor) {
        self.terms.push((name.into(), value.detach()));
    }

    /// Adds the accuracy of a discriminator. The run ends once it has been 1 for `patience` steps, because the generator
    /// then gets no gradient; 0 never ends it.
    pub fn add_discriminator_accuracy(&mut self, accuracy: &Tensor, patience: u64) {
        self.add(DISCRIMINATOR_ACCURACY, accuracy);
        self.patience = patience;
    }

    /// Marks that the loss still lacks terms, and `why`. Until then no checkpoint becomes `best`.
    pub fn set_incomplete(&mut self, why: String) {
        self.incomplete = Some(why);
    }

    /// The terms by name; of terms added twice, the later one.
    pub fn read(&self) -> BTreeMap<String, f64> {
        self.terms
            .iter()
            .map(|(name, value)| (name.clone(), value.double_value(&[])))
            .collect()
    }
}

/// The mean of each term over the parts of a batch that have it.
pub(super) fn mean_of(parts: &[Scalars]) -> BTreeMap<String, f64> {
    if let [whole] = parts {
        return whole.read();
    }
    let mut sums: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for (name, value) in parts.iter().flat_map(Scalars::read) {
        let (sum, count) = sums.entry(name).or_default();
        *sum += value;
        *count += 1.0;
    }
    let means = sums.into_iter();
    means
        .map(|(name, (sum, count))| (name, sum / count))
        .collect()
}

/// How the batch of a step may be divided into parts whose gradients are summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Division {
    /// Over ranks, and over passes one after the other.
    Any,
    /// Over ranks only: on the same batch, one module's update follows that of another, or a decision.
    Ranks,
    /// Not at all, because of this option: which modules are updated depends on the batch.
    None(&'static str),
}

impl Division {
    /// Refuses ranks or accumulation that a method does not allow.
    ///
    /// # Errors
    /// [`Error::Option`].
    pub(super) fn check(self, ranks: usize, accumulate: usize) -> Result<()> {
        match self {
            Self::None(option) if ranks > 1 => {
                let found = "one, which decides by the batch of each rank";
                Err(Error::option(option, "none with several ranks", found))
            }
            Self::None(_) | Self::Ranks if accumulate > 1 => {
                let expected = "1 with this method, whose modules are updated in turn on one batch";
                Err(Error::option(
                    "train.accumulate",
                    expected,
                    accumulate.to_string(),
                ))
            }
            _ => Ok(()),
        }
    }
}

/// A method: its trainable modules, and what one step does.
pub trait Method {
    /// Its training data.
    type Batch;
    /// The trainable modules in a fixed order with stable names: the content of a checkpoint.
    fn trainables(&mut self) -> Vec<&mut Trainable>;
    /// Batches per step; each inner step of an adversary has a batch of its own.
    fn batches_per_step(&self) -> usize {
        1
    }
    /// How its batches may be divided.
    fn division(&self) -> Division {
        Division::Any
    }
    /// Called before anything of a step is computed.
    fn before_step(&mut self, _clock: &Clock) {}
    /// What a training step does with one of its batches, or with a part of it: which modules are updated, how often, on which
    /// loss.
    ///
    /// # Errors
    /// Errors of libtorch.
    fn step(&mut self, batch: &Self::Batch, clock: &Clock, scalars: &mut Scalars) -> Result<()>;
    /// Loss terms without gradients, for model selection.
    ///
    /// # Errors
    /// Errors of libtorch.
    fn validate(&self, batch: &Self::Batch) -> Result<Scalars>;
}
