//! The networks that are used after training: from features to codes, from features to an embedding, and back.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use super::regression::Regression;
use crate::dataset::batch::SpeechBatch;
use crate::error::{Error, Result};
use crate::method::trained::DisentangledModel;
use crate::nn::baseline::{Baseline, BaselineOptions};
use crate::nn::decoder::DecoderShape;
use crate::nn::phonetic_encoder::Encoded;
use crate::nn::speaker_encoder::Embedded;
use crate::nn::ssl::{SslConfig, SslLayers, SslLayersOptions};
use crate::nn::{
    Decoder, DecoderOptions, Mask, PhoneticEncoder, PhoneticEncoderOptions, PhoneticStream,
    SpeakerEncoder, SpeakerEncoderOptions,
};
use crate::train::{OptimiserOptions, Trainable};

/// Encoders and decoder.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelOptions {
    /// From features to codes.
    pub phonetic_encoder: PhoneticEncoderOptions,
    /// A fixed transformation in place of the phonetic encoder, as a baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BaselineOptions>,
    /// The last layers of a self-supervised encoder in place of the phonetic encoder, trained further from its weights. Codes
    /// are its hidden states.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_layers: Option<SslLayersOptions>,
    /// From features to one speaker embedding.
    pub speaker_encoder: SpeakerEncoderOptions,
    /// From codes and speaker embedding to features.
    pub decoder: DecoderOptions,
    /// Give the decoder the pitch of the utterance: log F0, without the utterance's mean and divided by its deviation, and
    /// voicing. It is read from `pitch.scp` of the data directories (`unbraid feats pitch`), or computed if `data.input =
    /// "audio"`; in voice conversion it is that of the source.
    pub pitch: bool,
    /// Remove from extracted codes what a linear regression on the speaker embedding predicts of them. For decoding,
    /// the prediction from the target speaker's embedding is added again.
    pub regress_speaker_out: bool,
}

impl ModelOptions {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self) -> Result<()> {
        let within = |error: Error| error.in_table("model");
        self.phonetic_encoder.check().map_err(within)?;
        if let Some(baseline) = self.baseline {
            baseline.check("model.baseline")?;
        }
        if let Some(layers) = &self.ssl_layers {
            layers.check("model.ssl_layers")?;
        }
        let sources = [
            self.baseline.is_some(),
            self.ssl_layers.is_some(),
            self.phonetic_encoder != PhoneticEncoderOptions::default(),
        ];
        if sources.iter().filter(|given| **given).count() > 1 {
            return Err(Error::option(
                "model",
                "one of phonetic_encoder, baseline and ssl_layers",
                "two",
            ));
        }
        self.speaker_encoder.check().map_err(within)?;
        self.decoder.check().map_err(within)?;
        let unrolls = matches!(self.decoder, DecoderOptions::Recurrent(_));
        if unrolls != self.phonetic_encoder.pool {
            return Err(Error::option(
                "model.decoder.kind",
                "\"recurrent\" for pooled codes, \"conv\" for sequences of them",
                format!(
                    "model.phonetic_encoder.pool = {}",
                    self.phonetic_encoder.pool
                ),
            ));
        }
        Ok(())
    }

    /// Values per code, for features of `bins`.
    pub fn code_dim(&self, bins: i64) -> i64 {
        match self.has_encoder() {
            true => self.phonetic_encoder.code_dim,
            false => bins,
        }
    }

    /// Frames per code.
    pub fn subsampling(&self) -> i64 {
        match self.has_encoder() {
            true => self.phonetic_encoder.subsampling,
            false => 1,
        }
    }

    /// Whether codes are those of the phonetic encoder.
    fn has_encoder(&self) -> bool {
        self.baseline.is_none() && self.ssl_layers.is_none()
    }
}

/// The data that the networks are built for.
#[derive(Debug, Clone, Copy)]
pub struct ModelShape<'a> {
    /// Bins of the features.
    pub bins: i64,
    /// Number of training speakers.
    pub speakers: i64,
    /// The configuration of the model that `ssl_layers` belong to.
    pub ssl: Option<&'a SslConfig>,
}

