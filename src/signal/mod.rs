//! Signal processing on slices and ndarray: resampling, augmentation, spectral front-ends, pitch, and operations on
//! features. No network library is known here.
//!
//! A front-end is an options struct ([`FbankOptions`], [`MfccOptions`], [`SpectrogramOptions`], [`MelOptions`],
//! [`WhisperOptions`], or any of them as [`FrontEndOptions`]) and one computer over all of them, [`FrontEnd`], whole
//! or streamed.

pub mod augment;
pub mod cmvn;
mod computer;
pub mod deltas;
mod dither;
mod fbank;
pub mod frames;
mod front_end;
mod kaldi;
mod lanes;
mod librosa;
pub mod mel;
mod mfcc;
mod pipeline;
pub mod pitch;
pub mod resample;
pub mod resynthesis;
pub mod sliding_cmvn;
mod spectrogram;
mod spectrum;
pub mod splice;
pub mod stream;
pub mod stretch;
pub mod subsample;
pub mod vad;
mod whisper;
mod window;

pub use cmvn::CmvnStats;
pub use computer::{FrontEnd, FrontEndStream};
pub use fbank::FbankOptions;
pub use front_end::{FrontEndKind, FrontEndOptions, Preset};
pub use librosa::{MelNorm, MelOptions, MelOutput, MelWindow, PadMode};
pub use mfcc::MfccOptions;
/// What networks carry out in tensors.
#[cfg(feature = "torch")]
pub(crate) use pipeline::{Energy, Layout, Recipe, Scale, Whole};
pub use resynthesis::{Resynthesis, ResynthesisOptions};
pub use spectrogram::{SpectrogramOptions, SpectrogramOutput};
pub use whisper::WhisperOptions;
pub use window::WindowType;
