//! Signal processing on slices and ndarray: resampling, augmentation, mel features and their normalisation. No network
//! library is known here.

pub mod augment;
pub mod cmvn;
pub mod deltas;
pub mod fbank;
pub mod frames;
pub mod mel;
pub mod pitch;
pub mod resample;
pub mod sliding_cmvn;
pub mod splice;
pub mod stream;
pub mod subsample;
pub mod vad;

pub use cmvn::CmvnStats;
pub use fbank::{FbankComputer, FbankOptions};
