//! Entries that fail while the others go on: each is told at once, all are listed at the end.

use std::fmt::Display;

use indicatif::ProgressBar;

/// More keys than this are counted, not listed.
const LISTED: usize = 20;

/// The keys that failed so far.
#[derive(Debug, Default)]
pub struct Failures {
    keys: Vec<String>,
}

impl Failures {
    /// Tells of one on standard error, past the progress bar.
    pub fn add(&mut self, key: &str, error: impl Display, progress: &ProgressBar) {
        progress.suspend(|| eprintln!("unbraid: {key}: {error}"));
        self.keys.push(key.to_string());
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// An error that lists them, if there are any.
    pub fn into_result(self, total: usize, what: &str) -> anyhow::Result<()> {
        if self.keys.is_empty() {
            return Ok(());
        }
        let mut list = self.keys[..self.keys.len().min(LISTED)].join(" ");
        if self.keys.len() > LISTED {
            list += &format!(" and {} more", self.keys.len() - LISTED);
        }
        anyhow::bail!("{} of {total} {what} failed: {list}", self.keys.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_cut() {
        let told = |count: usize| {
            let keys = (0..count).map(|i| format!("u{i}")).collect();
            Failures { keys }
                .into_result(30, "utterances")
                .map_err(|e| e.to_string())
        };
        assert_eq!(told(0), Ok(()));
        assert_eq!(told(2), Err("2 of 30 utterances failed: u0 u1".into()));
        assert!(told(22).unwrap_err().ends_with("u18 u19 and 2 more"));
    }
}
