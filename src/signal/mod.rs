//! Signal processing on slices and ndarray: resampling, augmentation, mel features and their normalisation. No network
//! library is known here.

pub mod augment;
pub mod cmvn;
pub mod fbank;
pub mod frames;
pub mod mel;
pub mod resample;

pub use cmvn::CmvnStats;
pub use fbank::{FbankComputer, FbankOptions};
