//! A score with its baselines.

use serde::{Deserialize, Serialize};

/// A score of a set of images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Name of the set.
    pub set: String,
    /// The measure.
    pub name: String,
    /// The value.
    pub value: f64,
    /// Chance, lower bounds and baselines, by name.
    pub beside: Vec<(String, f64)>,
}

impl Score {
    /// A score without baselines.
    pub fn new(set: &str, name: impl Into<String>, value: f64) -> Self {
        Self {
            set: set.to_string(),
            name: name.into(),
            value,
            beside: Vec::new(),
        }
    }

    /// Adds a baseline.
    pub fn beside(mut self, name: &str, value: f64) -> Self {
        self.beside.push((name.to_string(), value));
        self
    }
}
