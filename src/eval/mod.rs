//! What the strands are worth: extraction, probes, ABX, trials and what scores them, swaps, conversions, units, maps.

pub mod abx;
pub mod asr;
pub mod backend;
pub mod convert;
pub mod edits;
pub mod extract;
pub mod factors;
pub mod grouping;
pub mod images;
pub mod interval;
pub mod map;
pub mod module;
mod origin;
pub mod probe;
pub mod stream;
pub mod swap;
pub mod trials;
pub mod units;
