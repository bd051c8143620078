//! Signal processing on slices and ndarray: resampling, mel features and their normalisation. No network
//! library is known here.

pub mod cmvn;
pub mod fbank;
pub mod frames;
pub mod mel;
pub mod resample;

pub use cmvn::CmvnStats;
pub use fbank::{FbankComputer, FbankOptions};