/// The source of codes.
#[derive(Debug)]
pub enum Phonetic {
    /// A trained encoder.
    Network(Box<PhoneticEncoder>),
    /// Layers of a self-supervised encoder.
    SslLayers(SslLayers),
    /// A baseline.
    Baseline(Baseline),
}

impl Phonetic {
    /// Features `[batch, bins, frames]` to codes; `train` switches the bottleneck's training behaviour.
    pub fn forward(&self, feats: &Tensor, mask: &Mask, train: bool) -> Encoded {
        match self {
            Self::Network(encoder) => encoder.forward(feats, mask, train),
            Self::SslLayers(_) | Self::Baseline(_) => {
                let (codes, mask) = self.codes(feats, mask);
                Encoded {
                    codes,
                    mask,
                    penalty: None,
                    perplexity: None,
                }
            }
        }
    }

    /// The codes of [`Phonetic::forward`] without training, and their mask.
    pub fn codes(&self, feats: &Tensor, mask: &Mask) -> (Tensor, Mask) {
        match self {
            Self::Network(encoder) => encoder.codes(feats, mask),
            Self::SslLayers(layers) => (layers.forward(feats, mask), mask.subsample(1)),
            Self::Baseline(baseline) => (baseline.forward(feats, mask), mask.subsample(1)),
        }
    }

    /// Called once per training step, before anything of the step is computed.
    pub fn before_step(&self) {
        if let Self::Network(encoder) = self {
            encoder.before_step();
        }
    }

    /// Updates a baseline with a training batch.
    pub fn observe(&self, batch: &SpeechBatch, device: Device) {
        if let Self::Baseline(baseline) = self {
            let mask = Mask::new(&batch.lengths, device);
            baseline.observe(&batch.feats, &mask, &batch.speakers);
        }
    }
}

/// Places in [`Model::trainables`].
const PHONETIC: usize = 0;
const SPEAKER: usize = 1;
const REGRESSION: usize = 3;

/// Encoders and decoder with their trainable modules.
#[derive(Debug)]
pub struct Model {
    trainables: Vec<Trainable>,
    /// Features to codes.
    pub phonetic: Phonetic,
    /// Features to one embedding.
    pub speaker: SpeakerEncoder,
    /// Codes and embedding to features.
    pub decoder: Decoder,
    pitch: bool,
    regression: Option<Regression>,
}

impl Model {
    /// New networks on `device`.
    pub fn new(
        options: &ModelOptions,
        shape: ModelShape,
        optimiser: &OptimiserOptions,
        device: Device,
    ) -> Self {
        let (phonetic_module, phonetic) =
            Trainable::new("phonetic_encoder", device, optimiser, |path| {
                match (options.baseline, &options.ssl_layers, shape.ssl) {
                    (Some(baseline), ..) => Phonetic::Baseline(Baseline::new(
                        path,
                        shape.bins,
                        shape.speakers,
                        baseline,
                    )),
                    (None, Some(own), Some(config)) => {
                        Phonetic::SslLayers(SslLayers::new(path, config, own.layers))
                    }
                    _ => {
                        let encoder = &options.phonetic_encoder;
                        Phonetic::Network(Box::new(PhoneticEncoder::new(path, shape.bins, encoder)))
                    }
                }
            });
        let (speaker_module, speaker) =
            Trainable::new("speaker_encoder", device, optimiser, |path| {
                SpeakerEncoder::new(path, shape.bins, &options.speaker_encoder)
            });
        let decoder_shape = DecoderShape {
            code_dim: options.code_dim(shape.bins),
            subsampling: options.subsampling(),
            embedding_dim: options.speaker_encoder.outputs(shape.bins),
            output_dim: shape.bins,
            pitch: options.pitch,
        };
        let (decoder_module, decoder) = Trainable::new("decoder", device, optimiser, |path| {
            Decoder::new(path, decoder_shape, &options.decoder)
        });
        let mut trainables = vec![phonetic_module, speaker_module, decoder_module];
        let regression = options.regress_speaker_out.then(|| {
            let (from, to) = (decoder_shape.embedding_dim, decoder_shape.code_dim);
            let (trainable, regression) = Trainable::new("regression", device, optimiser, |path| {
                Regression::new(path, to, from)
            });
            trainables.push(trainable);
            regression
        });
        Self {
            trainables,
            phonetic,
            speaker,
            decoder,
            pitch: options.pitch,
            regression,
        }
    }

