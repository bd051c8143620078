//! What the strands are worth: extraction, probes, trials, swaps.

pub mod extract;
pub mod interval;
pub mod probe;
pub mod swap;
pub mod trials;
