//! Encoders that go where this library is not: TorchScript modules, which PyTorch and C++ with libtorch load by themselves,
//! written, checked and read back.
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
use crate::error::{Result, check_within};

pub use encoder::EncoderModule;
pub use export::{Export, Exported};

/// Version of the metadata and of what `forward` takes and gives.
pub const FORMAT: u64 = 1;

/// What a module's `forward` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Input {
    /// `[1, frames, bins]`, before the normalisation.
    Features,
    /// `[1, samples]`, full scale at 1.
    Waveform,
}

impl Input {
    /// What it is counted in.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Features => "frames",
            Self::Waveform => "samples",
        }
    }
}

/// What a module says of itself, as JSON in its extra file `unbraid.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// [`FORMAT`].
    pub format: u64,
    /// What it gives: phonetic or speaker.
    #[serde(alias = "strand")]
    pub representation: Representation,
    /// What it takes.
    pub input: Input,
    /// The fewest frames or samples that it takes.
    pub least: usize,
    /// Bins of the features.
    pub bins: usize,
    /// Values of a code or an embedding.
    pub dim: usize,
    /// Frames per code; none for embeddings.
    pub subsampling: Option<i64>,
    /// Sample rate of the audio in Hz; none where the experiment does not know its front-end, likewise below.
    pub sample_rate_hz: Option<f64>,
    /// Seconds from one frame to the next.
    pub frame_shift_s: Option<f64>,
    /// The front-end's options as TOML.
    pub front_end: Option<String>,
}

impl Metadata {
    /// Checks the sizes that it claims.
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
