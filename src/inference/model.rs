//! A trained model in a few calls: recordings to phonetic codes, to a speaker embedding, and to the voice of another speaker.

use std::path::Path;

use ndarray::{Array1, Array2};
use tch::{Device, Tensor, no_grad};

use super::convert::Converter;
use super::extract::{check_finite, pad, rows};
use crate::error::Result;
use crate::io::audio::Waveform;
use crate::nn::Mask;
use crate::signal::FrontEndOptions;
use crate::train::experiment::Experiment;

/// A trained experiment and the front-end that it was trained with. Recordings of any sample rate are resampled to its own.
///
/// ```no_run
/// # fn main() -> unbraid::Result<()> {
/// use unbraid::Model;
/// use unbraid::io::audio::{AudioOptions, read_audio};
///
/// let model = Model::open("exp/default")?;
/// let speech = read_audio("talk.flac", &AudioOptions::default())?;
/// let codes = model.phonetic(&speech)?; // [codes, code_dim]
/// let embedding = model.speaker(&speech)?; // [embedding_dim], of length 1
/// # let _ = (codes, embedding);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Model {
    converter: Converter,
}

impl Model {
    /// Opens the last checkpoint of an experiment, on the CPU.
    ///
    /// # Errors
    /// A missing or broken experiment, checkpoint or `front_end.toml`, named.
    pub fn open(experiment: impl AsRef<Path>) -> Result<Self> {
        Self::open_checkpoint(experiment, "last", Device::Cpu)
    }

    /// Opens the checkpoint `last`, `best` or `step_000123` of an experiment on a device.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn open_checkpoint(
        experiment: impl AsRef<Path>,
        checkpoint: &str,
        device: Device,
    ) -> Result<Self> {
        let experiment = Experiment::open(experiment.as_ref())?;
        let converter = Converter::open(&experiment, checkpoint, device)?;
        Ok(Self { converter })
    }

    /// The front-end that recordings go through.
    pub fn front_end(&self) -> &FrontEndOptions {
        self.converter.front_end()
    }

    /// Phonetic codes `[codes, code_dim]`.
    ///
    /// # Errors
    /// [`crate::Error::Key`] for a recording too short for a frame, and for codes that are not finite.
    pub fn phonetic(&self, recording: &Waveform) -> Result<Array2<f32>> {
        let (feats, mask) = self.input(recording)?;
        let model = self.converter.model();
        let (codes, lengths) = no_grad(|| model.codes(&feats, &mask))?;
        let codes = rows(&codes, lengths.lengths()).remove(0);
        check_finite("codes", &codes)?;
        Ok(codes)
    }

    /// The speaker embedding `[embedding_dim]`, of length 1.
    ///
    /// # Errors
    /// As [`Model::phonetic`]; [`crate::Error::Option`] for a method without speaker embeddings.
    pub fn speaker(&self, recording: &Waveform) -> Result<Array1<f32>> {
        let (feats, mask) = self.input(recording)?;
        let model = self.converter.model();
        let embeds = no_grad(|| model.embeds(&feats, &mask))?.unsqueeze(2);
        let embedding = rows(&embeds, &[1]).remove(0);
        check_finite("embedding", &embedding)?;
        Ok(embedding.row(0).to_owned())
    }

    /// Features `[frames, bins]` of the front-end with the content of `source` and the voice of `target`.
    ///
    /// # Errors
    /// As [`Model::speaker`]; [`crate::Error::Option`] for a method without a decoder.
    pub fn convert(&self, source: &Waveform, target: &Waveform) -> Result<Array2<f32>> {
        let feats = |recording| self.converter.feats(&self.converter.at_rate(recording)?);
        self.converter.convert(&feats(source)?, &feats(target)?)
    }

    /// What the networks read: features `[1, bins, frames]`.
    fn input(&self, recording: &Waveform) -> Result<(Tensor, Mask)> {
        let feats = self.converter.feats(&self.converter.at_rate(recording)?)?;
        let feats = self.converter.normalisation().apply(feats);
        let device = self.converter.device();
        let mask = Mask::new(&[feats.nrows() as i64], device);
        Ok((pad(&[&feats], mask.frames()).to(device), mask))
    }
}
