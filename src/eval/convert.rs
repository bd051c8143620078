//! Conversion of recordings: the phonetic strand of one decoded with the speaker strand of another, as features of the
//! front-end that the experiment was trained with.

use ndarray::Array2;
use tch::Device;

use super::swap::lend;
use crate::dataset::view::FeatureView;
use crate::error::Result;
use crate::io::audio::Waveform;
use crate::method::Strands;
use crate::method::speech::load;
use crate::signal::resample::resample;
use crate::signal::{FrontEnd, FrontEndOptions};
use crate::train::experiment::Experiment;

/// A trained experiment that converts.
#[derive(Debug)]
pub struct Converter {
    model: Box<dyn Strands>,
    view: FeatureView,
    device: Device,
    front_end: FrontEnd,
}

impl Converter {
    /// Loads an experiment with the weights of `checkpoint`.
    ///
    /// # Errors
    /// A missing or broken experiment, checkpoint or `front_end.toml`, named.
    pub fn open(experiment: &Experiment, checkpoint: &str, device: Device) -> Result<Self> {
        let (model, settled) = load(experiment, checkpoint, device)?;
        let options = FrontEndOptions::read(experiment.path().join("front_end.toml"))?;
        Ok(Self {
            model,
            view: settled.view,
            device,
            front_end: FrontEnd::new(options)?,
        })
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

    /// Features of a sound, `[frames, bins]`.
    ///
    /// # Errors
    /// As [`resample`] and [`FrontEnd::compute`].
    pub fn feats(&self, waveform: &Waveform) -> Result<Array2<f32>> {
        let rate = self.front_end.sample_rate_hz() as u32;
        let samples = resample(&waveform.samples, waveform.sample_rate_hz, rate)?;
        self.front_end.compute(&samples)
    }

    /// The words of `source` with the voice of `voice`, features `[frames, bins]` both, brought back to the loudness and
    /// length of `source`.
    ///
    /// # Errors
    /// As [`lend`].
    pub fn convert(&self, source: &Array2<f32>, voice: &Array2<f32>) -> Result<Array2<f32>> {
        let seen = [source, voice].map(|feats| self.view.apply(feats.clone()));
        let lent = lend(self.model.as_ref(), self.device, &seen[0], &seen[1])?;
        Ok(self.view.restore(lent, source))
    }
}
