//! Evaluation of representations: probes, ABX, factors, units, recognition, trials and their backends, maps.

pub mod abx;
pub mod asr;
pub mod attack;
pub mod backend;
pub mod edits;
pub mod factors;
pub mod grouping;
pub mod images;
pub mod interval;
pub mod map;
pub mod probe;
pub mod trials;
pub mod units;