    /// Takes the weights of the model in `folder` for the layers that are trained further.
    ///
    /// # Errors
    /// As [`SslLayers::load`].
    pub fn load_ssl_layers(&self, folder: &Path) -> Result<()> {
        match &self.phonetic {
            Phonetic::SslLayers(layers) => layers.load(folder),
            Phonetic::Network(_) | Phonetic::Baseline(_) => Ok(()),
        }
    }

    /// All modules that are trained or saved.
    pub fn trainables(&mut self) -> Vec<&mut Trainable> {
        self.trainables.iter_mut().collect()
    }

    /// Features `[batch, bins, frames]` to codes in a step; `train` is its mode.
    pub fn encode(&self, feats: &Tensor, mask: &Mask, train: bool) -> Encoded {
        (self.phonetic).forward(feats, mask, self.trainables[PHONETIC].trains(train))
    }

    /// Features `[batch, bins, frames]` to embeddings in a step; `train` is its mode.
    pub fn embed(&self, feats: &Tensor, mask: &Mask, train: bool) -> Embedded {
        (self.speaker).step(feats, mask, self.trainables[SPEAKER].trains(train))
    }

    /// Called once per training step, before anything of the step is computed.
    pub fn before_step(&self) {
        if self.trainables[PHONETIC].trains(true) {
            self.phonetic.before_step();
        }
    }

    /// Updates what the phonetic codes take from a training batch, before it is encoded.
    pub fn observe_feats(&self, batch: &SpeechBatch, device: Device) {
        if self.trainables[PHONETIC].trains(true) {
            self.phonetic.observe(batch, device);
        }
    }

    /// Updates the regression with codes and embeddings of a training step.
    pub fn observe(&self, encoded: &Encoded, embeds: &Tensor) {
        if let Some(regression) = &self.regression
            && self.trainables[REGRESSION].trains(true)
        {
            regression.observe(&encoded.codes, &encoded.mask, embeds);
        }
    }
}

impl DisentangledModel for Model {
    fn codes(&self, feats: &Tensor, mask: &Mask) -> Result<(Tensor, Mask)> {
        let (codes, own) = self.phonetic.codes(feats, mask);
        Ok(match &self.regression {
            None => (codes, own),
            Some(regression) => {
                let predicted = regression.predict(&self.speaker.forward(feats, mask, false));
                (own.apply(codes - predicted), own)
            }
        })
    }

    fn subsampling(&self) -> i64 {
        match &self.phonetic {
            Phonetic::Network(encoder) => encoder.subsampling(),
            Phonetic::SslLayers(_) | Phonetic::Baseline(_) => 1,
        }
    }

    fn stream(&self) -> Result<PhoneticStream<'_>> {
        let refuse = |key: &str, found: &str| {
            let expected = "none for a stream";
            Err(Error::option(
                format!("method.model.{key}"),
                expected,
                found,
            ))
        };
        match (&self.phonetic, &self.regression) {
            (Phonetic::SslLayers(_), _) => refuse("ssl_layers", "some"),
            (Phonetic::Baseline(_), _) => refuse("baseline", "one"),
            (_, Some(_)) => refuse("regress_speaker_out", "true"),
            (Phonetic::Network(encoder), None) => encoder.stream(),
        }
    }

    fn embeds(&self, feats: &Tensor, mask: &Mask) -> Result<Tensor> {
        Ok(self.speaker.forward(feats, mask, false))
    }

    fn reads_pitch(&self) -> bool {
        self.pitch
    }

    fn decode(
        &self,
        codes: &Tensor,
        embeds: &Tensor,
        pitch: Option<&Tensor>,
        mask: &Mask,
    ) -> Result<Tensor> {
        let pitch = pitch.filter(|_| self.pitch);
        if self.pitch && pitch.is_none() {
            let expected = "false where features are decoded without their pitch";
            return Err(Error::option("method.model.pitch", expected, "true"));
        }
        Ok(match &self.regression {
            None => self.decoder.forward(codes, embeds, pitch, mask),
            Some(regression) => {
                let codes = codes + regression.predict(embeds);
                self.decoder.forward(&codes, embeds, pitch, mask)
            }
        })
    }
}
