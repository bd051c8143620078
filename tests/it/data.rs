//! `unbraid data` as a user runs it.

use std::fs;
use std::path::Path;

use unbraid::io::audio::{Waveform, write_wav};

use crate::support::{fail, names, put, references, root, succeed, unbraid};

/// Two speakers, three utterances, sound and features that are only named.
fn write_data(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for (name, content) in [
        ("utt2spk", "a-1 a\na-2 a\nb-1 b\n"),
        ("spk2utt", "a a-1 a-2\nb b-1\n"),
        ("text", "a-1 one\na-2 two\nb-1 three\n"),
        ("wav.scp", "a-1 a1.wav\na-2 a2.wav\nb-1 b1.wav\n"),
        ("utt2lang", "a-1 ga\na-2 ga\nb-1 cy\n"),
    ] {
        fs::write(folder.join(name), content).unwrap();
    }
}

#[test]
fn a_damaged_folder_is_reported_and_fixed() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    write_data(&at.join("d"));
    let valid = succeed(at, &["data", "validate", "--no-feats", "d"]);
    assert_eq!(valid, b"d: valid\n");
    fs::write(at.join("d/text"), "b-1 three\na-1 one\n").unwrap();
    let output = unbraid(at, &["data", "validate", "d"]);
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    let expected = "\
d/feats.scp: expected a file, found none
d/text:2: expected a key after 'b-1' in byte order, found 'a-1'
d/text: a-2: expected a line, since utt2spk has one, found none
unbraid: d: 3 problems
";
    assert_eq!(message, expected);
    let fixed = String::from_utf8(succeed(at, &["data", "fix", "d"])).unwrap();
    assert!(
        fixed.contains("d/utt2spk: 3 lines, now 2, without a-2\n"),
        "{fixed}"
    );
    succeed(at, &["data", "validate", "--no-feats", "d"]);
    assert_eq!(
        fs::read_to_string(at.join("d/.backup/text")).unwrap(),
        "b-1 three\na-1 one\n"
    );
}

#[test]
fn parts_are_valid_and_combine_to_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    write_data(&at.join("d"));
    succeed(at, &["data", "split", "d", "2"]);
    succeed(at, &["data", "split", "--per-utt", "d", "3"]);
    assert_eq!(names(&at.join("d/split2")), ["1", "2"]);
    assert_eq!(names(&at.join("d/split3utt")), ["1", "2", "3"]);
    let parts = ["d/split3utt/1", "d/split3utt/2", "d/split3utt/3"];
    for part in parts {
        succeed(at, &["data", "validate", "--no-feats", part]);
    }
    succeed(at, &[&["data", "combine", "all"][..], &parts].concat());
    for name in names(&at.join("all")) {
        let read = |folder: &str| fs::read(at.join(folder).join(&name)).unwrap();
        assert_eq!(read("all"), read("d"), "{name}");
    }
    assert_eq!(names(&at.join("all")).len(), 5);
}

#[test]
fn a_subset_is_a_valid_folder() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    write_data(&at.join("d"));
    fs::write(at.join("list"), "b\nnobody\n").unwrap();
    let picks: [&[&str]; 4] = [
        &["--first", "2"],
        &["--per-spk", "1"],
        &["--random", "2", "--seed", "3"],
        &["--spk-list", "list"],
    ];
    for pick in picks {
        succeed(at, &[&["data", "subset", "d", "part"], pick].concat());
        succeed(at, &["data", "validate", "--no-feats", "part"]);
    }
    assert_eq!(
        fs::read_to_string(at.join("part/utt2spk")).unwrap(),
        "b-1 b\n"
    );
}

#[test]
fn invalid_input_is_refused_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    write_data(&at.join("d"));
    write_data(&at.join("e"));
    fs::write(at.join("e/wav.scp"), "a-1 other.wav\n").unwrap();
    fs::create_dir(at.join("empty")).unwrap();
    for (args, expected) in [
        (&["validate", "none"][..], "none: No such file"),
        (
            &["fix", "empty"],
            "empty/utt2spk: expected a file, found none",
        ),
        (
            &["split", "d", "3"],
            "number of parts: expected 1 to 2 parts",
        ),
        (
            &["subset", "--first", "4", "d", "new"],
            "subset: expected at most the 3 utterances",
        ),
        (
            &["subset", "--first", "1", "d", "d"],
            "target folder: expected another than the source",
        ),
        (
            &["subset", "--utt-list", "none", "d", "new"],
            "none: No such file",
        ),
        (
            &["combine", "new", "d", "e"],
            "e/wav.scp: a-1: expected 'a1.wav' as in another source",
        ),
        (
            &["combine", "new", "d", "empty"],
            "empty/utt2spk: expected a file",
        ),
    ] {
        let error = fail(at, &[&["data"], args].concat(), b"");
        assert!(
            error.starts_with(&format!("unbraid: {expected}")),
            "{error}"
        );
        assert_eq!(names(at), ["d", "e", "empty"], "{error}");
    }
    let two = [
        "data", "subset", "--first", "1", "--random", "1", "d", "new",
    ];
    assert_eq!(unbraid(at, &two).status.code(), Some(2));
}

