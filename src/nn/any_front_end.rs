//! Any front-end at work: a spectral one, or a network.

use std::sync::Arc;

use ndarray::Array2;
use tch::Device;

use super::network_front_end::NetworkFrontEnd;
use super::ssl::{SAMPLE_RATE_HZ, SslConfig};
use crate::error::Result;
use crate::io::audio::Waveform;
use crate::signal::{AnyFrontEndOptions, FeatureExtractor, FrontEnd, NetworkOptions};

/// A front-end; cheap to clone, shared by threads.
#[derive(Clone)]
pub struct AnyFrontEnd {
    options: AnyFrontEndOptions,
    engine: Engine,
}

#[derive(Clone)]
enum Engine {
    Spectral(FrontEnd),
    Network(Arc<NetworkFrontEnd>),
}

impl AnyFrontEnd {
    /// Checks the options; loads a network onto `device` and holds it against what its options say.
    ///
    /// # Errors
    /// As [`FrontEnd::new`]; a network that cannot be loaded, is of another kind or has another checksum than its options say;
    /// a layer that is not there; a module that gives other features than its options say.
    pub fn open(options: &AnyFrontEndOptions, device: Device) -> Result<Self> {
        Ok(match options {
            AnyFrontEndOptions::Spectral(spectral) => Self {
                options: options.clone(),
                engine: Engine::Spectral(FrontEnd::new(spectral.clone())?),
            },
            AnyFrontEndOptions::Network(network) => {
                let (front_end, recorded) = NetworkFrontEnd::open(network, device)?;
                Self {
                    options: AnyFrontEndOptions::Network(recorded),
                    engine: Engine::Network(Arc::new(front_end)),
                }
            }
        })
    }

    /// Its options; those of a network name its place by an absolute path, its layer and its checksum.
    pub fn options(&self) -> &AnyFrontEndOptions {
        &self.options
    }

    /// Features `[frames, dim]` of samples with full scale 1.
    ///
    /// # Errors
    /// As [`AnyFrontEnd::check_length`]; [`crate::Error::Option`] for samples or features that are not finite;
    /// [`crate::Error::Torch`].
    pub fn compute(&self, samples: &[f32]) -> Result<Array2<f32>> {
        self.check_length(samples.len())?;
        match &self.engine {
            Engine::Spectral(front_end) => front_end.compute(samples),
            Engine::Network(front_end) => front_end.compute(samples),
        }
    }

    /// Refuses audio of another sample rate, in Hz.
    ///
    /// # Errors
    /// [`crate::Error::Option`] `audio`.
    pub fn check_rate(&self, audio_hz: u32) -> Result<()> {
        match &self.engine {
            Engine::Spectral(front_end) => front_end.check_rate(audio_hz),
            Engine::Network(front_end) => front_end.check_rate(audio_hz),
        }
    }

    /// Refuses audio of too few samples for one frame.
    ///
    /// # Errors
    /// [`crate::Error::Option`] `audio`.
    pub fn check_length(&self, samples: usize) -> Result<()> {
        match &self.engine {
            Engine::Spectral(front_end) => front_end.check_length(samples),
            Engine::Network(front_end) => front_end.check_length(samples),
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
        match &self.engine {
            Engine::Spectral(front_end) => front_end.dim(),
            Engine::Network(front_end) => front_end.shape().dim,
        }
    }

    fn sample_rate_hz(&self) -> f64 {
        match &self.engine {
            Engine::Spectral(front_end) => front_end.sample_rate_hz(),
            Engine::Network(front_end) => front_end.shape().rate_hz,
        }
    }

    fn frames(&self, samples: usize) -> usize {
        match &self.engine {
            Engine::Spectral(front_end) => front_end.frames(samples),
            Engine::Network(front_end) => front_end.shape().frames(samples),
        }
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
