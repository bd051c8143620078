//! A layer, or a weighted sum of layers, of a self-supervised encoder as a front-end.

use std::path::PathBuf;

use ndarray::Array2;
use tch::Device;

use super::{SAMPLE_RATE_HZ, SslConfig, SslEncoder, SslKind};
use crate::error::{Error, Result};
use crate::nn::network_shape::{Shape, check_checksum};
use crate::signal::{NetworkOptions, SslOptions};

/// An encoder, and the weights of its layers.
pub(in crate::nn) struct SslFrontEnd {
    encoder: SslEncoder,
    weights: Vec<f32>,
}

impl SslFrontEnd {
    /// Loads the model of this kind that `options` name; they come back with its absolute place, its layer and its checksum.
    ///
    /// # Errors
    /// As [`SslEncoder::load`]; [`Error::Key`] for another architecture or another checksum; [`Error::Option`] for layers that
    /// are not there.
    pub(in crate::nn) fn open(
        kind: SslKind,
        options: &SslOptions,
        device: Device,
    ) -> Result<(Self, NetworkOptions)> {
        let found = SslConfig::read(&options.model)?.model_type;
        if found != kind {
            let (expected, found) = (
                format!("\"{}\"", kind.name()),
                format!("\"{}\"", found.name()),
            );
            let expected = format!("{expected}, as the front-end's kind is");
            let path = options.model.join("config.json");
            return Err(Error::key(path, "model_type", expected, found));
        }
        let encoder = SslEncoder::load(&options.model, device)?;
        check_checksum(
            options.checksum.as_ref(),
            encoder.checksum(),
            &options.model,
        )?;
        let (layer, weights) =
            layers(options, &encoder).map_err(|error| error.in_table("front_end"))?;
        let model = std::path::absolute(&options.model).map_err(Error::io(&options.model))?;
        let recorded = SslOptions {
            model: model.components().collect::<PathBuf>(),
            layer,
            layer_weights: options.layer_weights.clone(),
            checksum: Some(encoder.checksum().to_string()),
        };
        let recorded = kind.options(recorded);
        Ok((Self { encoder, weights }, recorded))
    }

    pub(in crate::nn) fn shape(&self) -> Shape {
        let config = self.encoder.config();
        Shape {
            rate_hz: f64::from(SAMPLE_RATE_HZ),
            frame_shift: config.stride(),
            frame_length: config.least_samples(),
            dim: config.hidden_size as usize,
        }
    }

    /// Features `[frames, hidden]`.
    pub(in crate::nn) fn compute(&self, samples: &[f32]) -> Result<Array2<f32>> {
        self.encoder.encode(samples, &self.weights)
    }
}

/// The one layer, where it is one, and the weights of all.
fn layers(options: &SslOptions, encoder: &SslEncoder) -> Result<(Option<usize>, Vec<f32>)> {
    match (options.layer, &options.layer_weights[..]) {
        (Some(layer), [_, ..]) => {
            let expected = "layer or layer_weights";
            let found = format!("both, layer = {layer}");
            Err(Error::option("layer", expected, found))
        }
        (layer, []) => {
            let layer = layer.unwrap_or(encoder.config().num_hidden_layers);
            Ok((Some(layer), encoder.only(layer)?))
        }
        (None, weights) => {
            encoder.check(weights)?;
            Ok((None, weights.to_vec()))
        }
    }
}

impl SslKind {
    /// Its name in `config.json`, which is that of the front-end.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hubert => "hubert",
            Self::Wav2Vec2 => "wav2vec2",
            Self::WavLm => "wavlm",
        }
    }

    /// Options of a front-end of this kind.
    pub fn options(self, options: SslOptions) -> NetworkOptions {
        match self {
            Self::Hubert => NetworkOptions::Hubert(options),
            Self::Wav2Vec2 => NetworkOptions::Wav2Vec2(options),
            Self::WavLm => NetworkOptions::WavLm(options),
        }
    }
}
