//! Any bytes as the tables of a data directory: `wav.scp`, `segments`, `utt2spk` and the whole folder.
//! Also as time-aligned phones, and as specifiers.
#![no_main]

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use unbraid::dataset::alignment::read_alignment;
use unbraid::dataset::{DataDir, Recordings, Segments, Table};
use unbraid::io::audio::AudioSource;
use unbraid::io::kaldi::{ReadSpecifier, WriteSpecifier};

fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let made = || {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        folder.unwrap()
    };
    FOLDER.get_or_init(made).path()
}

/// The files, separated in the input by a byte that does not occur in UTF-8.
const FILES: [&str; 4] = ["utt2spk", "wav.scp", "segments", "text"];

fuzz_target!(|bytes: &[u8]| {
    let folder = folder();
    let mut parts = bytes.split(|&byte| byte == 0xff);
    for name in FILES {
        let path = folder.join(name);
        match parts.next() {
            Some(part) => fs::write(&path, part).unwrap(),
            None => drop(fs::remove_file(&path)),
        }
    }
    let wavs = Table::read(folder.join("wav.scp"));
    if let Ok(wavs) = &wavs {
        for entry in wavs.entries() {
            assert!(wavs.get(&entry.key).is_some());
            let _ = AudioSource::parse(&entry.value).name();
        }
        let _ = Recordings::new(wavs);
        if let Ok(segments) = Segments::read(folder.join("segments")) {
            let _ = Recordings::with_segments(wavs, &segments);
        }
    }
    if let Ok(data) = DataDir::open(folder) {
        for utterance in data.utterances() {
            assert!(data.speaker_of(utterance).is_some());
        }
    }
    let alignment = folder.join("alignment");
    fs::write(&alignment, bytes).unwrap();
    for phone in read_alignment(&alignment, "phones")
        .into_iter()
        .flatten()
        .flat_map(|(_, phones)| phones)
    {
        assert!(phone.start.is_finite() && phone.duration >= 0.0);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = ReadSpecifier::parse(text);
        let _ = WriteSpecifier::parse(text);
    }
});
