//! Entries that fail while the others go on: each is reported at once, failures of the same kind together, and all are listed at the end.

use std::collections::BTreeMap;
use std::path::Path;

use indicatif::ProgressBar;

use crate::error::Error;
use crate::io::message::message;

/// More keys than this are counted, not listed.
const LISTED: usize = 20;
/// More failures of one kind are reported together, in one line at the end.
const ALIKE: usize = 3;

/// The keys that failed so far.
#[derive(Debug, Default)]
pub(super) struct Failures {
    keys: Vec<String>,
    /// By what is wrong: the first key, and how many.
    reasons: BTreeMap<String, (String, usize)>,
}

impl Failures {
    /// Reports all of these on standard error; one that names no entry counts under the name of `source`.
    pub(super) fn of(errors: &[Error], source: &str) -> Self {
        let mut failures = Self::default();
        failures.extend(errors, source);
        failures
    }

    /// As [`Failures::of`], beside those so far.
    pub(super) fn extend(&mut self, errors: &[Error], source: &str) {
        for error in errors {
            let key = error.entry().unwrap_or(source);
            self.add(key, error, &ProgressBar::hidden());
        }
    }

    /// Reports one on standard error, past the progress bar.
    pub(super) fn add(&mut self, key: &str, error: &Error, progress: &ProgressBar) {
        if self.note(key, error) {
            progress.suspend(|| match error.entry() == Some(key) {
                true => message(format_args!("unbraid: {error}")),
                false => message(format_args!("unbraid: {key}: {error}")),
            });
        }
    }

    /// Records one; whether it is reported by itself.
    fn note(&mut self, key: &str, error: &Error) -> bool {
        self.keys.push(key.to_string());
        let first = || (key.to_string(), 0);
        let (_, count) = self.reasons.entry(error.reason()).or_insert_with(first);
        *count += 1;
        *count <= ALIKE
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.keys.len()
    }

    /// An error that lists them, if there are any; before it, what many failed of.
    pub(super) fn into_result(self, total: usize, what: &str) -> anyhow::Result<()> {
        if self.keys.is_empty() {
            return Ok(());
        }
        self.summaries(what)
            .for_each(|line| message(format_args!("unbraid: {line}")));
        let list = listed(&self.keys);
        anyhow::bail!("{} of {total} {what} failed: {list}", self.keys.len())
    }

    fn summaries(&self, what: &str) -> impl Iterator<Item = String> {
        let many = self.reasons.iter().filter(|(_, (_, count))| *count > ALIKE);
        many.map(move |(reason, (first, count))| {
            format!("{count} {what}: {reason} (first: {first})")
        })
    }
}

/// The first of these keys, and how many more there are.
pub(super) fn listed(keys: &[String]) -> String {
    let list = keys[..keys.len().min(LISTED)].join(" ");
    match keys.len().saturating_sub(LISTED) {
        0 => list,
        more => format!("{list} and {more} more"),
    }
}

/// Names utterances of which an alignment has no phones.
pub(super) fn left_out(alignments: &Path, utterances: &[String]) {
    if !utterances.is_empty() {
        let (path, count, names) = (alignments.display(), utterances.len(), listed(utterances));
        message(format_args!(
            "unbraid: {path}: no phones of {count} utterances, which are left out: {names}"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_cut() {
        let result = |count: usize| {
            let mut failures = Failures::default();
            for i in 0..count {
                failures.note(
                    &format!("u{i}"),
                    &Error::format(format!("{i}.wav"), "audio", "none"),
                );
            }
            failures
                .into_result(30, "utterances")
                .map_err(|e| e.to_string())
        };
        assert_eq!(result(0), Ok(()));
        assert_eq!(result(2), Err("2 of 30 utterances failed: u0 u1".into()));
        assert!(result(22).unwrap_err().ends_with("u18 u19 and 2 more"));
    }

    #[test]
    fn failures_of_one_kind_are_reported_together() {
        let mut failures = Failures::default();
        let reported = (0..60).filter(|i| {
            let error = Error::format(format!("{i}.wav"), "one channel", "2");
            failures.note(&format!("u{i:02}"), &error)
        });
        assert_eq!(reported.count(), 3);
        assert!(failures.note("v", &Error::key("f", "v", "one channel", "3")));
        let summaries: Vec<String> = failures.summaries("utterances").collect();
        assert_eq!(
            summaries,
            ["60 utterances: expected one channel, found 2 (first: u00)"]
        );
    }
}
