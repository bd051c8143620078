//! The layers of the transformer, and the last of them as a network that is trained further from a model's weights.

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor, no_grad};

use super::attention::{Attended, Attention, PositionBias};
use super::weights::{Affine, Source, Variables, Weights};
use super::{SslConfig, SslKind, checksum, weights_file};
use crate::error::{Error, Result, check_within};
use crate::nn::Mask;
use crate::signal::SslOptions;

/// A layer of the transformer.
pub(super) struct Layer {
    attention: Attention,
    norm: Affine,
    intermediate: Affine,
    output: Affine,
    final_norm: Affine,
}

/// What layers share: where normalisation comes, and WavLM's positions.
pub(super) struct Shared {
    eps: f64,
    /// Whether normalisation comes before attention and the feed-forward part.
    before: bool,
    relative: Option<PositionBias>,
}

impl Shared {
    pub(super) fn take<S: Source>(source: &mut S, config: &SslConfig) -> Result<Self, S::Error> {
        Ok(Self {
            eps: config.layer_norm_eps,
            before: config.do_stable_layer_norm,
            relative: match config.model_type {
                SslKind::WavLm => Some(PositionBias::take(source, config)?),
                SslKind::Hubert | SslKind::Wav2Vec2 => None,
            },
        })
    }

    /// For so many frames of a batch, `real` being those without padding `[batch, 1, frames]`.
    pub(super) fn attended(&self, frames: i64, real: Option<&Tensor>) -> Attended {
        Attended {
            bias: self.relative.as_ref().map(|relative| relative.of(frames)),
            real: real.map(|real| real.unsqueeze(1)),
        }
    }
}

impl Layer {
    /// Layer `index` of a model, from 0.
    pub(super) fn take<S: Source>(
        source: &mut S,
        index: usize,
        config: &SslConfig,
    ) -> Result<Self, S::Error> {
        let name = format!("encoder.layers.{index}");
        let (hidden, wide) = (config.hidden_size, config.intermediate_size);
        Ok(Self {
            attention: Attention::take(source, &format!("{name}.attention"), config)?,
            norm: source.norm(&format!("{name}.layer_norm"), hidden)?,
            intermediate: source.linear(
                &format!("{name}.feed_forward.intermediate_dense"),
                hidden,
                wide,
            )?,
            output: source.linear(&format!("{name}.feed_forward.output_dense"), wide, hidden)?,
            final_norm: source.norm(&format!("{name}.final_layer_norm"), hidden)?,
        })
    }

    /// `[batch, frames, hidden]` to the same.
    pub(super) fn forward(&self, x: &Tensor, attended: &Attended, shared: &Shared) -> Tensor {
        let eps = shared.eps;
        let feed_forward = |x: &Tensor| {
            self.output
                .linear(&self.intermediate.linear(x).gelu("none"))
        };
        match shared.before {
            true => {
                let x = x + (self.attention).forward(&self.norm.layer_norm(x, eps), attended);
                &x + feed_forward(&self.final_norm.layer_norm(&x, eps))
            }
            false => {
                let sum = x + self.attention.forward(x, attended);
                let x = self.norm.layer_norm(&sum, eps);
                let sum = &x + feed_forward(&x);
                self.final_norm.layer_norm(&sum, eps)
            }
        }
    }
}

/// The last layers of a self-supervised encoder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SslLayersOptions {
    /// Folder of the model, as of a front-end `kind = "hubert"`. It is read when a run begins; checkpoints hold the weights
    /// from then on.
    pub model: PathBuf,
    /// How many of its last layers are trained. Features have to be the hidden states of the layer before.
    #[serde(default = "two")]
    pub layers: usize,
}

fn two() -> usize {
    2
}

impl SslLayersOptions {
    /// Checks every value; `name` is the table that holds them.
    ///
    /// # Errors
    /// [`Error::Option`] naming the key.
    pub fn check(&self, name: &str) -> Result<()> {
        check_within(format!("{name}.layers"), self.layers, 1..=256)
    }

