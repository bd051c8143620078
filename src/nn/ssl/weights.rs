//! Tensors of a safetensors file by transformers' names, each taken once.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;

use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use tch::{Device, Kind, Tensor};

use super::SslConfig;
use crate::error::{Error, Result};

/// A tensor that every model has.
const LANDMARK: &str = "feature_extractor.conv_layers.0.conv.weight";
/// Tensors that only training reads, or heads on top of the encoder.
const UNUSED: [&str; 7] = [
    "masked_spec_embed",
    "lm_head",
    "classifier",
    "projector",
    "quantizer",
    "project_",
    "final_proj",
];

/// A linear or normalisation layer's weight and bias.
pub(super) struct Affine {
    pub(super) weight: Tensor,
    bias: Tensor,
}

impl Affine {
    pub(super) fn linear(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, Some(&self.bias))
    }

    /// Normalises the last dimension.
    pub(super) fn layer_norm(&self, x: &Tensor, eps: f64) -> Tensor {
        let size = self.weight.size();
        x.layer_norm(size, Some(&self.weight), Some(&self.bias), eps, false)
    }

    /// Normalises each channel of `[batch, channels, frames]` over time.
    pub(super) fn instance_norm(&self, x: &Tensor, eps: f64) -> Tensor {
        let groups = self.weight.size()[0];
        x.group_norm(groups, Some(&self.weight), Some(&self.bias), eps, false)
    }
}

/// Where layers take their tensors from, by transformers' names.
pub(super) trait Source {
    /// Why there may be none.
    type Error;

    /// A tensor of a shape, in single precision.
    fn take(&mut self, name: &str, shape: &[i64]) -> Result<Tensor, Self::Error>;

    /// `name.weight` and `name.bias` of a linear layer.
    fn linear(&mut self, name: &str, from: i64, to: i64) -> Result<Affine, Self::Error> {
        Ok(Affine {
            weight: self.take(&format!("{name}.weight"), &[to, from])?,
            bias: self.take(&format!("{name}.bias"), &[to])?,
        })
    }

    /// The same of a normalisation.
    fn norm(&mut self, name: &str, size: i64) -> Result<Affine, Self::Error> {
        Ok(Affine {
            weight: self.take(&format!("{name}.weight"), &[size])?,
            bias: self.take(&format!("{name}.bias"), &[size])?,
        })
    }
}

/// New variables of a module that is trained, zero, and their names.
pub(super) struct Variables<'a> {
    path: tch::nn::Path<'a>,
    taken: Vec<(String, Tensor)>,
}

impl<'a> Variables<'a> {
    pub(super) fn new(path: tch::nn::Path<'a>) -> Self {
        let taken = Vec::new();
        Self { path, taken }
    }

    /// All that were taken.
    pub(super) fn taken(self) -> Vec<(String, Tensor)> {
        self.taken
    }
}

impl Source for Variables<'_> {
    type Error = Infallible;

    fn take(&mut self, name: &str, shape: &[i64]) -> Result<Tensor, Infallible> {
        let (module, own) = name.rsplit_once('.').unwrap_or(("", name));
        let module = module
            .split('.')
            .fold(self.path.clone(), |path, part| path / part);
        let variable = module.zeros(own, shape);
        self.taken
            .push((name.to_string(), variable.shallow_clone()));
        Ok(variable)
    }
}

/// The tensors of a file that were not taken yet.
pub(super) struct Weights<'a> {
    path: &'a Path,
    /// Such as `hubert.`, for models with a head.
    prefix: String,
    tensors: BTreeMap<String, TensorView<'a>>,
    device: Device,
}

impl<'a> Weights<'a> {
    /// The tensors of the bytes of `path`.
    pub(super) fn of(path: &'a Path, bytes: &'a [u8], device: Device) -> Result<Self> {
        let read = SafeTensors::deserialize(bytes).map_err(|error| {
            Error::format(path, "tensors in safetensors format", error.to_string())
        })?;
        let tensors: BTreeMap<_, _> = read.tensors().into_iter().collect();
        let landmark = tensors.keys().find(|name| name.ends_with(LANDMARK));
        let Some(landmark) = landmark else {
            return Err(Error::key(path, LANDMARK, "this tensor", "none"));
        };
        Ok(Self {
            path,
            prefix: landmark[..landmark.len() - LANDMARK.len()].to_string(),
            tensors,
            device,
        })
    }

    /// Takes the weight of the positional convolution, which is saved as length and direction for each place in the kernel,
    /// under the names of either form of PyTorch's weight_norm.
    pub(super) fn position(&mut self, config: &SslConfig) -> Result<Tensor> {
        let (hidden, kernel) = (config.hidden_size, config.num_conv_pos_embeddings);
        let name = "encoder.pos_conv_embed.conv";
        let new = format!("{name}.parametrizations.weight.original");
        let names = match self.tensors.contains_key(&format!("{}{new}0", self.prefix)) {
            true => [format!("{new}0"), format!("{new}1")],
            false => [format!("{name}.weight_g"), format!("{name}.weight_v")],
        };
        let length = self.take(&names[0], &[1, 1, kernel])?;
        let shape = [
            hidden,
            hidden / config.num_conv_pos_embedding_groups,
            kernel,
        ];
        let direction = self.take(&names[1], &shape)?;
        let norm = direction
            .square()
            .sum_dim_intlist([0i64, 1].as_slice(), true, Kind::Float)
            .sqrt();
        Ok(direction * (length / norm))
    }

    /// Refuses tensors that were not taken: the configuration is of a smaller model.
    pub(super) fn finish(self) -> Result<()> {
        let unused = |name: &str| {
            let own = name.strip_prefix(&self.prefix);
            own.is_none_or(|own| UNUSED.iter().any(|start| own.starts_with(start)))
        };
        match self.tensors.iter().find(|(name, _)| !unused(name)) {
            None => Ok(()),
            Some((name, view)) => {
                let found = format!("one {:?}", view.shape());
                Err(Error::key(
                    self.path,
                    name,
                    "no such tensor in config.json's model",
                    found,
                ))
            }
        }
    }
}

impl Source for Weights<'_> {
    type Error = Error;

    fn take(&mut self, name: &str, shape: &[i64]) -> Result<Tensor> {
        let full = format!("{}{name}", self.prefix);
        let Some(view) = self.tensors.remove(&full) else {
            let expected = format!("a tensor {shape:?}");
            return Err(Error::key(self.path, full, expected, "none"));
        };
        let found: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
        if found != shape {
            let (expected, found) = (format!("{shape:?}"), format!("{found:?}"));
            return Err(Error::key(self.path, full, expected, found));
        }
        let data = view.data();
        let values: Vec<f32> = match view.dtype() {
            Dtype::F32 => data
                .as_chunks()
                .0
                .iter()
                .map(|&bytes| f32::from_le_bytes(bytes))
                .collect(),
            Dtype::F16 => data
                .as_chunks()
                .0
                .iter()
                .map(|&bytes| f16::from_le_bytes(bytes).to_f32())
                .collect(),
            Dtype::BF16 => data
                .as_chunks()
                .0
                .iter()
                .map(|&bytes| bf16::from_le_bytes(bytes).to_f32())
                .collect(),
            other => {
                let found = format!("{other:?}");
                return Err(Error::key(self.path, full, "F32, F16 or BF16", found));
            }
        };
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(Error::key(
                self.path,
                full,
                "finite numbers",
                value.to_string(),
            ));
        }
        Ok(Tensor::from_slice(&values)
            .view(shape)
            .to_device(self.device))
    }
}
