//! Archives against Kaldi's own code and kaldiio, on the same bytes, in both directions: a copy by unbraid
//! has to equal a copy by them, byte for byte.

use std::fs;
use std::path::Path;

use crate::support::{references, run_reference, succeed};

const SCRIPT: &str = "kaldi_archives.py";

/// The flag of `copy-feats` for a kind.
fn flag(kind: &str) -> &'static [&'static str] {
    match kind {
        "vector" => &["--vector"],
        "int_vector" => &["--int-vector"],
        _ => &[],
    }
}

fn copy(folder: &Path, flags: &[&str], from: &str, to: &str) {
    succeed(folder, &[&["copy-feats"], flags, &[from, to]].concat());
}

fn assert_same(folder: &Path, a: &str, b: &str, what: &str) {
    let read = |name| fs::read(folder.join(name)).unwrap();
    assert!(read(a) == read(b), "{what}: {a} and {b} differ");
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_what_kaldi_writes_is_read() {
    let python = references::python();
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    run_reference(&python, at, SCRIPT, &["make", "."]);
    for (kind, names) in [
        (
            "matrix",
            &[
                "float",
                "double",
                "auto",
                "cm",
                "cm2",
                "cm3",
                "float.txt",
                "double.txt",
            ][..],
        ),
        (
            "vector",
            &["vector", "double_vector", "vector.txt", "double_vector.txt"],
        ),
        ("int_vector", &["int_vector", "int_vector.txt"]),
    ] {
        for name in names {
            let from = format!("ark:{name}.ark");
            run_reference(
                &python,
                at,
                SCRIPT,
                &["native", kind, &from, "ark:theirs.ark"],
            );
            copy(at, flag(kind), &from, "ark:ours.ark");
            assert_same(at, "theirs.ark", "ours.ark", name);
        }
    }
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_compression_is_kaldis() {
    let python = references::python();
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    run_reference(&python, at, SCRIPT, &["make", "."]);
    for form in ["auto", "cm", "cm2", "cm3"] {
        copy(at, &["--compress", form], "ark:float.ark", "ark:ours.ark");
        assert_same(at, &format!("{form}.ark"), "ours.ark", form);
    }
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_what_we_write_is_read() {
    let python = references::python();
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    run_reference(&python, at, SCRIPT, &["make", "."]);
    for (kind, name) in [
        ("matrix", "float"),
        ("vector", "vector"),
        ("int_vector", "int_vector"),
    ] {
        let original = format!("{name}.ark");
        for flags in ["", ",t"] {
            let to = format!("ark,scp{flags}:ours.ark,ours.scp");
            copy(at, flag(kind), &format!("ark:{original}"), &to);
            for from in ["ark:ours.ark", "scp:ours.scp"] {
                run_reference(
                    &python,
                    at,
                    SCRIPT,
                    &["native", kind, from, "ark:theirs.ark"],
                );
                assert_same(at, &original, "theirs.ark", &format!("{to} {from}"));
            }
        }
    }
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_kaldiio_reads_and_writes_the_same() {
    let python = references::python();
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    run_reference(&python, at, SCRIPT, &["make", "."]);
    for (kind, name) in [
        ("matrix", "float"),
        ("vector", "vector"),
        ("int_vector", "int_vector"),
    ] {
        let original = format!("{name}.ark");
        copy(
            at,
            flag(kind),
            &format!("ark:{original}"),
            "ark,scp:ours.ark,ours.scp",
        );
        for from in ["ark:ours.ark", "scp:ours.scp"] {
            run_reference(
                &python,
                at,
                SCRIPT,
                &["kaldiio", kind, from, "ark,scp:theirs.ark,theirs.scp"],
            );
            copy(at, flag(kind), "scp:theirs.scp", "ark:again.ark");
            assert_same(at, &original, "again.ark", from);
        }
    }
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_ranges_are_kaldis() {
    let python = references::python();
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    run_reference(&python, at, SCRIPT, &["make", "."]);
    copy(at, &[], "ark:cm.ark", "ark,scp:ours.ark,ours.scp");
    let list = fs::read_to_string(at.join("ours.scp")).unwrap();
    let line = list
        .lines()
        .find(|line| line.starts_with("normal-200x40 "))
        .unwrap();
    let place = line.split_once(' ').unwrap().1;
    let ranges = [
        "",
        "[0:0]",
        "[10:19,3:5]",
        "[:,0:38]",
        "[:,39:39]",
        "[190:202]",
        "[7:8,:]",
    ];
    let mut lines = String::new();
    for (index, range) in ranges.into_iter().enumerate() {
        lines += &format!("u{index} {place}{range}\n");
    }
    fs::write(at.join("ranges.scp"), lines).unwrap();
    run_reference(
        &python,
        at,
        SCRIPT,
        &["native", "matrix", "scp:ranges.scp", "ark:theirs.ark"],
    );
    copy(at, &[], "scp:ranges.scp", "ark:again.ark");
    assert_same(at, "theirs.ark", "again.ark", "ranges");
}
