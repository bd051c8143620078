//! Signal processing on slices and ndarray: resampling, augmentation, spectral front-ends, pitch, and operations on
//! features. It uses no network library.

pub mod augment;
pub mod cmvn;
pub mod deltas;
pub mod feature_type;
pub mod front_end;
pub mod loudness;
pub mod pitch;
pub mod resample;
pub mod resynthesis;
pub mod sliding_cmvn;
pub mod splice;
pub mod stream;
pub mod stretch;
pub mod subsample;
pub mod vad;

pub use cmvn::CmvnStats;
pub use feature_type::FeatureType;
pub use front_end::{
    AnyFrontEndOptions, FbankOptions, FeatureExtractor, FrontEnd, FrontEndKind, FrontEndOptions,
    FrontEndStream, MelNorm, MelOptions, MelOutput, MelWindow, MfccOptions, ModuleOptions,
    NetworkOptions, PadMode, Preset, SpectrogramOptions, SpectrogramOutput, SslOptions,
    WhisperOptions, WindowType,
};
pub use resynthesis::{Resynthesis, ResynthesisOptions};