#[test]
#[ignore = "needs UNBRAID_CORPORA"]
fn with_corpora_upstreams_data_directory_is_valid_and_divided() {
    let corpora = references::corpora();
    let source = Path::new(&corpora).join("speechocean762/train");
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    fs::create_dir(at.join("d")).unwrap();
    for name in names(&source) {
        fs::copy(source.join(&name), at.join("d").join(&name)).unwrap();
    }
    succeed(at, &["data", "validate", "--no-feats", "d"]);
    assert_eq!(succeed(at, &["data", "fix", "d"]), b"d: nothing to fix\n");
    succeed(at, &["data", "split", "d", "4"]);
    for part in names(&at.join("d/split4")) {
        let folder = format!("d/split4/{part}");
        succeed(at, &["data", "validate", "--no-feats", &folder]);
        let utterances = fs::read_to_string(at.join(folder).join("utt2spk")).unwrap();
        assert!((246..=256).contains(&utterances.lines().count()));
    }
}

#[test]
fn byte_order_marks_and_carriage_returns_are_reported_and_fixed() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    write_data(&at.join("d"));
    for name in ["text", "utt2spk"] {
        let path = at.join("d").join(name);
        let foreign = fs::read_to_string(&path).unwrap().replace('\n', "\r\n");
        fs::write(path, format!("\u{feff}{foreign}")).unwrap();
    }
    let output = unbraid(at, &["data", "validate", "--no-feats", "d"]);
    let message = String::from_utf8(output.stderr).unwrap();
    let expected = "\
d/text:1: expected text from the first byte, found a byte order mark
d/text:1: expected lines that end with LF alone, found CR LF
d/utt2spk:1: expected text from the first byte, found a byte order mark
d/utt2spk:1: expected lines that end with LF alone, found CR LF
unbraid: d: 4 problems
";
    assert_eq!(message, expected);
    succeed(at, &["data", "fix", "d"]);
    succeed(at, &["data", "validate", "--no-feats", "d"]);
    let text = fs::read_to_string(at.join("d/text")).unwrap();
    assert_eq!(text, "a-1 one\na-2 two\nb-1 three\n");
}

#[test]
fn variations_combine_with_segments() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let waveform = Waveform {
        samples: vec![0.25; 16_000],
        sample_rate_hz: 8000,
    };
    write_wav(at.join("r.wav"), &waveform).unwrap();
    fs::create_dir(at.join("clean")).unwrap();
    for (name, content) in [
        ("utt2spk", "r-a r\nr-b r\n"),
        ("spk2utt", "r r-a r-b\n"),
        ("text", "r-a x\nr-b y\n"),
        ("wav.scp", "r r.wav\n"),
        ("segments", "r-a r 0 1\nr-b r 1 2\n"),
    ] {
        fs::write(at.join("clean").join(name), content).unwrap();
    }
    fs::write(at.join("aug.toml"), "[volume]\nmin = 0.5\nmax = 0.9\n").unwrap();
    succeed(at, &["augment", "--conf", "aug.toml", "clean", "aug"]);
    succeed(at, &["data", "combine", "all", "clean", "aug"]);
    succeed(at, &["data", "validate", "--no-feats", "all"]);
    let segments = fs::read_to_string(at.join("all/segments")).unwrap();
    let expected = "\
aug1-r-a aug1-r-a 0 1
aug1-r-b aug1-r-b 0 1
r-a r 0 1
r-b r 1 2
";
    assert_eq!(segments, expected);
    let made = [
        "--segments",
        "all/segments",
        "scp:all/wav.scp",
        "ark,t:f.ark",
    ];
    succeed(
        at,
        &[&["fbank", "--set", "sample_frequency=8000"], &made[..]].concat(),
    );
    // The length of a command's audio is known only after running it.
    fs::write(
        at.join("aug/wav.scp"),
        "aug1-r-a cat r.wav |\naug1-r-b r.wav\n",
    )
    .unwrap();
    let refused = fail(at, &["data", "combine", "all", "clean", "aug"], b"");
    assert!(refused.contains("--allow-pipes"), "{refused}");
    succeed(
        at,
        &["data", "combine", "--allow-pipes", "all", "clean", "aug"],
    );
    let segments = fs::read_to_string(at.join("all/segments")).unwrap();
    assert!(
        segments.starts_with("aug1-r-a aug1-r-a 0 2\n"),
        "{segments}"
    );
}

