//! What a disentangling method leaves behind: the two encoders and the decoder.

use serde::{Deserialize, Serialize};
use tch::Device;

use crate::error::{Error, Result};
use crate::nn::decoder::DecoderShape;
use crate::nn::{
    Decoder, DecoderOptions, PhoneticEncoder, PhoneticEncoderOptions, SpeakerEncoder,
    SpeakerEncoderOptions,
};
use crate::train::{OptimiserOptions, Player};

/// Sizes of the three networks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelOptions {
    /// Features to codes.
    pub phonetic_encoder: PhoneticEncoderOptions,
    /// Features to one embedding.
    pub speaker_encoder: SpeakerEncoderOptions,
    /// Codes and embedding to features.
    pub decoder: DecoderOptions,
}

impl ModelOptions {
    /// Checks every value.
    ///
    /// # Errors
    /// [`crate::Error::Option`] naming the key.
    pub fn check(&self) -> Result<()> {
        self.phonetic_encoder.check()?;
        self.speaker_encoder.check()?;
        self.decoder.check()?;
        let unrolls = matches!(self.decoder, DecoderOptions::Recurrent(_));
        if unrolls != self.phonetic_encoder.pool {
            return Err(Error::option(
                "decoder.kind",
                "\"recurrent\" for pooled codes, \"conv\" for sequences of them",
                format!("phonetic_encoder.pool = {}", self.phonetic_encoder.pool),
            ));
        }
        Ok(())
    }
}

/// What the networks are built for.
#[derive(Debug, Clone, Copy)]
pub struct ModelShape {
    /// Bins of the features.
    pub bins: i64,
}

/// Encoders and decoder with their players.
#[derive(Debug)]
pub struct Model {
    phonetic_player: Player,
    speaker_player: Player,
    decoder_player: Player,
    /// Features to codes.
    pub phonetic: PhoneticEncoder,
    /// Features to one embedding.
    pub speaker: SpeakerEncoder,
    /// Codes and embedding to features.
    pub decoder: Decoder,
}

impl Model {
    /// Fresh networks on `device`.
    pub fn new(
        options: &ModelOptions,
        shape: ModelShape,
        optimiser: &OptimiserOptions,
        device: Device,
    ) -> Self {
        let (phonetic_player, phonetic) =
            Player::new("phonetic_encoder", device, optimiser, |path| {
                PhoneticEncoder::new(path, shape.bins, &options.phonetic_encoder)
            });
        let (speaker_player, speaker) = Player::new("speaker_encoder", device, optimiser, |path| {
            SpeakerEncoder::new(path, shape.bins, &options.speaker_encoder)
        });
        let decoder_shape = DecoderShape {
            code_dim: options.phonetic_encoder.code_dim,
            subsampling: options.phonetic_encoder.subsampling,
            embedding_dim: options.speaker_encoder.embedding_dim,
            output_dim: shape.bins,
        };
        let (decoder_player, decoder) = Player::new("decoder", device, optimiser, |path| {
            Decoder::new(path, decoder_shape, &options.decoder)
        });
        Self {
            phonetic_player,
            speaker_player,
            decoder_player,
            phonetic,
            speaker,
            decoder,
        }
    }

    /// The three players.
    pub fn players(&mut self) -> Vec<&mut Player> {
        vec![
            &mut self.phonetic_player,
            &mut self.speaker_player,
            &mut self.decoder_player,
        ]
    }
}
