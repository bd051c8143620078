//! The gradient of a batch, summed over its parts: over passes of this process, and over ranks.

use std::sync::Arc;

use tch::Tensor;

use super::ranks::Ranks;
use crate::error::Result;

/// Which part of a batch the next gradients are of.
#[derive(Debug, Clone)]
pub struct GradientPart {
    /// The ranks that have the other parts.
    pub ranks: Arc<Ranks>,
    /// Its share of the batch, 0 to 1; none for the whole batch.
    pub share: Option<f64>,
    /// Whether it is the last part of this rank.
    pub is_last: bool,
}

impl Default for GradientPart {
    /// The whole batch, of a single process.
    fn default() -> Self {
        Self {
            ranks: Arc::default(),
            share: None,
            is_last: true,
        }
    }
}

/// Collects the gradients of the parts.
#[derive(Debug, Default)]
pub(super) struct GradientSum {
    pub(super) part: GradientPart,
    sum: Option<Tensor>,
}

impl GradientSum {
    /// Adds the gradient of a part; gives that of the whole batch after the last one.
    ///
    /// # Errors
    /// As [`Ranks::sum`].
    pub(super) fn add(&mut self, gradient: Tensor) -> Result<Option<Tensor>> {
        let own = match self.part.share {
            None => gradient,
            Some(share) => gradient * share,
        };
        let sum = match self.sum.take() {
            None => own,
            Some(sum) => sum + own,
        };
        if !self.part.is_last {
            self.sum = Some(sum);
            return Ok(None);
        }
        self.part.ranks.sum(&sum)?;
        Ok(Some(sum))
    }
}