#[test]
fn a_deep_look_finds_cut_archives_and_missing_recordings() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    write_data(&at.join("d"));
    let waveform = Waveform {
        samples: vec![0.25; 800],
        sample_rate_hz: 8000,
    };
    for name in ["a1.wav", "a2.wav", "b1.wav"] {
        write_wav(at.join(name), &waveform).unwrap();
    }
    let table = "ark,scp:d/feats.ark,d/feats.scp";
    succeed(
        at,
        &[
            "fbank",
            "--set",
            "sample_frequency=8000",
            "scp:d/wav.scp",
            table,
        ],
    );
    let deep = ["data", "validate", "--deep", "d"];
    assert_eq!(succeed(at, &deep), b"d: valid\n");
    let message = || {
        let output = unbraid(at, &deep);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let archive = fs::read(at.join("d/feats.ark")).unwrap();
    fs::write(at.join("d/feats.ark"), &archive[..archive.len() - 1]).unwrap();
    fs::remove_file(at.join("a2.wav")).unwrap();
    fs::write(at.join("b1.wav"), "no audio").unwrap();
    succeed(at, &["data", "validate", "d"]);
    let found = message();
    let lines: Vec<&str> = found.lines().collect();
    assert!(
        lines[0].starts_with("d/feats.ark: b-1: expected ")
            && lines[0].contains("the end of the file"),
        "{found}"
    );
    assert!(lines[1].starts_with("a2.wav: No such file"), "{found}");
    assert!(lines[2].starts_with("b1.wav: expected "), "{found}");
    assert_eq!(lines[3..], ["unbraid: d: 3 problems"]);
    // What shows only in the samples, or in the numbers.
    let flac = root().join("data/mini/audio/f01-s01.flac");
    let mut damaged = fs::read(flac).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(at.join("a2.wav"), damaged).unwrap();
    let wav = fs::read(at.join("a1.wav")).unwrap();
    fs::write(at.join("b1.wav"), &wav[..wav.len() - 2]).unwrap();
    let mut broken = archive.clone();
    let end = broken.len();
    broken[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(at.join("d/feats.ark"), &broken).unwrap();
    let found = message();
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!(lines.len(), 4, "{found}");
    assert_eq!(
        lines[0],
        "d/feats.scp: b-1: expected finite numbers, found others"
    );
    assert!(lines[1].starts_with("a2.wav: expected "), "{found}");
    assert!(lines[2].starts_with("b1.wav: expected "), "{found}");
    let scp = fs::read_to_string(at.join("d/feats.scp")).unwrap();
    fs::write(
        at.join("d/feats.scp"),
        scp.trim_end().to_string() + "[:,0:3]\n",
    )
    .unwrap();
    fs::write(at.join("d/feats.ark"), &archive).unwrap();
    let found = message();
    let expected = "d/feats.scp: b-1: expected 23 values per frame, as the first has, found 4\n";
    assert!(found.starts_with(expected), "{found}");
    let segments = "a-1 a-1 0 -1\na-2 a-1 0.05 0.5\nb-1 a-1 0.2 0.3\n";
    fs::write(at.join("d/segments"), segments).unwrap();
    fs::write(at.join("d/wav.scp"), "a-1 a1.wav\n").unwrap();
    let found = message();
    let expected = "d/segments:3: expected times within the 0.100 s of a-1, found 'a-1 0.2 0.3'\n";
    assert!(found.contains(expected), "{found}");
    assert!(!found.contains("segments:2"), "{found}");
    // A header says so without decoding.
    let output = unbraid(at, &["data", "validate", "d"]);
    let found = String::from_utf8(output.stderr).unwrap();
    assert_eq!(found, format!("{expected}unbraid: d: 1 problem\n"));
    fs::remove_file(at.join("d/segments")).unwrap();
    fs::write(at.join("d/wav.scp"), "a-1 a1.wav\na-2 a1.wav\nb-1 a1.wav\n").unwrap();
    // A list that is missing is no reason not to look at the others.
    fs::rename(at.join("d/text"), at.join("text")).unwrap();
    fs::write(at.join("b1.wav"), "no audio").unwrap();
    fs::write(at.join("d/wav.scp"), "a-1 a1.wav\na-2 a1.wav\nb-1 b1.wav\n").unwrap();
    let found = message();
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!(lines[0], "d/text: expected a file, found none");
    assert!(lines[1].starts_with("d/feats.scp: b-1: "), "{found}");
    assert!(lines[2].starts_with("b1.wav: expected "), "{found}");
    fs::rename(at.join("text"), at.join("d/text")).unwrap();
    fs::write(at.join("d/wav.scp"), "a-1 a1.wav\na-2 a1.wav\nb-1 a1.wav\n").unwrap();
    // One line a file, not one an utterance.
    fs::remove_file(at.join("d/feats.ark")).unwrap();
    let found = message();
    assert_eq!(found.matches("feats.ark").count(), 1, "{found}");
}

#[test]
fn textgrids_become_classes() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let zeros = |key: &str| format!("{key} [{} ]\n", "\n 0".repeat(4));
    fs::write(at.join("f"), zeros("anna-1") + &zeros("bo-1")).unwrap();
    succeed(at, &["feats", "copy", "ark:f", "ark,scp:f.ark,f.scp"]);
    fs::write(at.join("phones.txt"), "sil 0\na 1\n").unwrap();
    let short = "\"ooTextFile\"\n\"TextGrid\"\n0\n0.04\n<exists>\n1\n\"IntervalTier\"\n\"phones\"\n0\n0.04\n2\n";
    let grid = format!("{short}0\n0.01\n\"\"\n0.01\n0.03\n\"a\"\n");
    put(&at.join("grids/anna/1.TextGrid"), &grid);
    let args = [
        "data",
        "alignment",
        "--phones",
        "phones.txt",
        "grids",
        "f.scp",
        "ark,t:ali",
    ];
    let output = unbraid(at, &args);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{message}");
    assert_eq!(
        message,
        "unbraid: grids: no phones of 1 utterances, which are left out: bo-1\n"
    );
    assert_eq!(
        fs::read_to_string(at.join("ali")).unwrap(),
        "anna-1 0 1 1 0 \n"
    );
    fs::remove_file(at.join("ali")).unwrap();
    let path = at.join("grids/bo/1.TextGrid");
    for (grid, more, expected) in [
        (
            grid.replace("\"a\"", "\"b\""),
            "--tier=phones",
            "grids: bo-1: expected a phone of phones.txt, found 'b' at 0.010 s",
        ),
        (
            grid.clone(),
            "--tier=words",
            "grids/anna/1.TextGrid: words: expected a tier of this name, found phones",
        ),
        (
            grid[..grid.len() - 9].to_string(),
            "--tier=phones",
            "grids/bo/1.TextGrid:16: expected a number, found the end of the file",
        ),
    ] {
        put(&path, grid);
        let error = fail(at, &[&args[..], &[more]].concat(), b"");
        assert_eq!(error, format!("unbraid: {expected}"));
        assert!(!at.join("ali").exists());
    }
}

