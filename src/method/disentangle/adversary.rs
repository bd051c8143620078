//! What a step makes of a batch, and the networks that learn against what it makes.

use std::cell::OnceCell;
use std::fmt::Debug;

use tch::{Device, Tensor, no_grad};

use super::model::Model;
use crate::dataset::batch::SpeechBatch;
use crate::error::Result;
use crate::nn::phonetic_encoder::Encoded;
use crate::nn::{Mask, PerturbOptions};
use crate::train::{Clock, Scalars, Trainable};

/// A network with aims of its own: it learns on codes and features that stand still, in turns or at once with the
/// encoders, and says what they pay.
pub trait Adversary: Debug {
    /// Its trainable.
    fn trainable(&mut self) -> &mut Trainable;

    /// Batches that it wants for itself, a step.
    fn inner_steps(&self) -> usize;

    /// Whether it learns from the encoders' own loss, in one backward pass with them.
    fn shares_update(&self) -> bool {
        false
    }

    /// Called before anything of `step` is computed.
    fn before_step(&mut self, _step: u64) {}

    /// A step of its own.
    ///
    /// # Errors
    /// What libtorch says.
    fn inner_step(
        &mut self,
        context: &StepContext,
        clock: &Clock,
        scalars: &mut Scalars,
    ) -> Result<()>;

    /// What encoders and decoder minimise at `step` of its ramp; none while it weighs nothing.
    fn encoder_term(
        &mut self,
        context: &StepContext,
        step: u64,
        scalars: &mut Scalars,
    ) -> Option<Tensor>;

    /// Adds how well it does, without gradients.
    fn validate(&self, context: &StepContext, scalars: &mut Scalars);
}

/// What a step has context of its batch so far.
#[derive(Debug)]
pub struct StepContext<'a> {
    /// Encoders and decoder.
    pub model: &'a Model,
    /// The batch.
    pub batch: &'a SpeechBatch,
    /// Which frames are real.
    pub mask: Mask,
    /// What the phonetic encoder's input goes through in training.
    pub perturb: &'a PerturbOptions,
    /// Whether networks are in training.
    pub train: bool,
    /// Codes.
    pub encoded: Encoded,
    embeds: OnceCell<Tensor>,
}

impl<'a> StepContext<'a> {
    /// The codes of a batch; `perturb` is applied in training alone.
    pub fn new(
        model: &'a Model,
        batch: &'a SpeechBatch,
        perturb: &'a PerturbOptions,
        device: Device,
        train: bool,
    ) -> Self {
        let mask = Mask::new(&batch.lengths, device);
        let read = match train {
            true => &perturb.apply(&batch.feats),
            false => &batch.feats,
        };
        Self {
            encoded: model.phonetic.forward(read, &mask, train),
            embeds: OnceCell::new(),
            model,
            batch,
            mask,
            perturb,
            train,
        }
    }

    /// The same for an adversary's turn: codes and embeddings have no gradient, and the speaker encoder keeps its
    /// statistics.
    pub fn detached(
        model: &'a Model,
        batch: &'a SpeechBatch,
        perturb: &'a PerturbOptions,
        device: Device,
    ) -> Self {
        let context = no_grad(|| Self::new(model, batch, perturb, device, true));
        Self {
            train: false,
            ..context
        }
    }

    /// Codes `[batch, code_dim, codes]`.
    pub fn codes(&self) -> &Tensor {
        &self.encoded.codes
    }

    /// Which codes are real.
    pub fn code_mask(&self) -> &Mask {
        &self.encoded.mask
    }

    /// Speaker embeddings `[batch, embedding_dim]`, context when first asked for.
    pub fn embeds(&self) -> &Tensor {
        self.embeds.get_or_init(|| {
            let embed = || {
                let (speaker, feats) = (&self.model.speaker, &self.batch.feats);
                speaker.forward(feats, &self.mask, self.train)
            };
            match self.train {
                true => embed(),
                false => no_grad(embed),
            }
        })
    }

    /// `codes`, each with the voice that `embeds` has of another speaker of the batch: features
    /// `[batch, bins, frames]`.
    pub fn converted(&self, codes: &Tensor, embeds: &Tensor) -> Tensor {
        let voices = embeds.index_select(0, &self.batch.one_of_another_speaker());
        self.model.decoder.forward(codes, &voices, &self.mask)
    }
}
