//! A vocoder of the user's own, as a TorchScript module or an ONNX model.

use std::path::Path;

use ndarray::Array2;
use tch::{Device, Kind};

use super::extract::pad;
use crate::error::{Error, Result};
use crate::nn::any_front_end::front_end_times;
use crate::nn::outside_module::OutsideModule;
use crate::signal::AnyFrontEndOptions;

/// A module that takes features `[1, bins, frames]` in f32, as the front-end computes them, and returns samples of full scale 1 at
/// the front-end's rate, of any shape that holds nothing else (`[1, 1, samples]` of HiFi-GAN). One frame shift of samples
/// belongs to each frame. A TorchScript module is a program: load only those from sources that you trust.
#[derive(Debug)]
pub struct Vocoder {
    module: OutsideModule,
}

impl Vocoder {
    /// Loads a module onto a device, or an ONNX model, which computes on the CPU.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file; [`Error::Format`] for a file that is neither or cannot be run.
    pub fn load(path: &Path, device: Device) -> Result<Self> {
        let module = OutsideModule::open(path, device)?;
        Ok(Self { module })
    }

    /// Features `[frames, bins]` of `front_end` to samples at its rate.
    ///
    /// # Errors
    /// [`Error::Format`] naming the file for features that the module refuses, for an output that is not one signal of finite
    /// f32 numbers, or silence, and for one whose length is off by a frame shift or more: a module for another rate or hop gives it.
    pub fn waveform(
        &self,
        feats: &Array2<f32>,
        front_end: &AnyFrontEndOptions,
    ) -> Result<Vec<f32>> {
        let odd =
            |expected: String, found: String| Error::format(self.module.path(), expected, found);
        let input = pad(&[feats], feats.nrows() as i64);
        let made = self.module.forward(&input).map_err(|found| {
            let expected = format!(
                "a module that takes [1, bins, frames] of {:?} features",
                feats.dim()
            );
            odd(expected, found)
        })?;
        let samples = made.numel();
        if made.kind() != Kind::Float || made.size().iter().max() != Some(&(samples as i64)) {
            let found = format!("{:?} of {:?}", made.kind(), made.size());
            return Err(odd("one signal of f32 samples".into(), found));
        }
        let (rate_hz, shift_s) = front_end_times(front_end)?;
        let shift = shift_s * rate_hz;
        let wanted = shift * feats.nrows() as f64;
        if (samples as f64 - wanted).abs() >= shift {
            let expected = format!(
                "{wanted} samples for {} frames ({shift} per frame at {rate_hz} Hz)",
                feats.nrows()
            );
            return Err(odd(expected, samples.to_string()));
        }
        let samples = Vec::<f32>::try_from(made.flatten(0, -1))?;
        if let Some(sample) = samples.iter().find(|sample| !sample.is_finite()) {
            return Err(odd("finite samples".into(), sample.to_string()));
        }
        match samples.iter().all(|&sample| sample == 0.0) {
            true => Err(odd("sound".into(), "zeros".into())),
            false => Ok(samples),
        }
    }
}
