//! Kaldi's data directory: utterances, speakers, transcripts and recordings. Names are in memory, audio and features on
//! disk.

use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2};

use super::segments::Segments;
use super::table::Table;
use crate::error::{Error, Result};
use crate::io::kaldi::ScpTable;

/// An open data directory. Its utterances are those of `utt2spk`. Other files may be missing, or have fewer or more
/// lines ([`validate`](super::validate) reports this).
#[derive(Debug, Clone)]
pub struct DataDir {
    path: PathBuf,
    utterances: Vec<String>,
    /// For each utterance, an index into `speakers`.
    speaker_of: Vec<u32>,
    /// In byte order.
    speakers: Vec<String>,
    /// For each speaker, indices into `utterances`.
    spoken: Vec<Vec<u32>>,
    utt2spk: Table,
    text: Option<Table>,
    wavs: Option<Table>,
    segments: Option<Segments>,
}

impl DataDir {
    /// Opens a data directory: reads `utt2spk` and, if they exist, `text`, `wav.scp` and `segments`. `spk2utt` is
    /// derived.
    ///
    /// # Errors
    /// [`Error::Io`] when `utt2spk` is missing or a file cannot be read, [`Error::Line`] for a malformed line,
    /// [`Error::Format`] when there are no utterances.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let utt2spk = Table::read(path.join("utt2spk"))?;
        let speakers = speakers(&utt2spk)?;
        let utterances: Vec<String> = utt2spk.entries().iter().map(|e| e.key.clone()).collect();
        let speaker_of: Vec<u32> = utt2spk
            .entries()
            .iter()
            // Every value of utt2spk is in `speakers`, which was made from them.
            .map(|entry| speakers.partition_point(|s| *s < entry.value) as u32)
            .collect();
        let mut spoken = vec![Vec::new(); speakers.len()];
        for (utterance, &speaker) in (0u32..).zip(&speaker_of) {
            spoken[speaker as usize].push(utterance);
        }
        Ok(Self {
            path: path.to_path_buf(),
            utterances,
            speaker_of,
            speakers,
            spoken,
            utt2spk,
            text: read_if_there(&path.join("text"), Table::read)?,
            wavs: read_if_there(&path.join("wav.scp"), Table::read)?,
            segments: read_if_there(&path.join("segments"), Segments::read)?,
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The utterances, in the order of `utt2spk`.
    pub fn utterances(&self) -> &[String] {
        &self.utterances
    }

    /// The speakers, in byte order.
    pub fn speakers(&self) -> &[String] {
        &self.speakers
    }

    /// The speaker of an utterance.
    pub fn speaker_of(&self, utterance: &str) -> Option<&str> {
        let at = self.utt2spk.position(utterance)?;
        Some(&self.speakers[self.speaker_of[at] as usize])
    }

    /// For each utterance, in the order of [`DataDir::utterances`], its speaker's index in [`DataDir::speakers`].
    pub fn speaker_indices(&self) -> &[u32] {
        &self.speaker_of
    }

    /// The utterances of a speaker, in the order of `utt2spk`; none for an unknown speaker.
    pub fn utterances_of(&self, speaker: &str) -> impl Iterator<Item = &str> {
        let at = self.speakers.binary_search_by(|s| s.as_str().cmp(speaker));
        let indices = at.map_or(&[][..], |at| &self.spoken[at]);
        indices
            .iter()
            .map(|&i| self.utterances[i as usize].as_str())
    }

    /// The transcript of an utterance, if `text` has it.
    pub fn text(&self, utterance: &str) -> Option<&str> {
        self.text.as_ref()?.get(utterance)
    }

    /// `text`, if it exists.
    pub fn texts(&self) -> Option<&Table> {
        self.text.as_ref()
    }

    /// `wav.scp`, by recording, if it exists.
    pub fn wavs(&self) -> Option<&Table> {
        self.wavs.as_ref()
    }

    /// `segments`, if it exists.
    pub fn segments(&self) -> Option<&Segments> {
        self.segments.as_ref()
    }

    /// The recording of an utterance: that of its segment, or without `segments` the one of the same name.
    pub fn recording_of<'a>(&'a self, utterance: &'a str) -> Option<&'a str> {
        match &self.segments {
            None => Some(utterance),
            Some(segments) => segments.get(utterance).map(|s| s.recording.as_str()),
        }
    }

    /// The path of a file of the folder, if it exists.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        Some(self.path.join(name)).filter(|path| path.is_file())
    }

    /// The path of `feats.scp`, if it exists.
    pub fn feats_scp(&self) -> Option<PathBuf> {
        self.file("feats.scp")
    }

    /// The path of `cmvn.scp`, by speaker, if it exists.
    pub fn cmvn_scp(&self) -> Option<PathBuf> {
        self.file("cmvn.scp")
    }

    /// The path of `vad.scp`, if it exists.
    pub fn vad_scp(&self) -> Option<PathBuf> {
        self.file("vad.scp")
    }

    /// The index of `feats.scp`: `[frames, bins]` by utterance.
    ///
    /// # Errors
    /// As [`ScpTable::open`]; the file has to exist.
    pub fn feats(&self) -> Result<ScpTable<Array2<f32>>> {
        ScpTable::open(self.path.join("feats.scp"))
    }

    /// The index of `cmvn.scp`: `[2, bins + 1]` sums by speaker.
    ///
    /// # Errors
    /// As [`ScpTable::open`]; the file has to exist.
    pub fn cmvn(&self) -> Result<ScpTable<Array2<f32>>> {
        ScpTable::open(self.path.join("cmvn.scp"))
    }

    /// The index of `vad.scp`: a decision per frame, by utterance.
    ///
    /// # Errors
    /// As [`ScpTable::open`]; the file has to exist.
    pub fn vad(&self) -> Result<ScpTable<Array1<f32>>> {
        ScpTable::open(self.path.join("vad.scp"))
    }

    /// Any table of the folder, as `utt2lang`, `utt2dur`, `spk2gender` or `reco2dur`, if it exists.
    ///
    /// # Errors
    /// As [`Table::read`].
    pub fn table(&self, name: &str) -> Result<Option<Table>> {
        read_if_there(&self.path.join(name), Table::read)
    }
}

/// The values of `utt2spk`, each once, in byte order.
fn speakers(utt2spk: &Table) -> Result<Vec<String>> {
    if utt2spk.entries().is_empty() {
        return Err(Error::format(
            utt2spk.path(),
            "an utterance",
            "an empty file",
        ));
    }
    let mut speakers = Vec::new();
    for entry in utt2spk.entries() {
        if entry.value.is_empty() || entry.value.contains(|c: char| c.is_ascii_whitespace()) {
            let found = format!("'{}'", entry.value);
            return Err(Error::line(
                utt2spk.path(),
                entry.line,
                "one speaker",
                found,
            ));
        }
        speakers.push(entry.value.clone());
    }
    speakers.sort_unstable();
    speakers.dedup();
    Ok(speakers)
}

fn read_if_there<T>(path: &Path, read: impl FnOnce(PathBuf) -> Result<T>) -> Result<Option<T>> {
    match path.try_exists().map_err(Error::io(path))? {
        true => read(path.to_path_buf()).map(Some),
        false => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::made::folder;
    use super::*;

    #[test]
    fn a_data_directory_is_read() {
        let dir = folder(&[
            ("utt2spk", "b-1 b\na-1 a\na-2 a\n"),
            ("text", "a-1 one  two\n"),
            ("segments", "a-1 r 0 1.5\na-2 r 1.5 2\nb-1 r 1 1\n"),
            ("utt2lang", "a-1 ga\n"),
        ]);
        let data = DataDir::open(dir.path()).unwrap();
        assert_eq!(data.utterances(), ["b-1", "a-1", "a-2"]);
        assert_eq!(data.speakers(), ["a", "b"]);
        assert_eq!(data.speaker_indices(), [1, 0, 0]);
        assert_eq!(data.speaker_of("a-2"), Some("a"));
        assert_eq!(data.utterances_of("a").collect::<Vec<_>>(), ["a-1", "a-2"]);
        assert_eq!(data.utterances_of("x").count(), 0);
        assert_eq!(data.text("a-1"), Some("one  two"));
        assert_eq!(data.recording_of("a-2"), Some("r"));
        assert_eq!(data.recording_of("b-1"), None);
        assert_eq!(data.segments().unwrap().get("a-2").unwrap().end, 2.0);
        assert_eq!(
            data.table("utt2lang").unwrap().unwrap().get("a-1"),
            Some("ga")
        );
        assert!(data.table("utt2dur").unwrap().is_none());
        assert!(data.feats_scp().is_none());
    }

    #[test]
    fn invalid_files_are_errors() {
        for (files, expected) in [
            (&[][..], "utt2spk: No such file"),
            (&[("utt2spk", "")], "utt2spk: expected an utterance"),
            (
                &[("utt2spk", "a b\nb\n")],
                "utt2spk:2: expected one speaker",
            ),
            (&[("utt2spk", "a b c\n")], "utt2spk:1: expected one speaker"),
        ] {
            let dir = folder(files);
            let error = DataDir::open(dir.path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
