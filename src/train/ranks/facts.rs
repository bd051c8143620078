//! What has to be the same on all ranks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::error::{Error, Result};
use crate::io::config::first_difference;

/// Configuration, program and data of a rank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    version: String,
    configuration: String,
    /// Descriptions of data, by name.
    data: BTreeMap<String, String>,
}

impl Facts {
    /// Those of this program with a resolved configuration, and descriptions of data by their names.
    ///
    /// # Errors
    /// [`Error::Format`] for a value that TOML cannot hold.
    pub(crate) fn new(
        configuration: &impl Serialize,
        data: BTreeMap<String, String>,
    ) -> Result<Self> {
        let configuration = toml::to_string(configuration).map_err(|error| {
            Error::format("conf.toml", "options that TOML can hold", error.to_string())
        })?;
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").into(),
            configuration,
            data,
        })
    }

    /// The first thing that is not as on rank 0.
    pub(super) fn difference(&self, first: &Self) -> Option<String> {
        let differs = |name: &str, expected: &str, found: &str| {
            format!("{name}: expected {expected} as on rank 0, found {found}")
        };
        if self.version != first.version {
            return Some(differs("version of unbraid", &first.version, &self.version));
        }
        let [expected, found] = [first, self].map(|facts| {
            let table = facts.configuration.parse::<Table>();
            table.map(Value::Table).unwrap_or(Value::Boolean(false))
        });
        if let Some((key, expected, found)) = first_difference("", Some(&expected), Some(&found)) {
            return Some(differs(&key, &expected, &found));
        }
        let names = self.data.keys().chain(first.data.keys());
        let of =
            |facts: &Self, name: &str| facts.data.get(name).cloned().unwrap_or("nothing".into());
        let mut pairs = names.map(|name| (name, of(first, name), of(self, name)));
        let (name, expected, found) = pairs.find(|(_, expected, found)| expected != found)?;
        Some(differs(name, &expected, &found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named() {
        let facts = |version: &str, steps: u64, data: &str| Facts {
            version: version.into(),
            configuration: format!("[train]\nsteps = {steps}\n"),
            data: [("data.train".to_string(), data.to_string())].into(),
        };
        let own = facts("1.0", 5, "80 utterances");
        for (first, difference) in [
            (facts("1.0", 5, "80 utterances"), None),
            (
                facts("1.1", 6, "80 utterances"),
                Some("version of unbraid: expected 1.1 as on rank 0, found 1.0"),
            ),
            (
                facts("1.0", 6, "70 utterances"),
                Some("train.steps: expected 6 as on rank 0, found 5"),
            ),
            (
                facts("1.0", 5, "70 utterances"),
                Some("data.train: expected 70 utterances as on rank 0, found 80 utterances"),
            ),
        ] {
            assert_eq!(own.difference(&first).as_deref(), difference);
        }
    }
}
