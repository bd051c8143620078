//! The interface of trained methods: from features to two representations, and back.

use std::fmt::Debug;

use tch::Tensor;

use crate::error::{Error, Result};
use crate::nn::{Mask, PhoneticStream};

/// A trained model, as extraction and voice conversion use it. Results do not depend on the rest of the batch.
pub trait DisentangledModel: Debug {
    /// The phonetic representation of features `[batch, bins, frames]`: codes `[batch, code_dim, codes]` and their mask.
    ///
    /// # Errors
    /// [`Error::Torch`] for a model that is an external module and does not run.
    fn codes(&self, feats: &Tensor, mask: &Mask) -> Result<(Tensor, Mask)>;

    /// Frames per code.
    fn subsampling(&self) -> i64;

    /// Codes of features that arrive in pieces.
    ///
    /// # Errors
    /// [`Error::Option`] naming the option that makes the model depend on later frames.
    fn stream(&self) -> Result<PhoneticStream<'_>> {
        Err(Error::option(
            "method.name",
            "disentangle or dann, whose phonetic encoder can be causal, for a stream",
            "another",
        ))
    }

    /// The speaker representation of features: `[batch, embedding_dim]`.
    ///
    /// # Errors
    /// [`Error::Option`] for a method without one.
    fn embeds(&self, _feats: &Tensor, _mask: &Mask) -> Result<Tensor> {
        Err(phonetic_alone("a speaker representation"))
    }

    /// Whether the decoder reads pitch.
    fn reads_pitch(&self) -> bool {
        false
    }

    /// From both representations, and pitch `[batch, 2, frames]` where the decoder reads it
    /// ([`Normalisation::pitch`](crate::dataset::normalisation::Normalisation::pitch)), to features `[batch, bins, frames]`;
    /// `mask` is that of the features.
    ///
    /// # Errors
    /// [`Error::Option`] for a method without a decoder, and for a decoder that reads pitch and is given none.
    fn decode(
        &self,
        _codes: &Tensor,
        _embeds: &Tensor,
        _pitch: Option<&Tensor>,
        _mask: &Mask,
    ) -> Result<Tensor> {
        Err(phonetic_alone("a decoder"))
    }
}

fn phonetic_alone(what: &str) -> Error {
    Error::option(
        "--exp",
        format!("a method with {what}"),
        "one with the phonetic representation only",
    )
}
