//! Tables in the forms of Python's tools, as their own readers see them.

use std::fs;
use std::path::Path;

use crate::support::corpus::Corpus;
use crate::support::{fail, references, run_reference, succeed};
use ndarray::Array1;
use unbraid::io::kaldi::TableWriter;

const FORMS: [&str; 3] = ["npy:z", "safetensors:z.safetensors", "parquet:z.parquet"];

fn copy(folder: &Path, flags: &[&str], from: &str) {
    for to in FORMS.iter().chain(&["ark:z.ark"]) {
        succeed(folder, &[&["copy-feats"], flags, &[from, to]].concat());
    }
}

fn vectors(folder: &Path) {
    let path = folder.join("v.ark");
    let mut writer = TableWriter::create(&format!("ark:{}", path.display())).unwrap();
    for item in 0..7 {
        let vector = Array1::from_shape_fn(5, |i| (item * 10 + i) as f32 / 3.0);
        writer.write(&format!("v{item}"), &vector).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_python_reads_what_archives_hold() {
    let python = references::python();
    let dir = tempfile::tempdir().unwrap();
    // More than a group of Parquet's rows.
    let corpus = Corpus {
        utterances: 40,
        frames: 400,
        ..Corpus::default()
    };
    corpus.write(dir.path());
    copy(dir.path(), &[], "scp:feats.scp");
    run_reference(&python, dir.path(), "foreign.py", &["z"]);
    vectors(dir.path());
    copy(dir.path(), &["--vector"], "ark:v.ark");
    run_reference(&python, dir.path(), "foreign.py", &["z"]);
}

#[test]
fn entries_that_a_format_cannot_represent_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    for (name, bins, seed) in [("a", 3, 0), ("b", 4, 0)] {
        let corpus = Corpus {
            speakers: 1,
            utterances: 1,
            bins,
            seed,
            ..Corpus::default()
        };
        corpus.write(&folder.join(name));
        succeed(
            folder,
            &[
                "copy-feats",
                &format!("scp:{name}/feats.scp"),
                &format!("ark,t:{name}.txt"),
            ],
        );
    }
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    fs::write(
        folder.join("mixed.txt"),
        read("a.txt") + &read("b.txt").replace("s00", "s01"),
    )
    .unwrap();
    fs::write(folder.join("twice.txt"), read("a.txt").repeat(2)).unwrap();
    fs::write(folder.join("none.txt"), "").unwrap();
    fs::write(folder.join("whole.txt"), "a 1 2 3\n").unwrap();
    for (args, expected) in [
        (
            &["ark:mixed.txt", "npy:z"][..],
            "z.npy: s01-u000: expected 3 columns, as the first entry has, found 4",
        ),
        (
            &["ark:twice.txt", "parquet:z.parquet"],
            "s00-u000: expected each key once",
        ),
        (
            &["ark:none.txt", "safetensors:z.safetensors"],
            "z.safetensors: expected entries to write, found none",
        ),
        (
            &["--int-vector", "ark:whole.txt", "npy:z"],
            "found integer vector",
        ),
        (
            &["--compress", "cm", "ark:a.txt", "npy:z"],
            "expected binary matrices to compress",
        ),
        (
            &["ark:a.txt", "npy:-"],
            "'npy:-': expected the name of a file",
        ),
        (&["ark:a.txt", "npy:none/z"], "none/z.npy: "),
    ] {
        let error = fail(folder, &[&["copy-feats"], args].concat(), b"");
        assert!(error.contains(expected), "{args:?}: {error}");
    }
    let left =
        |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let left: Vec<String> = fs::read_dir(folder).unwrap().map(left).collect();
    assert!(
        !left
            .iter()
            .any(|name| name.starts_with('z') || name.starts_with('.')),
        "{left:?}"
    );
}
