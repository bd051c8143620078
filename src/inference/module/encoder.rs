//! A module written by [`super::Export`], used like any trained model.

use std::path::{Path, PathBuf};

use tch::{CModule, Device, Kind, Tensor};

use super::archive::read_metadata;
use super::{Input, Metadata};
use crate::dataset::normalisation::Normalisation;
use crate::error::{Error, Result};
use crate::inference::extract::Representation;
use crate::method::DisentangledModel;
use crate::nn::{AnyFrontEnd, Mask};
use crate::signal::AnyFrontEndOptions;

/// A loaded module. A module is a program: load only modules from sources that you trust.
#[derive(Debug)]
pub struct EncoderModule {
    path: PathBuf,
    module: CModule,
    metadata: Metadata,
    front_end: Option<AnyFrontEndOptions>,
}

impl EncoderModule {
    /// Loads a module onto a device.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file; [`Error::Format`] or [`Error::Key`] for another kind of file, a damaged one, or one of
    /// another format.
    pub fn load(path: &Path, device: Device) -> Result<Self> {
        let metadata = read_metadata(path)?;
        let odd =
            |key: &str, found: String| Error::key(path, key, "what unbraid export writes", found);
        let front_end = match &metadata.front_end {
            None => None,
            Some(text) => {
                let options: AnyFrontEndOptions = toml::from_str(text)
                    .map_err(|error| odd("front_end", error.message().to_string()))?;
                Some(options)
            }
        };
        if !matches!(
            metadata.representation,
            Representation::Phonetic | Representation::Speaker
        ) {
            return Err(odd(
                "representation",
                format!("{:?}", metadata.representation),
            ));
        }
        let module = CModule::load_on_device(path, device).map_err(|error| {
            let found = Error::from(error).to_string();
            Error::format(path, "a TorchScript module", found)
        })?;
        Ok(Self {
            path: path.to_path_buf(),
            module,
            metadata,
            front_end,
        })
    }

    /// The module's metadata.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The front-end that it includes or that its features come from, where the metadata names one, on a device.
    ///
    /// # Errors
    /// As [`AnyFrontEnd::open`].
    pub fn front_end(&self, device: Device) -> Result<Option<AnyFrontEnd>> {
        let options = self.front_end.as_ref();
        options
            .map(|options| AnyFrontEnd::open(options, device))
            .transpose()
    }

    /// The normalisation of the module's input, which is none: features as they are, or a waveform as one column.
    pub fn view(&self) -> Normalisation {
        Normalisation::identity(match self.metadata.input {
            Input::Features => self.metadata.bins,
            Input::Waveform => 1,
        })
    }

    /// Features `[1, frames, bins]` or a waveform `[1, samples]` to codes `[1, codes, dim]` or an embedding `[1, dim]`.
    ///
    /// # Errors
    /// [`Error::Option`] for too short an input; [`Error::Torch`] for one that the module refuses; [`Error::Format`] for an
    /// output that does not agree with the metadata.
    pub fn run(&self, input: &Tensor) -> Result<Tensor> {
        let Metadata {
            input: kind, least, ..
        } = self.metadata;
        let length = input.size()[1];
        if length < least as i64 {
            let expected = format!("{least} {} or more", kind.unit());
            return Err(Error::option("input", expected, length.to_string()));
        }
        let found = self.module.forward_ts(&[input])?;
        let dims = match self.metadata.representation {
            Representation::Speaker => 2,
            _ => 3,
        };
        let shape = found.size();
        let fits =
            shape.len() == dims && shape[0] == 1 && shape[dims - 1] == self.metadata.dim as i64;
        match fits && found.kind() == Kind::Float {
            true => Ok(found),
            false => {
                let expected = format!("{dims} dimensions, the last {}", self.metadata.dim);
                Err(Error::format(&self.path, expected, format!("{shape:?}")))
            }
        }
    }

    /// Runs the module on every sequence of a padded batch `[batch, columns, length]`, without its padding.
    fn each(&self, batch: &Tensor, mask: &Mask) -> Result<Vec<Tensor>> {
        let of = |(place, &length): (i64, &i64)| {
            let one = batch.narrow(0, place, 1).narrow(2, 0, length);
            self.run(&match self.metadata.input {
                Input::Features => one.transpose(1, 2).contiguous(),
                Input::Waveform => one.squeeze_dim(1).contiguous(),
            })
        };
        (0..).zip(mask.lengths()).map(of).collect()
    }
}

/// Utterances are processed one by one, since a module takes no padding.
impl DisentangledModel for EncoderModule {
    fn codes(&self, feats: &Tensor, mask: &Mask) -> Result<(Tensor, Mask)> {
        let every = self.each(feats, mask)?;
        let lengths: Vec<i64> = every.iter().map(|codes| codes.size()[1]).collect();
        let mask = Mask::new(&lengths, feats.device());
        let padded: Vec<Tensor> = (every.iter())
            .map(|codes| {
                let behind = mask.frames() - codes.size()[1];
                codes.transpose(1, 2).constant_pad_nd([0, behind])
            })
            .collect();
        Ok((Tensor::cat(&padded, 0), mask))
    }

    fn embeds(&self, feats: &Tensor, mask: &Mask) -> Result<Tensor> {
        Ok(Tensor::cat(&self.each(feats, mask)?, 0))
    }

    fn subsampling(&self) -> i64 {
        self.metadata.subsampling.unwrap_or(1)
    }
}
