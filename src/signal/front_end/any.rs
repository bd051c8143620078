//! The options of any front-end, spectral or a network, and what all of them compute.

use std::path::Path;

use ndarray::Array2;
use serde::{Deserialize, Serialize};
use toml::Table;

use super::{FrontEnd, FrontEndOptions, NetworkOptions};
use crate::error::{Error, Result};
use crate::io::audio::Waveform;
use crate::io::config::Document;
use crate::signal::{FeatureType, SslOptions};

/// Options of any front-end. A file of them names its `kind`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AnyFrontEndOptions {
    /// Of a spectral one.
    Spectral(FrontEndOptions),
    /// Of one that is a network.
    Network(NetworkOptions),
}

/// Computes features of whole recordings: a [`FrontEnd`], or a network.
pub trait FeatureExtractor: Send + Sync {
    /// Columns of the features.
    fn dim(&self) -> usize;

    /// The sample rate it takes, in Hz.
    fn sample_rate_hz(&self) -> f64;

    /// The number of frames of `samples` samples.
    fn frames(&self, samples: usize) -> usize;

    /// Features `[frames, dim]` of a recording.
    ///
    /// # Errors
    /// [`Error::Option`] for another sample rate, and for less than a frame.
    fn compute_waveform(&self, waveform: &Waveform) -> Result<Array2<f32>>;
}

impl FeatureExtractor for FrontEnd {
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
        Self::compute_waveform(self, waveform)
    }
}

impl AnyFrontEndOptions {
    /// Reads the options of a file that names its `kind`.
    ///
    /// # Errors
    /// As [`FrontEndOptions::read`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let document = Document::read(path)?;
        match document.tag("kind")? {
            Some(name) if NetworkOptions::NAMES.contains(&name) => {
                document.options().map(Self::Network)
            }
            _ => FrontEndOptions::of(&document, &NetworkOptions::NAMES).map(Self::Spectral),
        }
    }

    /// The kind, by its name in files.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Spectral(options) => options.kind().name(),
            Self::Network(options) => options.name(),
        }
    }

    /// Those of a self-supervised encoder, if they are.
    pub fn ssl(&self) -> Option<&SslOptions> {
        match self {
            Self::Spectral(_) => None,
            Self::Network(options) => options.ssl(),
        }
    }

    /// What the columns of its features are.
    pub fn feature_type(&self) -> FeatureType {
        match self {
            Self::Spectral(options) => options.feature_type(),
            Self::Network(options) => options.feature_type(),
        }
    }

    /// What decides the features: all options but the place of a network, which its checksum identifies.
    pub fn identity(&self) -> Table {
        let mut table = Table::try_from(self).unwrap_or_default();
        if let Self::Network(_) = self {
            table.retain(|key, _| !["model", "file"].contains(&key));
        }
        table
    }

    /// The options of a spectral front-end, for a purpose that only these have, such as `for a stream`.
    ///
    /// # Errors
    /// [`Error::Option`] for a network.
    pub fn spectral(&self, purpose: &str) -> Result<&FrontEndOptions> {
        match self {
            Self::Spectral(options) => Ok(options),
            Self::Network(network) => {
                let expected = format!("a spectral front-end {purpose}");
                let found = format!("\"{}\", a network", network.name());
                Err(Error::option("front_end.kind", expected, found))
            }
        }
    }
}

impl From<FrontEndOptions> for AnyFrontEndOptions {
    fn from(options: FrontEndOptions) -> Self {
        Self::Spectral(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<AnyFrontEndOptions, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let place = file.path().display().to_string();
        let options = AnyFrontEndOptions::read(file.path());
        options.map_err(|error| error.to_string().replace(&place, "x.toml"))
    }

    #[test]
    fn what_is_written_comes_back() {
        let module = "kind = 'module'\nfile = 'm.pt'\nsample_rate_hz = 16000\nframe_shift = 160\nframe_length = 400\ndim = 8\n";
        for (text, name, features) in [
            (
                "kind = 'mfcc'\nnum_ceps = 20\n",
                "mfcc",
                FeatureType::Cepstrum,
            ),
            (
                "kind = 'hubert'\nmodel = 'm'\nlayer = 9\n",
                "hubert",
                FeatureType::HiddenStates,
            ),
            (
                "kind = 'wav2vec2'\nmodel = 'm'\n",
                "wav2vec2",
                FeatureType::HiddenStates,
            ),
            (
                "kind = 'wavlm'\nmodel = 'm'\nlayer_weights = [0.5, 1]\nchecksum = 'ab'\n",
                "wavlm",
                FeatureType::HiddenStates,
            ),
            (module, "module", FeatureType::HiddenStates),
            (
                &format!("{module}feature_type = 'filter_bank'\n"),
                "module",
                FeatureType::FilterBank,
            ),
        ] {
            let options = read(text).unwrap();
            assert_eq!((options.name(), options.feature_type()), (name, features));
            let written = toml::to_string(&options).unwrap();
            assert_eq!(read(&written), Ok(options.clone()), "{written}");
            assert_eq!(toml::from_str(&written), Ok(options.clone()));
            assert_eq!(options.spectral("for a stream").is_ok(), name == "mfcc");
        }
    }

    #[test]
    fn errors_name_their_line() {
        for (text, expected) in [
            (
                "kind = 'hubbert'",
                "x.toml: kind: expected a front-end, one of \"fbank\", \"mfcc\", \"spectrogram\", \"mel\", \"whisper\", \"hubert\", \"wav2vec2\", \"wavlm\", \"module\", found \"hubbert\"",
            ),
            (
                "kind = 'hubert'\n",
                "x.toml:1: expected known keys with values of their types, found missing field `model`",
            ),
            (
                "kind = 'hubert'\nmodel = 'm'\nlayers = 9\n",
                "x.toml:3: expected known keys with values of their types, found layers: unknown field `layers`",
            ),
            (
                "kind = 'wavlm'\nmodel = 'm'\nlayer = 'nine'\n",
                "x.toml:3: ",
            ),
            (
                "kind = 'module'\nfile = 'm'\n",
                "x.toml:1: expected known keys with values of their types, found missing field `sample_rate_hz`",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(expected), "{expected}\n{error}");
        }
        let network = read("kind = 'hubert'\nmodel = 'm'\n").unwrap();
        assert_eq!(
            network.spectral("for a stream").unwrap_err().to_string(),
            "front_end.kind: expected a spectral front-end for a stream, found \"hubert\", a network"
        );
    }
}
