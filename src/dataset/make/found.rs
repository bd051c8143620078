//! Files that may be recordings, and what was left out on the way.

use std::path::PathBuf;

/// A file that may be a recording.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub path: PathBuf,
    /// The speaker in the corpus's words; folders above it before a slash.
    pub speaker: Option<String>,
    /// The utterance in the corpus's words.
    pub name: String,
    pub text: Option<String>,
}

/// What was found in a folder or table.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub candidates: Vec<Candidate>,
    /// Files, and why they are left out.
    pub left_out: Vec<(String, String)>,
    /// Audio files that the pattern does not match.
    pub others: usize,
    /// Files with transcripts that cannot be read, and why.
    pub unread_texts: Vec<(String, String)>,
}

impl Found {
    pub(super) fn leave_out(&mut self, file: &str, reason: impl Into<String>) {
        self.left_out.push((file.to_string(), reason.into()));
    }

    /// Adds a candidate, unless a line of `wav.scp` cannot hold its path.
    pub(super) fn add(&mut self, candidate: Candidate) {
        let plain = candidate.path.to_str().is_some_and(is_plain);
        match plain {
            true => self.candidates.push(candidate),
            false => {
                let file = candidate.path.to_string_lossy().into_owned();
                self.leave_out(&file, "a name that wav.scp cannot hold");
            }
        }
    }
}

/// Whether a line of `wav.scp` with this path means this file.
fn is_plain(path: &str) -> bool {
    let is_offset = |end: &str| !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit());
    let offset = path.rsplit_once(':').is_some_and(|(_, end)| is_offset(end));
    !(offset || path.ends_with('|') || path.trim() != path || path.contains(char::is_control))
}
