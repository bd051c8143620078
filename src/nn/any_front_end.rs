//! Any front-end at work: a spectral one, or a network.

use std::sync::{Arc, Mutex, PoisonError};

use ndarray::Array2;
use tch::Device;

use super::module_front_end::ModuleFrontEnd;
use super::network_front_end::Shape;
use super::ssl::{SAMPLE_RATE_HZ, SslConfig, SslFrontEnd};
use crate::error::{Error, Result};
use crate::io::audio::Waveform;
use crate::signal::{AnyFrontEndOptions, FeatureExtractor, FrontEnd, NetworkOptions};

/// A front-end; cheap to clone, shared by threads. Threads that share a network wait for each other.
#[derive(Clone)]
pub struct AnyFrontEnd {
    inner: Arc<Inner>,
}

struct Inner {
    /// With everything that identifies a network.
    options: AnyFrontEndOptions,
    shape: Shape,
    engine: Engine,
}

enum Engine {
    Spectral(FrontEnd),
    Ssl(Box<Mutex<SslFrontEnd>>),
    Module(ModuleFrontEnd),
}

impl AnyFrontEnd {
    /// Checks the options; loads a network onto `device` and holds it against what its options say.
    ///
    /// # Errors
    /// As [`FrontEnd::new`]; a network that cannot be loaded, is of another kind or has another checksum than its options say;
    /// a layer that is not there; a module that gives other features than its options say.
    pub fn open(options: &AnyFrontEndOptions, device: Device) -> Result<Self> {
        let inner = match options {
            AnyFrontEndOptions::Spectral(spectral) => {
                let front_end = FrontEnd::new(spectral.clone())?;
                Inner {
                    options: options.clone(),
                    shape: Shape {
                        rate_hz: front_end.sample_rate_hz(),
                        frame_shift: (front_end.frame_shift_s() * front_end.sample_rate_hz())
                            .round() as usize,
                        frame_length: front_end.least_samples(),
                        dim: front_end.dim(),
                    },
                    engine: Engine::Spectral(front_end),
                }
            }
            AnyFrontEndOptions::Network(NetworkOptions::Module(module)) => {
                let (front_end, options) = ModuleFrontEnd::open(module, device)?;
                Inner {
                    options: AnyFrontEndOptions::Network(NetworkOptions::Module(options)),
                    shape: front_end.shape(),
                    engine: Engine::Module(front_end),
                }
            }
            AnyFrontEndOptions::Network(network) => {
                let (front_end, options) = SslFrontEnd::open(network, device)?;
                Inner {
                    options: AnyFrontEndOptions::Network(options),
                    shape: front_end.shape(),
                    engine: Engine::Ssl(Box::new(Mutex::new(front_end))),
                }
            }
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Its options; those of a network name its place by an absolute path, its layer and its checksum.
    pub fn options(&self) -> &AnyFrontEndOptions {
        &self.inner.options
    }

    /// Columns of the features.
    pub fn dim(&self) -> usize {
        self.inner.shape.dim
    }

    /// The sample rate it takes, in Hz.
    pub fn sample_rate_hz(&self) -> f64 {
        self.inner.shape.rate_hz
    }

    /// Frame shift in seconds.
    pub fn frame_shift_s(&self) -> f64 {
        match &self.inner.engine {
            Engine::Spectral(front_end) => front_end.frame_shift_s(),
            _ => self.inner.shape.frame_shift as f64 / self.inner.shape.rate_hz,
        }
    }

    /// The number of frames of `samples` samples.
    pub fn frames(&self, samples: usize) -> usize {
        match &self.inner.engine {
            Engine::Spectral(front_end) => front_end.frames(samples),
            _ => self.inner.shape.frames(samples),
        }
    }

    /// Features `[frames, dim]` of samples with full scale 1.
    ///
    /// # Errors
    /// As [`AnyFrontEnd::check_length`]; [`Error::Option`] for samples or features that are not finite; [`Error::Torch`].
    pub fn compute(&self, samples: &[f32]) -> Result<Array2<f32>> {
        self.check_length(samples.len())?;
        match &self.inner.engine {
            Engine::Spectral(front_end) => front_end.compute(samples),
            Engine::Ssl(network) => self.finite(samples, || {
                let network = network.lock().unwrap_or_else(PoisonError::into_inner);
                network.compute(samples)
            }),
            Engine::Module(network) => self.finite(samples, || network.compute(samples)),
        }
    }

    /// What a network makes of samples, both finite.
    fn finite(
        &self,
        samples: &[f32],
        compute: impl FnOnce() -> Result<Array2<f32>>,
    ) -> Result<Array2<f32>> {
        if let Some(odd) = samples.iter().find(|sample| !sample.is_finite()) {
            return Err(Error::option("samples", "finite numbers", odd.to_string()));
        }
        let feats = compute()?;
        match feats.iter().find(|value| !value.is_finite()) {
            None => Ok(feats),
            Some(odd) => {
                let expected = format!("finite features of {}", self.options().name());
                Err(Error::option("front_end", expected, odd.to_string()))
            }
        }
    }

    /// Refuses audio of another sample rate, in Hz.
    ///
    /// # Errors
    /// [`Error::Option`] `audio`.
    pub fn check_rate(&self, audio_hz: u32) -> Result<()> {
        match &self.inner.engine {
            Engine::Spectral(front_end) => front_end.check_rate(audio_hz),
            _ if f64::from(audio_hz) == self.sample_rate_hz() => Ok(()),
            _ => {
                let (rate, name) = (self.sample_rate_hz(), self.options().name());
                let expected = format!("the {rate} Hz of {name} (or --resample {rate})");
                Err(Error::option("audio", expected, format!("{audio_hz} Hz")))
            }
        }
    }

    /// Refuses audio of too few samples for one frame.
    ///
    /// # Errors
    /// [`Error::Option`] `audio`.
    pub fn check_length(&self, samples: usize) -> Result<()> {
        match &self.inner.engine {
            Engine::Spectral(front_end) => front_end.check_length(samples),
            _ if self.frames(samples) > 0 => Ok(()),
            _ => {
                let least = self.inner.shape.frame_length.max(1);
                let expected = format!("audio of one frame, {least} samples or more");
                let found = format!("{samples} samples");
                Err(Error::option("audio", expected, found))
            }
        }
    }
}

/// Sample rate in Hz and frame shift in seconds of a front-end, whose network is not loaded.
///
/// # Errors
/// As [`FrontEnd::new`] and [`SslConfig::read`].
pub fn front_end_times(options: &AnyFrontEndOptions) -> Result<(f64, f64)> {
    let (rate_hz, shift) = match options {
        AnyFrontEndOptions::Spectral(options) => {
            let front_end = FrontEnd::new(options.clone())?;
            return Ok((front_end.sample_rate_hz(), front_end.frame_shift_s()));
        }
        AnyFrontEndOptions::Network(NetworkOptions::Module(module)) => {
            (module.sample_rate_hz, module.frame_shift)
        }
        AnyFrontEndOptions::Network(
            NetworkOptions::Hubert(ssl)
            | NetworkOptions::Wav2Vec2(ssl)
            | NetworkOptions::WavLm(ssl),
        ) => (SAMPLE_RATE_HZ, SslConfig::read(&ssl.model)?.stride()),
    };
    let rate_hz = f64::from(rate_hz);
    Ok((rate_hz, shift as f64 / rate_hz))
}

impl FeatureExtractor for AnyFrontEnd {
    fn dim(&self) -> usize {
        Self::dim(self)
    }

    fn sample_rate_hz(&self) -> f64 {
        Self::sample_rate_hz(self)
    }

    fn frames(&self, samples: usize) -> usize {
        Self::frames(self, samples)
    }

    fn compute_waveform(&self, waveform: &Waveform) -> Result<Array2<f32>> {
        self.check_rate(waveform.sample_rate_hz)?;
        self.compute(&waveform.samples)
    }
}

impl std::fmt::Debug for AnyFrontEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (f.debug_tuple("AnyFrontEnd").field(self.options())).finish()
    }
}
