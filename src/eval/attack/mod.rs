//! What is left of the speaker, as an attacker finds it: the measures of the field, from scores of enrolled speakers against
//! tests.

pub mod d_sys;
pub mod lid;
pub mod linkability;
pub mod measures;
pub mod rocch;
pub mod singling_out;
pub mod srd;
pub mod zebra;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::eval::trials::{Detection, ScoredTrials};

    /// Trials of both kinds, sorted.
    pub(super) fn detection(targets: &[f64], others: &[f64]) -> Detection {
        let mut scored = ScoredTrials::default();
        scored.extend(targets.iter().map(|&score| (score, true)));
        scored.extend(others.iter().map(|&score| (score, false)));
        scored.detection(Path::new("t")).unwrap()
    }
}
