//! `unbraid feats copy` as a user runs it: streams, lists, pipes, and all that can be wrong.

use std::fs;

use crate::support::{fail, names, succeed, unbraid_with};

const TEXT: &[u8] = b"u  [\n  0 1.5 -2 \n  3 4 5e-9 ]\nv  [\n  7 8 9 ]\n";

#[test]
fn from_standard_input_to_standard_output() {
    let dir = tempfile::tempdir().unwrap();
    let binary = unbraid_with(dir.path(), &["copy-feats", "ark:-", "ark:-"], TEXT);
    assert!(
        binary
            .stdout
            .starts_with(b"u \0BFM \x04\x02\0\0\0\x04\x03\0\0\0")
    );
    let text = unbraid_with(
        dir.path(),
        &["copy-feats", "ark:", "ark,t:-"],
        &binary.stdout,
    );
    assert_eq!(text.stdout, TEXT);
}

#[test]
fn a_list_is_read_with_the_archive_it_names() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("in.txt"), TEXT).unwrap();
    succeed(
        dir.path(),
        &["copy-feats", "ark:in.txt", "ark,scp:a.ark,a.scp"],
    );
    let list = fs::read_to_string(dir.path().join("a.scp")).unwrap();
    assert_eq!(list, "u a.ark:2\nv a.ark:43\n");
    assert_eq!(
        succeed(dir.path(), &["copy-feats", "scp,bg:a.scp", "ark,t:-"]),
        TEXT
    );
    assert_eq!(names(dir.path()), ["a.ark", "a.scp", "in.txt"]);
}

#[test]
fn pipes_run_when_allowed() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("in.txt"), TEXT).unwrap();
    let to = [
        "copy-feats",
        "--allow-pipes",
        "ark:in.txt",
        "ark,t:| gzip -c > a.gz",
    ];
    succeed(dir.path(), &to);
    let from = [
        "copy-feats",
        "--allow-pipes",
        "ark:gunzip -c a.gz |",
        "ark,t:-",
    ];
    assert_eq!(succeed(dir.path(), &from), TEXT);
    let error = fail(dir.path(), &["copy-feats", from[2], "ark,t:-"], b"");
    assert!(error.contains("--allow-pipes"), "{error}");
    let error = fail(dir.path(), &["copy-feats", "ark:in.txt", to[3]], b"");
    assert!(error.contains("--allow-pipes"), "{error}");
    let broken = [
        "copy-feats",
        "--allow-pipes",
        "ark:echo u 1; false |",
        "ark,scp:b.ark,b.scp",
    ];
    fail(dir.path(), &broken, b"");
    let failed = [
        "copy-feats",
        "--allow-pipes",
        "ark:in.txt",
        "ark:| cat > /dev/null; exit 2",
    ];
    assert!(fail(dir.path(), &failed, b"").contains("exit status: 2"));
    assert_eq!(names(dir.path()), ["a.gz", "in.txt"]);
}

#[test]
fn invalid_input_is_refused_in_one_line_and_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    fs::write(at.join("bad.scp"), "u\n").unwrap();
    fs::write(at.join("twice"), "u 1\nu 2\n").unwrap();
    let to = "ark,scp:out.ark,out.scp";
    for (args, input, expected) in [
        (
            &["raw.ark", to][..],
            &b""[..],
            "'raw.ark': expected a read specifier",
        ),
        (&["ark:none", to], b"", "none: No such file"),
        (
            &["scp:bad.scp", to],
            b"",
            "bad.scp:1: expected a key and a file",
        ),
        (
            &["ark:-", to],
            b"u  [ 1 2",
            "standard input: u: expected a number or ']', found the end",
        ),
        (
            &["ark:-", to],
            b"u  [ 1\n 2 3 ]",
            "standard input: u: expected 1 numbers in each row",
        ),
        (
            &["ark:-", to],
            b"\xff\xff \0B",
            "standard input: expected a key in UTF-8",
        ),
        (
            &["ark:-", to],
            b"u \0BSM ",
            "expected a matrix, found an object of type 'SM'",
        ),
        (
            &["ark:-", "ark:no/out.ark"],
            TEXT,
            "no/out.ark: No such file",
        ),
        (
            &["ark:-", "ark,scp:-,out.scp"],
            TEXT,
            "expected an archive in a file",
        ),
        (
            &["ark:-", "scp,ark:out.ark,out.scp"],
            TEXT,
            "ark, scp or ark,scp, in that order",
        ),
        (
            &["--compress", "auto", "ark:-", to],
            b"u  [ nan ]\n",
            "expected finite numbers",
        ),
        (
            &["--compress", "cm", "ark:-", "ark,t:out"],
            TEXT,
            "found the option t",
        ),
        (
            &["--int-vector", "ark:-", to],
            b"u 1 2.5\n",
            "integers of 32 bits, found '2.5'",
        ),
        (
            &["--int-vector", "ark:twice", to],
            b"",
            "out.scp: u: expected each key once",
        ),
        (
            &["--vector", "ark:-", to],
            b"u  [ 1\n",
            "u: expected a ']' on the vector's line",
        ),
    ] {
        let error = fail(at, &[&["copy-feats"], args].concat(), input);
        assert!(
            error.starts_with("unbraid: ") && error.contains(expected),
            "{error}"
        );
        assert_eq!(names(at), ["bad.scp", "twice"], "{error}");
    }
}
