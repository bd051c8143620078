//! A number, and those beside which it means something.

use serde::{Deserialize, Serialize};

/// A number of a set of images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Name of the set.
    pub set: String,
    /// What is measured.
    pub name: String,
    /// The number.
    pub value: f64,
    /// Chance, floors and baselines, by name.
    pub beside: Vec<(String, f64)>,
}

impl Score {
    /// A number by itself.
    pub fn new(set: &str, name: impl Into<String>, value: f64) -> Self {
        Self {
            set: set.to_string(),
            name: name.into(),
            value,
            beside: Vec::new(),
        }
    }

    /// Puts another number beside it.
    pub fn beside(mut self, name: &str, value: f64) -> Self {
        self.beside.push((name.to_string(), value));
        self
    }
}
