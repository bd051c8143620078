//! The files of a data directory, and the keys of each.

use std::path::Path;

use crate::error::{Error, Result};

/// What the first column of a file names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyedBy {
    /// Utterances: `utt2spk`, `text`, `segments`, `feats.scp`, `pitch.scp`, `vad.scp`, `ali.scp` and all other `utt2*`.
    Utterance,
    /// Recordings: `wav.scp` and all `reco2*`; without `segments`, recordings are utterances.
    Recording,
    /// Speakers: `spk2utt`, `cmvn.scp` and all other `spk2*`.
    Speaker,
}

/// The keys of a file of this name; none for a file that does not belong to a data directory.
pub fn keyed_by(name: &str) -> Option<KeyedBy> {
    match name {
        "text" | "segments" | "feats.scp" | "pitch.scp" | "vad.scp" | "ali.scp" => {
            return Some(KeyedBy::Utterance);
        }
        "wav.scp" => return Some(KeyedBy::Recording),
        "cmvn.scp" => return Some(KeyedBy::Speaker),
        _ => {}
    }
    let (head, tail) = name.split_once('2')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if tail.is_empty() || !tail.bytes().all(plain) {
        return None;
    }
    match head {
        "utt" => Some(KeyedBy::Utterance),
        "reco" => Some(KeyedBy::Recording),
        "spk" => Some(KeyedBy::Speaker),
        _ => None,
    }
}

/// The names of the data files of a folder, in byte order.
///
/// # Errors
/// [`Error::Io`] when the folder cannot be listed.
pub fn files(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let entry = entry.map_err(Error::io(folder))?;
        if let Ok(name) = entry.file_name().into_string()
            && keyed_by(&name).is_some()
            && entry.path().is_file()
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_decide_the_keys() {
        assert_eq!(keyed_by("utt2lang"), Some(KeyedBy::Utterance));
        assert_eq!(keyed_by("utt2num_frames"), Some(KeyedBy::Utterance));
        assert_eq!(keyed_by("pitch.scp"), Some(KeyedBy::Utterance));
        assert_eq!(keyed_by("reco2dur"), Some(KeyedBy::Recording));
        assert_eq!(keyed_by("cmvn.scp"), Some(KeyedBy::Speaker));
        for other in ["utt2spk.bak", "utt2", "frame_shift", "trials", "a2b"] {
            assert_eq!(keyed_by(other), None, "{other}");
        }
    }
}
