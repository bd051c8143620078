//! Signal processing on slices and ndarray: resampling, mel features and their normalisation. No network
//! library is known here.

pub mod resample;
