//! unbraid takes speech apart into what was said and who said it.
//!
//! The floors, from the ground up; a module uses only the ones above it in this list:
//! [`error`], [`io`], [`signal`], [`dataset`], `nn`, `objective`, `train`, `method`, `eval`, `report`, [`cli`].

pub mod cli;
pub mod dataset;
pub mod error;
pub mod eval;
pub mod io;
pub mod method;
pub mod nn;
pub mod objective;
pub mod report;
pub mod signal;
pub mod train;

pub use error::{Error, Result};
