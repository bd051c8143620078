//! Any bytes as a Kaldi archive of every kind of object, and as an scp file that points into one. What was read is written
//! and has to read as the same again.
#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use ndarray::{Array1, Array2};
use tempfile::TempDir;
use unbraid::io::kaldi::{KaldiObject, ScpTable, TableReader, TableWriter};

/// A folder of this process, in memory where there is one.
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

fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = folder().join(name);
    fs::write(&path, content).unwrap();
    path
}

fn entries<T: KaldiObject>(kind: &str, path: &Path) -> Vec<(String, T)> {
    let specifier = format!("{kind}:{}", path.display());
    TableReader::open(&specifier)
        .map_or(Vec::new(), |reader| reader.map_while(Result::ok).collect())
}

fn round_trip<T: KaldiObject>(path: &Path) {
    let first: Vec<(String, T)> = entries("ark", path);
    let copy = |name: &str, entries: &[(String, T)]| {
        let copy = folder().join(name);
        let mut writer = TableWriter::create(&format!("ark:{}", copy.display())).unwrap();
        let written = entries
            .iter()
            .all(|(key, value)| writer.write(key, value).is_ok());
        writer.finish().unwrap();
        written.then_some(copy)
    };
    let Some(once) = copy("once", &first) else {
        return;
    };
    let second: Vec<(String, T)> = entries("ark", &once);
    assert_eq!(first.len(), second.len());
    let twice = copy("twice", &second).unwrap();
    assert!(fs::read(once).unwrap() == fs::read(twice).unwrap());
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&which, rest)) = bytes.split_first() else {
        return;
    };
    let path = file("x.ark", rest);
    match which % 6 {
        0 => round_trip::<Array2<f32>>(&path),
        1 => round_trip::<Array2<f64>>(&path),
        2 => round_trip::<Array1<f32>>(&path),
        3 => round_trip::<Vec<i32>>(&path),
        _ => {
            // An scp file with ranges and offsets into the archive made of the same bytes.
            let text = String::from_utf8_lossy(rest);
            let list = text.replace('@', &path.display().to_string());
            let list = file("x.scp", list.as_bytes());
            entries::<Array2<f32>>("scp", &list);
            if let Ok(table) = ScpTable::<Array2<f32>>::open(&list) {
                for key in table.keys() {
                    let shape = table.read_shape(key);
                    if let (Ok(shape), Ok(value)) = (shape, table.get(key)) {
                        assert_eq!(shape, value.dim());
                    }
                }
            }
        }
    }
});
