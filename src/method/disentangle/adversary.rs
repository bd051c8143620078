//! The trait of adversaries, and what a step has computed from its batch.

use std::cell::OnceCell;
use std::fmt::Debug;

use tch::{Device, Tensor, no_grad};

use super::DisentangleOptions;
use super::masked_prediction::Masked;
use super::model::Model;
use crate::dataset::batch::SpeechBatch;
use crate::error::Result;
use crate::nn::phonetic_encoder::Encoded;
use crate::nn::speaker_encoder::Embedded;
use crate::nn::{Mask, PerturbOptions};
use crate::train::{Clock, Scalars, Trainable};

/// A network with a loss of its own. It is trained on detached codes and features, alternating with the encoders, or in
/// one update with them. It returns the loss that it adds to the encoders.
pub trait Adversary: Debug {
    /// Its trainable module.
    fn trainable(&mut self) -> &mut Trainable;

    /// Number of its own steps per training step, each on a batch of its own.
    fn inner_steps(&self) -> usize;

    /// Whether it is trained in the same backward pass as the encoders.
    fn shares_update(&self) -> bool {
        false
    }

    /// Called before anything of `step` is computed.
    fn before_step(&mut self, _step: u64) {}

    /// A step of its own.
    ///
    /// # Errors
    /// Errors of libtorch.
    fn inner_step(
        &mut self,
        context: &StepContext,
        clock: &Clock,
        scalars: &mut Scalars,
    ) -> Result<()>;

    /// The loss that it adds to encoders and decoder at `step` of its ramp; none while its weight is 0.
    fn encoder_term(
        &mut self,
        context: &StepContext,
        step: u64,
        scalars: &mut Scalars,
    ) -> Option<Tensor>;

    /// Adds its validation terms, without gradients.
    fn validate(&self, context: &StepContext, scalars: &mut Scalars);
}

/// What a step has computed from its batch.
#[derive(Debug)]
pub struct StepContext<'a> {
    /// Encoders and decoder.
    pub model: &'a Model,
    /// The batch.
    pub batch: &'a SpeechBatch,
    /// Frames without padding.
    pub mask: Mask,
    /// Perturbation of the phonetic encoder's input in training.
    pub perturb: &'a PerturbOptions,
    /// Codes whose input is masked, where some is.
    pub masked: Option<Masked>,
    /// Whether networks are in training mode.
    pub train: bool,
    /// Codes.
    pub encoded: Encoded,
    embedded: OnceCell<Embedded>,
}

impl<'a> StepContext<'a> {
    /// The codes of a batch; its features are perturbed and masked only in training.
    pub fn new(
        model: &'a Model,
        batch: &'a SpeechBatch,
        options: &'a DisentangleOptions,
        device: Device,
        train: bool,
    ) -> Self {
        let mask = Mask::new(&batch.lengths, device);
        let perturb = &options.perturb;
        let mut feats = batch.feats.shallow_clone();
        let mut masked = None;
        if train {
            feats = perturb.apply(&feats);
            masked = (options.masked_prediction.as_ref()).map(|spans| spans.draw(&mask, device));
        }
        if let Some(masked) = &masked {
            feats = masked.apply(&feats);
        }
        Self {
            encoded: model.encode(&feats, &mask, train),
            masked,
            embedded: OnceCell::new(),
            model,
            batch,
            mask,
            perturb,
            train,
        }
    }

    /// The same for an adversary's inner step: codes and embeddings have no gradient, and the speaker encoder's running
    /// statistics stay as they are.
    pub fn detached(
        model: &'a Model,
        batch: &'a SpeechBatch,
        options: &'a DisentangleOptions,
        device: Device,
    ) -> Self {
        let context = no_grad(|| Self::new(model, batch, options, device, true));
        Self {
            train: false,
            ..context
        }
    }

    /// A second view of the batch, `[batch, bins, frames]`: that of the data where there is one, perturbed anew.
    pub fn second_view(&self) -> Tensor {
        let batch = self.batch;
        self.perturb
            .apply(batch.second.as_ref().unwrap_or(&batch.feats))
    }

    /// Codes `[batch, code_dim, codes]`.
    pub fn codes(&self) -> &Tensor {
        &self.encoded.codes
    }

    /// Codes without padding.
    pub fn code_mask(&self) -> &Mask {
        &self.encoded.mask
    }

    /// Speaker embeddings `[batch, embedding_dim]`, computed at the first call.
    pub fn embeds(&self) -> &Tensor {
        &self.embedded().embeds
    }

    /// Speaker embeddings and what they cost, computed at the first call.
    pub fn embedded(&self) -> &Embedded {
        self.embedded.get_or_init(|| {
            let embed = || (self.model).embed(&self.batch.feats, &self.mask, self.train);
            match self.train {
                true => embed(),
                false => no_grad(embed),
            }
        })
    }

    /// Features `[batch, bins, frames]` decoded from `codes` and `embeds`, with the batch's pitch where the decoder reads it.
    pub fn decode(&self, codes: &Tensor, embeds: &Tensor) -> Tensor {
        let pitch = self.batch.pitch.as_ref();
        (self.model.decoder).forward(codes, embeds, pitch, &self.mask)
    }

    /// Voice conversion: features `[batch, bins, frames]` decoded from `codes` and, for each, the embedding of another
    /// speaker of the batch.
    pub fn converted(&self, codes: &Tensor, embeds: &Tensor) -> Tensor {
        let targets = embeds.index_select(0, &self.batch.one_of_another_speaker());
        self.decode(codes, &targets)
    }
}
