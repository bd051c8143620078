//! A front-end that is a network: a self-supervised encoder's layers, or a module.

use std::sync::{Mutex, PoisonError};

use ndarray::Array2;
use tch::Device;

use super::module_front_end::ModuleFrontEnd;
use super::network_shape::Shape;
use super::ssl::{SslFrontEnd, SslKind};
use crate::error::{Error, Result};
use crate::signal::NetworkOptions;

/// A network that is loaded. Threads that share an encoder wait for each other.
pub(super) struct NetworkFrontEnd {
    name: &'static str,
    shape: Shape,
    network: Network,
}

enum Network {
    Ssl(Box<Mutex<SslFrontEnd>>),
    Module(ModuleFrontEnd),
}

impl NetworkFrontEnd {
    /// Loads a network onto `device`; its options come back with its absolute place, its layer and its checksum.
    ///
    /// # Errors
    /// A network that cannot be loaded, is of another kind or has another checksum than its options say; a layer that is not
    /// there; a module that gives other features than its options say.
    pub(super) fn open(options: &NetworkOptions, device: Device) -> Result<(Self, NetworkOptions)> {
        let ssl = |kind, options| {
            let (network, recorded) = SslFrontEnd::open(kind, options, device)?;
            let shape = network.shape();
            Ok::<_, Error>((Network::Ssl(Box::new(Mutex::new(network))), shape, recorded))
        };
        let (network, shape, recorded) = match options {
            NetworkOptions::Hubert(options) => ssl(SslKind::Hubert, options)?,
            NetworkOptions::Wav2Vec2(options) => ssl(SslKind::Wav2Vec2, options)?,
            NetworkOptions::WavLm(options) => ssl(SslKind::WavLm, options)?,
            NetworkOptions::Module(options) => {
                let (network, recorded) = ModuleFrontEnd::open(options, device)?;
                let shape = network.shape();
                (
                    Network::Module(network),
                    shape,
                    NetworkOptions::Module(recorded),
                )
            }
        };
        let name = options.name();
        let front_end = Self {
            name,
            shape,
            network,
        };
        Ok((front_end, recorded))
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// Features `[frames, dim]` of samples with full scale 1.
    ///
    /// # Errors
    /// [`Error::Option`] for samples or features that are not finite; [`Error::Torch`].
    pub(super) fn compute(&self, samples: &[f32]) -> Result<Array2<f32>> {
        if let Some(odd) = samples.iter().find(|sample| !sample.is_finite()) {
            return Err(Error::option("samples", "finite numbers", odd.to_string()));
        }
        let feats = match &self.network {
            Network::Module(module) => module.compute(samples)?,
            Network::Ssl(encoder) => {
                let encoder = encoder.lock().unwrap_or_else(PoisonError::into_inner);
                encoder.compute(samples)?
            }
        };
        match feats.iter().find(|value| !value.is_finite()) {
            None => Ok(feats),
            Some(odd) => {
                let expected = format!("finite features of {}", self.name);
                Err(Error::option("front_end", expected, odd.to_string()))
            }
        }
    }

    /// Refuses audio of another sample rate, in Hz.
    pub(super) fn check_rate(&self, audio_hz: u32) -> Result<()> {
        let (rate, name) = (self.shape.rate_hz, self.name);
        match f64::from(audio_hz) == rate {
            true => Ok(()),
            false => {
                let expected = format!("the {rate} Hz of {name} (or --resample {rate})");
                Err(Error::option("audio", expected, format!("{audio_hz} Hz")))
            }
        }
    }

    /// Refuses audio of too few samples for one frame.
    pub(super) fn check_length(&self, samples: usize) -> Result<()> {
        match self.shape.frames(samples) {
            0 => {
                let least = self.shape.frame_length.max(1);
                let expected = format!("audio of one frame, {least} samples or more");
                let found = format!("{samples} samples");
                Err(Error::option("audio", expected, found))
            }
            _ => Ok(()),
        }
    }
}
