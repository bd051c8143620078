//! Spectral front-ends: waveforms to features, whole or streamed; and the options of front-ends that are networks.
//!
//! A front-end is an options struct ([`FbankOptions`], [`MfccOptions`], [`SpectrogramOptions`], [`MelOptions`],
//! [`WhisperOptions`], or any of them as [`FrontEndOptions`]) and one computer for all of them, [`FrontEnd`].

mod any;
mod computer;
mod dither;
mod fbank;
pub mod frames;
mod kaldi;
mod lanes;
mod librosa;
pub mod mel;
mod mfcc;
mod network;
mod options;
pub(crate) mod plan;
mod spectrogram;
mod spectrum;
mod whisper;
mod window;

pub use any::{AnyFrontEndOptions, FeatureExtractor};
pub use computer::{FrontEnd, FrontEndStream};
pub use fbank::FbankOptions;
pub use librosa::{MelNorm, MelOptions, MelOutput, MelWindow, PadMode};
pub use mfcc::MfccOptions;
pub use network::{ModuleOptions, NetworkOptions, SslOptions};
pub use options::{FrontEndKind, FrontEndOptions, Preset};
pub use spectrogram::{SpectrogramOptions, SpectrogramOutput};
pub use whisper::WhisperOptions;
pub use window::WindowType;
