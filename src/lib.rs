//! unbraid takes speech apart into what was said and who said it.
//!
//! The floors, from the ground up; a module uses only the ones above it in this list:
//! [`error`], [`io`], [`signal`], [`dataset`], `nn`, `objective`, `train`, `method`, `eval`, `report`, `cli`.
//!
//! Networks, and what is built on them, need libtorch and come with the feature `torch`, which is on by default.
//! Without it the crate is the first four floors, audio, Kaldi archives, front-ends and data directories, and of
//! [`report`] what draws them.

#[cfg(feature = "torch")]
pub mod cli;
pub mod dataset;
pub mod error;
#[cfg(feature = "torch")]
pub mod eval;
pub mod io;
#[cfg(feature = "torch")]
pub mod method;
#[cfg(feature = "torch")]
pub mod nn;
#[cfg(feature = "torch")]
pub mod objective;
pub mod report;
pub mod signal;
#[cfg(feature = "torch")]
pub mod train;

pub use error::{Error, Result};
