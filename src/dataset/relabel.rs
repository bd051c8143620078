//! Data directories with other speakers.

use std::collections::HashMap;
use std::path::Path;

use super::files::DataFiles;
use super::layout::{self, KeyedBy};
use super::subset::check_target;
use crate::error::{Error, Result};
use crate::io::lines::Entry;

/// The new speaker of an utterance, and how sure it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Relabelled {
    /// The utterance.
    pub utterance: String,
    /// Its speaker.
    pub speaker: String,
    /// For `utt2confidence`.
    pub confidence: f64,
}

/// Writes `source` as `target` with the speakers of `labels`, and `utt2confidence`. Files by speaker (`cmvn.scp`, `spk2gender`),
/// which are of the old speakers, are left out and returned; `spk2utt` is derived.
///
/// # Errors
/// [`Error::Key`] for an utterance without a label; else as reading and writing a data directory.
pub fn relabel(source: &Path, target: &Path, labels: &[Relabelled]) -> Result<Vec<String>> {
    let mut files = DataFiles::read(source)?;
    check_target(source, target)?;
    let of: HashMap<&str, &Relabelled> = (labels.iter())
        .map(|label| (label.utterance.as_str(), label))
        .collect();
    let is_of_speakers = |name: &str| layout::keyed_by(name) == Some(KeyedBy::Speaker);
    let left_out: Vec<String> = (files.0.keys())
        .filter(|name| is_of_speakers(name) && *name != "spk2utt")
        .cloned()
        .collect();
    files.0.retain(|name, _| !is_of_speakers(name));
    let mut confidences = Vec::new();
    for entry in files.0.get_mut("utt2spk").into_iter().flatten() {
        let label = of.get(entry.key.as_str()).ok_or_else(|| {
            let expected = "a speaker for this utterance";
            Error::key(source.join("utt2spk"), &entry.key, expected, "none")
        })?;
        entry.value.clone_from(&label.speaker);
        confidences.push(Entry {
            key: entry.key.clone(),
            value: format!("{:.4}", label.confidence),
            line: entry.line,
        });
    }
    files.0.insert("utt2confidence".into(), confidences);
    files.invert();
    files.write(target)?;
    Ok(left_out)
}

#[cfg(test)]
mod tests {
    use super::super::made::folder;
    use super::*;

    #[test]
    fn speakers_are_others_and_files_of_the_old_ones_are_left_out() {
        let source = folder(&[
            ("utt2spk", "a a\nb b\n"),
            ("spk2utt", "a a\nb b\n"),
            ("spk2gender", "a f\nb f\n"),
            ("text", "a one\nb two\n"),
        ]);
        let target = tempfile::tempdir().unwrap();
        let to = target.path().join("new");
        let label = |utterance: &str| Relabelled {
            utterance: utterance.into(),
            speaker: "speaker-1".into(),
            confidence: 0.25,
        };
        let left_out = relabel(source.path(), &to, &[label("b"), label("a")]).unwrap();
        assert_eq!(left_out, ["spk2gender"]);
        let read = |name: &str| std::fs::read_to_string(to.join(name)).unwrap();
        assert_eq!(read("utt2spk"), "a speaker-1\nb speaker-1\n");
        assert_eq!(read("spk2utt"), "speaker-1 a b\n");
        assert_eq!(read("utt2confidence"), "a 0.2500\nb 0.2500\n");
        assert_eq!(read("text"), "a one\nb two\n");
        assert!(!to.join("spk2gender").exists());
        let error = relabel(source.path(), &to, &[label("a")]).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("utt2spk: b: expected a speaker for this utterance, found none")
        );
    }
}
