//! Conversion of recordings: the phonetic representation of one decoded with the speaker representation of another, as features of the
//! front-end that the experiment was trained with.

use ndarray::Array2;
use tch::Device;

use super::conversion::lend;
use super::extract::check_finite;
use crate::dataset::normalisation::Normalisation;
use crate::error::Result;
use crate::io::audio::Waveform;
use crate::method::DisentangledModel;
use crate::method::speech::load;
use crate::signal::resample::resample;
use crate::signal::{FrontEnd, FrontEndOptions};
use crate::train::experiment::Experiment;

/// The largest sample of 16 bits.
const FULL_SCALE: f64 = 32767.0 / 32768.0;

/// A trained experiment that converts.
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
    /// A missing or broken experiment, checkpoint or `front_end.toml`, named.
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

    /// Sound at the front-end's sample rate.
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

    /// Features `[frames, bins]` of a sound at the front-end's sample rate.
    ///
    /// # Errors
    /// As [`FrontEnd::compute`].
    pub fn feats(&self, waveform: &Waveform) -> Result<Array2<f32>> {
        self.front_end.compute(&waveform.samples)
    }

    /// `made` as long as `source` to the sample and as loud, as far as full scale allows. Both are at the front-end's rate;
    /// frames need not fill a sound, and the features are not all of its subtract_utterance_mean.
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

    /// The words of `source` with the voice of `voice`, features `[frames, bins]` both, brought back to the subtract_utterance_mean and
    /// length of `source`.
    ///
    /// # Errors
    /// As [`lend`]; [`crate::Error::Key`] for features that are not finite.
    pub fn convert(&self, source: &Array2<f32>, voice: &Array2<f32>) -> Result<Array2<f32>> {
        let seen = [source, voice].map(|feats| self.normalisation.apply(feats.clone()));
        let lent = lend(self.model.as_ref(), self.device, &seen[0], &seen[1])?;
        let feats = self.normalisation.restore(lent, source);
        check_finite("SOURCE", &feats)?;
        Ok(feats)
    }
}