    /// The configuration of the model, for features of `bins` that a front-end with the options `input` computes, where there is
    /// one; `name` is the table of these options.
    ///
    /// # Errors
    /// As [`SslConfig::read`]; [`Error::Option`] for more layers than there are, features of another width or layer, and a
    /// front-end of another model.
    pub fn config(&self, name: &str, bins: usize, input: Option<&SslOptions>) -> Result<SslConfig> {
        let config = SslConfig::read(&self.model)?;
        let all = config.num_hidden_layers;
        check_within(format!("{name}.layers"), self.layers, 1..=all)?;
        if config.hidden_size != bins as i64 {
            let expected =
                format!("a model whose hidden states have {bins} values, as the features");
            let found = format!("{} in {}", config.hidden_size, self.model.display());
            return Err(Error::option(format!("{name}.model"), expected, found));
        }
        let Some(input) = input else {
            return Ok(config);
        };
        let own = checksum(&self.model, &weights_file(&self.model)?.1)?;
        if input.checksum.as_ref().is_some_and(|other| *other != own) {
            let expected = format!("{}, the model of data.front_end", input.model.display());
            let found = format!("{}, another one", self.model.display());
            return Err(Error::option(format!("{name}.model"), expected, found));
        }
        match input.layer {
            Some(layer) if layer + self.layers != all => {
                let expected = format!(
                    "{}, so that the layers follow layer {layer}, which data.front_end gives",
                    all - layer.min(all)
                );
                let found = self.layers.to_string();
                Err(Error::option(format!("{name}.layers"), expected, found))
            }
            _ => Ok(config),
        }
    }
}

/// The last layers of an encoder as a network.
pub struct SslLayers {
    shared: Shared,
    layers: Vec<Layer>,
    /// After the last layer, where normalisation comes before the others.
    norm: Option<Affine>,
    /// Its variables by their names in a model.
    variables: Vec<(String, Tensor)>,
}

impl SslLayers {
    /// The last `layers` of a model of this configuration; zero until [`SslLayers::load`] or a checkpoint fills them.
    pub fn new(path: tch::nn::Path, config: &SslConfig, layers: usize) -> Self {
        match Self::take(Variables::new(path), config, layers) {
            Ok(layers) => layers,
            Err(never) => match never {},
        }
    }

    fn take(mut source: Variables, config: &SslConfig, layers: usize) -> Result<Self, Infallible> {
        let all = config.num_hidden_layers;
        let own = all.saturating_sub(layers)..all;
        Ok(Self {
            shared: Shared::take(&mut source, config)?,
            layers: own
                .map(|index| Layer::take(&mut source, index, config))
                .collect::<Result<_, _>>()?,
            norm: match config.do_stable_layer_norm {
                true => Some(source.norm("encoder.layer_norm", config.hidden_size)?),
                false => None,
            },
            variables: source.taken(),
        })
    }

    /// Takes the weights of a model's folder.
    ///
    /// # Errors
    /// A missing or broken file; the first tensor that is missing or of another shape.
    pub fn load(&self, folder: &Path) -> Result<()> {
        let (path, bytes) = weights_file(folder)?;
        let mut weights = Weights::of(&path, &bytes, Device::Cpu)?;
        for (name, variable) in &self.variables {
            let read = weights.take(name, &variable.size())?;
            no_grad(|| variable.shallow_clone().copy_(&read));
        }
        Ok(())
    }

    /// Hidden states `[batch, hidden, frames]` to those of the last layer.
    pub fn forward(&self, x: &Tensor, mask: &Mask) -> Tensor {
        let attended = self.shared.attended(mask.frames(), mask.real().as_ref());
        let x = x.transpose(1, 2);
        let x = (self.layers.iter()).fold(x, |x, layer| layer.forward(&x, &attended, &self.shared));
        let x = match &self.norm {
            Some(norm) => norm.layer_norm(&x, self.shared.eps),
            None => x,
        };
        mask.apply(x.transpose(1, 2))
    }
}

impl std::fmt::Debug for SslLayers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (formatter.debug_struct("SslLayers"))
            .field("layers", &self.layers.len())
            .finish_non_exhaustive()
    }
}
