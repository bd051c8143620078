//! Files that may be recordings, and what was left out on the way.

use std::path::Path;

use crate::io::audio::AudioSource;

/// Extensions of files that are taken for recordings where no pattern names them.
const EXTENSIONS: &[&str] = &[
    "wav", "wave", "flac", "ogg", "oga", "mp3", "m4a", "mp4", "aac", "aif", "aiff", "aifc", "au",
    "snd", "sph", "caf", "opus", "wma", "webm",
];

/// A recording that may be read, or a part of one.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub source: AudioSource,
    /// For a part of a recording.
    pub cut: Option<Cut>,
    /// The speaker in the corpus's words; folders above it before a slash.
    pub speaker: Option<String>,
    /// The utterance in the corpus's words.
    pub name: String,
    pub text: Option<String>,
    /// `m` or `f`, of the speaker.
    pub gender: Option<&'static str>,
}

/// A part of a recording.
#[derive(Debug, Clone)]
pub(super) struct Cut {
    /// The recording in the corpus's words.
    pub recording: String,
    /// Start in seconds.
    pub start: f64,
    /// End in seconds.
    pub end: f64,
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
        match is_plain(&candidate.source) {
            true => self.candidates.push(candidate),
            false => {
                let file = candidate.source.name().to_string_lossy().into_owned();
                self.leave_out(&file, "a name that wav.scp cannot hold");
            }
        }
    }
}

/// Whether a line of `wav.scp` means this source.
fn is_plain(source: &AudioSource) -> bool {
    let name = source.name();
    name.to_str().is_some_and(|line| {
        line.trim() == line
            && !line.contains(char::is_control)
            && AudioSource::parse(line) == *source
    })
}

/// Whether a file has the ending of audio.
pub fn is_named_audio(file: &str) -> bool {
    EXTENSIONS.contains(&extension(file).as_str())
}

pub(super) fn extension(file: &str) -> String {
    let end = Path::new(file).extension().unwrap_or_default();
    end.to_string_lossy().to_ascii_lowercase()
}