#[test]
fn a_frame_shift_that_phones_contradict_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let (mut feats, mut ctm) = (String::new(), String::new());
    for number in 0..14 {
        let (frames, silence) = (100 + 25 * number, [0.1, 0.05][number % 2]);
        let start = frames as f64 / 100.0 - silence - 0.2;
        feats += &format!("u{number} [{} ]\n", "\n 0".repeat(frames));
        ctm += &format!("u{number} 1 0.1 0.2 a\nu{number} 1 {start:.2} 0.2 a\n");
    }
    fs::write(at.join("f"), feats).unwrap();
    fs::write(at.join("a.ctm"), ctm).unwrap();
    fs::write(at.join("phones.txt"), "sil 0\na 1\n").unwrap();
    succeed(at, &["feats", "copy", "ark:f", "ark,scp:f.ark,f.scp"]);
    let args = [
        "data",
        "alignment",
        "--phones",
        "phones.txt",
        "a.ctm",
        "f.scp",
        "ark,t:ali",
    ];
    let wrong = [&args[..], &["--frame-shift-ms", "20"]].concat();
    let error = fail(at, &wrong, b"");
    assert!(
        error.starts_with("unbraid: --frame-shift-ms: expected about 1"),
        "{error}"
    );
    assert!(
        error.contains("as long as a.ctm, found 20 ms (50.00 frames per second)"),
        "{error}"
    );
    assert!(!at.join("ali").exists());
    succeed(at, &args);
}
