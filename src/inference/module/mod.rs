//! Encoders as TorchScript modules, which PyTorch and C++ with libtorch load without this library: writing, checking
//! and reading.
//!
//! A module is a zip archive, as `torch.jit.save` writes it, with [`Metadata`] in the extra file `unbraid.json`.
//! Its `forward` takes one utterance:
//!
//! | input | `forward` takes | phonetic | speaker |
//! |---|---|---|---|
//! | features, as the front-end gives them | `[1, frames, bins]` f32 | `[1, codes, dim]` | `[1, dim]` |
//! | a waveform with full scale 1 | `[1, samples]` f32 | `[1, codes, dim]` | `[1, dim]` |

mod archive;
mod encoder;
mod export;

use serde::{Deserialize, Serialize};

use super::extract::Representation;
use crate::error::{Error, Result, check_within};
use crate::nn::any_front_end::front_end_times;
use crate::signal::AnyFrontEndOptions;

pub use encoder::EncoderModule;
pub use export::{Export, Exported};

/// Version of the metadata and of the input and output of `forward`.
pub const FORMAT: u64 = 1;

/// The input of a module's `forward`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Input {
    /// `[1, frames, bins]`, before the normalisation.
    Features,
    /// `[1, samples]`, full scale at 1.
    Waveform,
}

impl Input {
    /// The unit of its length.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Features => "frames",
            Self::Waveform => "samples",
        }
    }
}

/// The metadata of a module, as JSON in its extra file `unbraid.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// [`FORMAT`].
    pub format: u64,
    /// Its output: phonetic or speaker.
    #[serde(alias = "strand")]
    pub representation: Representation,
    /// Its input.
    pub input: Input,
    /// The smallest number of frames or samples of its input.
    pub least: usize,
    /// Bins of the features.
    pub bins: usize,
    /// Values per code or embedding.
    pub dim: usize,
    /// Frames per code; none for embeddings.
    pub subsampling: Option<i64>,
    /// Sample rate of the audio in Hz; this and the next two are none where the experiment's front-end is unknown.
    pub sample_rate_hz: Option<f64>,
    /// Frame shift in seconds.
    pub frame_shift_s: Option<f64>,
    /// The front-end's options as TOML.
    pub front_end: Option<String>,
}

impl Metadata {
    /// With the fields that describe a front-end.
    ///
    /// # Errors
    /// [`crate::Error::Option`] naming an option that is out of its range.
    pub(super) fn of_front_end(self, known: Option<&AnyFrontEndOptions>) -> Result<Self> {
        let Some(options) = known else {
            return Ok(self);
        };
        let (sample_rate_hz, frame_shift_s) = front_end_times(options)?;
        // Features are taken as they are computed for the experiment, with dither.
        let kept = match (self.input, options) {
            (Input::Waveform, AnyFrontEndOptions::Spectral(options)) => {
                options.without_dither().into()
            }
            _ => options.clone(),
        };
        let text = toml::to_string(&kept).map_err(|error| {
            Error::option("front_end", "options TOML can hold", error.to_string())
        })?;
        Ok(Self {
            sample_rate_hz: Some(sample_rate_hz),
            frame_shift_s: Some(frame_shift_s),
            front_end: Some(text),
            ..self
        })
    }

    /// Checks the stated sizes.
    ///
    /// # Errors
    /// [`crate::Error::Option`] naming the field.
    fn check(&self) -> Result<()> {
        const MOST: usize = 1 << 16;
        check_within("bins", self.bins, 1..=MOST)?;
        check_within("dim", self.dim, 1..=MOST)?;
        check_within("least", self.least, 1..=1 << 24)?;
        check_within("subsampling", self.subsampling.unwrap_or(1), 1..=8)
    }
}
