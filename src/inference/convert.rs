//! Conversion of recordings: the phonetic codes of one decoded with the speaker embedding of another, as features of the
//! experiment's front-end.

use ndarray::Array2;
use tch::Device;

use super::conversion::convert_features;
use super::extract::check_finite;
use crate::dataset::normalisation::Normalisation;
use crate::error::Result;
use crate::io::audio::Waveform;
use crate::method::DisentangledModel;
use crate::method::speech::load;
use crate::signal::resample::resample;
use crate::signal::{FrontEnd, FrontEndOptions};
use crate::train::experiment::Experiment;

/// The largest 16-bit sample, relative to full scale.
const FULL_SCALE: f64 = 32767.0 / 32768.0;

/// A trained experiment for conversion.
#[derive(Debug)]
pub struct Converter {
    model: Box<dyn DisentangledModel>,
    normalisation: Normalisation,
    device: Device,
    front_end: FrontEnd,
}

impl Converter {
    /// Loads an experiment with the weights of `checkpoint`.
    ///
    /// # Errors
    /// For a missing or damaged experiment, checkpoint or `front_end.toml`.
    pub fn open(experiment: &Experiment, checkpoint: &str, device: Device) -> Result<Self> {
        let (model, info) = load(experiment, checkpoint, device)?;
        let options = FrontEndOptions::read(experiment.path().join("front_end.toml"))?;
        Ok(Self {
            model,
            normalisation: info.normalisation,
            device,
            front_end: FrontEnd::new(options)?,
        })
    }

    pub(super) fn model(&self) -> &dyn DisentangledModel {
        self.model.as_ref()
    }

    pub(super) fn normalisation(&self) -> &Normalisation {
        &self.normalisation
    }

    pub(super) fn device(&self) -> Device {
        self.device
    }

    /// The front-end's options.
    pub fn front_end(&self) -> &FrontEndOptions {
        self.front_end.options()
    }

    /// Resamples audio to the front-end's sample rate.
    ///
    /// # Errors
    /// As [`resample`].
    pub fn at_rate(&self, waveform: &Waveform) -> Result<Waveform> {
        let sample_rate_hz = self.front_end.sample_rate_hz() as u32;
        Ok(Waveform {
            samples: resample(&waveform.samples, waveform.sample_rate_hz, sample_rate_hz)?
                .into_owned(),
            sample_rate_hz,
        })
    }

    /// Features `[frames, bins]` of audio at the front-end's sample rate.
    ///
    /// # Errors
    /// As [`FrontEnd::compute`].
    pub fn feats(&self, waveform: &Waveform) -> Result<Array2<f32>> {
        self.front_end.compute(&waveform.samples)
    }

    /// Adjusts `made` to the exact length and the power of `source`, as far as full scale allows. Both are at the front-end's
    /// rate. Features keep neither exactly: frames need not cover all samples, and normalisation changes the level.
    pub fn fitted(&self, mut made: Waveform, source: &Waveform) -> Waveform {
        made.samples.resize(source.samples.len(), 0.0);
        let power = |samples: &[f32]| samples.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
        let (own, wanted) = (power(&made.samples), power(&source.samples));
        let peak = made.samples.iter().fold(0f32, |most, x| most.max(x.abs()));
        if own > 0.0 {
            let gain = (wanted / own).sqrt().min(FULL_SCALE / f64::from(peak));
            (made.samples.iter_mut())
                .for_each(|sample| *sample = (f64::from(*sample) * gain) as f32);
        }
        made
    }

    /// Converts `source` to the speaker of `target`, both features `[frames, bins]`. The result has the length of `source`
    /// and, where normalisation subtracts the utterance's mean, the mean of `source`.
    ///
    /// # Errors
    /// As [`convert_features`]; [`crate::Error::Key`] for features that are not finite.
    pub fn convert(&self, source: &Array2<f32>, target: &Array2<f32>) -> Result<Array2<f32>> {
        let [own, other] = [source, target].map(|feats| self.normalisation.apply(feats.clone()));
        let converted = convert_features(self.model.as_ref(), self.device, &own, &other)?;
        let feats = self.normalisation.restore(converted, source);
        check_finite("SOURCE", &feats)?;
        Ok(feats)
    }
}
