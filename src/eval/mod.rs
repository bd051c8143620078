//! What the strands are worth: extraction, probes, ABX, trials and what scores them, swaps, units.

pub mod abx;
pub mod asr;
pub mod backend;
pub mod edits;
pub mod extract;
pub mod factors;
pub mod grouping;
pub mod images;
pub mod interval;
pub mod module;
pub mod probe;
pub mod stream;
pub mod swap;
pub mod trials;
pub mod units;
