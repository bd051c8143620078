//! `unbraid data make` and `unbraid data trials` as a user runs them.

use std::fs;
use std::path::Path;

use crate::recipes::{column, flac, librispeech, tone, vctk};
use crate::support::{fail, names, put, succeed, unbraid};

/// Makes `data` of `corpus`; it has to be valid down to its samples. Standard error.
fn made(at: &Path, args: &[&str]) -> String {
    let output = unbraid(at, &[&["data", "make", "corpus", "data"], args].concat());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{args:?}: {error}");
    let data = at.join("data");
    let mut validate = vec!["data", "validate", "--deep", "--no-feats", "data"];
    if !data.join("text").exists() {
        validate.push("--no-text");
    }
    if data.join("utt2spk").exists() {
        succeed(at, &validate);
    }
    error
}

fn read(at: &Path, name: &str) -> String {
    fs::read_to_string(at.join("data").join(name)).unwrap()
}

fn audio(at: &Path, files: &[&str]) {
    for file in files {
        put(&at.join("corpus").join(file), tone(440.0));
    }
}

#[test]
fn a_folder_of_speakers_becomes_a_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    audio(
        at,
        &[
            "Jörg Müller/a b.wav",
            "x/anna/1.wav",
            "y/anna/1.WAV",
            "bo/1.wav",
            "bo/b:1",
            ".hidden/bo/1.wav",
        ],
    );
    fs::rename(at.join("corpus/bo/b:1"), at.join("corpus/bo/b.wav:1")).unwrap();
    put(
        &at.join("corpus/x/anna/1.lab"),
        "\u{feff}hello\t there\r\nyou\n",
    );
    put(
        &at.join("corpus/bo/1.lab"),
        "0 500000 sil\n500000 900000 a\n",
    );
    put(&at.join("corpus/bo/text.wav"), "no audio");
    put(&at.join("corpus/bo/empty.wav"), "");
    put(&at.join("corpus/bo/none.wav"), &tone(440.0)[..44]);
    put(&at.join("corpus/top.wav"), tone(440.0));
    put(&at.join("corpus/notes.txt"), "hi");
    std::os::unix::fs::symlink(at.join("corpus"), at.join("corpus/bo/circle")).unwrap();
    let told = made(at, &[]);
    assert_eq!(
        names(&at.join("data")),
        ["spk2utt", "text", "utt2spk", "wav.scp"]
    );
    assert_eq!(
        read(at, "wav.scp"),
        "Jorg_Muller-a_b corpus/Jörg Müller/a b.wav\nbo-1 corpus/bo/1.wav\nx_anna-1 corpus/x/anna/1.wav\n\
         y_anna-1 corpus/y/anna/1.WAV\n"
    );
    assert_eq!(
        read(at, "utt2spk"),
        "Jorg_Muller-a_b Jorg_Muller\nbo-1 bo\nx_anna-1 x_anna\ny_anna-1 y_anna\n"
    );
    assert_eq!(
        read(at, "text"),
        "Jorg_Muller-a_b\nbo-1\nx_anna-1 hello there you\ny_anna-1\n"
    );
    for part in [
        "recordings: 4 at 16000 Hz, 0.0 minutes in all\n",
        "recordings left out, no folder of a speaker around it (1): top.wav\n",
        "found an empty file (1): corpus/bo/empty.wav\n",
        "transcripts not read, expected a transcript, found an alignment (times before each label) (1): bo/1.wav\n",
        "speakers with another id (3): 'Jörg Müller' -> Jorg_Muller, 'x/anna' -> x_anna, 'y/anna' -> y_anna\n",
        "utterances with another id (1): 'a b' -> Jorg_Muller-a_b\n",
        "which is empty in text (3): Jorg_Muller-a_b, bo-1, y_anna-1\n",
        "folders of one name are different speakers",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    fs::remove_dir_all(at.join("data")).unwrap();
    made(at, &["--pattern", "**/{speaker}/{utterance}"]);
    assert_eq!(
        column(&at.join("data/spk2utt"), 0),
        ["Jorg_Muller", "anna", "bo"]
    );
    assert_eq!(
        column(&at.join("data/utt2spk"), 0)[1..3],
        ["anna-1", "anna-1_2"]
    );
}

#[test]
fn speakers_come_from_paths_or_are_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    audio(
        at,
        &["0_anna_1.wav", "1_anna_1.wav", "0_bo_1.wav", "other.wav"],
    );
    let told = made(at, &["--pattern", "{digit}_{speaker}_{take}.wav"]);
    assert_eq!(
        read(at, "utt2spk"),
        "anna-0-1 anna\nanna-1-1 anna\nbo-0-1 bo\n"
    );
    assert!(!at.join("data/text").exists());
    assert!(
        told.ends_with("audio files with other paths: 1\n"),
        "{told}"
    );
    fs::remove_dir_all(at.join("data")).unwrap();
    made(at, &["--speakers", "unknown"]);
    assert_eq!(
        read(at, "utt2spk"),
        "0_anna_1 0_anna_1\n0_bo_1 0_bo_1\n1_anna_1 1_anna_1\nother other\n"
    );
}

#[test]
fn tables_name_files_speakers_and_words() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    audio(at, &["a.wav", "clips/b.wav", "clips/c.wav"]);
    put(
        &at.join("t.csv"),
        "\u{feff}name,audio,said\r\n\"Müller, Jo\",a.wav,\"say \"\"yes\"\"\nnow\"\r\nbo,b.wav,no\r\nbo,d.wav,\r\n,c.wav,x\r\n",
    );
    let told = made(
        at,
        &["--table", "t.csv", "--columns", "speaker=name,text=said"],
    );
    assert_eq!(read(at, "text"), "Muller_Jo-a say \"yes\" now\nbo-b no\n");
    assert!(
        told.contains("left out, no speaker in the table (1): c.wav"),
        "{told}"
    );
    assert!(
        told.contains("left out, no such file in corpus (1): d.wav"),
        "{told}"
    );
    fs::remove_dir_all(at.join("data")).unwrap();
    let header = "client_id\tpath\tsentence\tgender";
    let rows = "f00\tb.wav\tSay \"yes\tfemale_feminine\nf01\tc.wav\tno\tmale";
    put(
        &at.join("corpus/validated.tsv"),
        format!("{header}\n{rows}\n"),
    );
    made(at, &["--layout", "commonvoice"]);
    assert_eq!(read(at, "text"), "f00-b Say \"yes\nf01-c no\n");
    assert_eq!(read(at, "spk2gender"), "f00 f\nf01 m\n");
    fs::remove_dir_all(at.join("data")).unwrap();
    // spk2gender has all speakers, or is not there.
    let unknown = rows.replace("\tmale", "\t");
    put(
        &at.join("corpus/validated.tsv"),
        format!("{header}\n{unknown}\n"),
    );
    let told = made(at, &["--layout", "commonvoice"]);
    assert!(!at.join("data/spk2gender").exists());
    assert!(
        told.contains("speakers without a gender, so that there is no spk2gender (1): f01\n"),
        "{told}"
    );
    fs::remove_dir_all(at.join("data")).unwrap();
    made(at, &["--layout", "commonvoice", "--speakers", "unknown"]);
    assert_eq!(read(at, "utt2spk"), "b b\nc c\n");
    for (content, args, expected) in [
        (
            "a,b\n1,2\n",
            &[][..],
            "t.csv: audio: expected a column path, file, ",
        ),
        (
            "path\n1\n",
            &[],
            "t.csv: speaker: expected a column speaker, ",
        ),
        (
            "path,speaker\n1,2,3\n",
            &[],
            "t.csv:2: expected 2 columns, as in the first line, found 3",
        ),
        (
            "path,speaker\n",
            &["--columns", "text=said"],
            "t.csv: text: expected a column 'said', found path, speaker",
        ),
        (
            "path,speaker\nx.wav,a\n",
            &[],
            "corpus: expected recordings that the table names, found 1 that cannot be used",
        ),
        (
            "path\n",
            &["--columns", "words=x"],
            "--columns: expected audio=NAME, speaker=NAME or text=NAME",
        ),
    ] {
        put(&at.join("t.csv"), content);
        let args = [&["data", "make", "corpus", "new", "--table", "t.csv"], args].concat();
        let error = fail(at, &args, b"");
        assert!(
            error.starts_with(&format!("unbraid: {expected}")),
            "{error}"
        );
        assert!(!at.join("new").exists());
    }
}

#[test]
fn layouts_of_corpora_are_known() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    librispeech(&at.join("corpus"));
    made(at, &["--layout", "librispeech"]);
    let ids = column(&at.join("data/utt2spk"), 0);
    assert_eq!((ids.len(), &ids[0][..]), (48, "10-77-0000"));
    assert!(read(at, "text").starts_with("10-77-0000 IT'S SAID 0\n"));
    assert_eq!(column(&at.join("data/spk2gender"), 1), ["f"; 6]);

    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    vctk(&at.join("corpus"));
    let told = made(at, &["--layout", "vctk"]);
    assert!(read(at, "text").starts_with("p225_001 Please call Stella.\n"));
    assert_eq!(column(&at.join("data/utt2spk"), 0).len(), 48);
    assert_eq!(
        read(at, "spk2gender"),
        "p225 f\np226 f\np227 m\np280 m\np315 m\ns5 m\n"
    );
    // The second microphones, and p315 without text.
    assert!(
        told.contains("audio files with other paths: 32\n"),
        "{told}"
    );
    assert!(
        told.contains("(8): p315_001, p315_002, p315_003, p315_004, p315_005 and 3 more"),
        "{told}"
    );

    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    for file in ["wav/id1/x-Y_z/00001", "wav/id1/b/00001", "wav/id2/a/00001"] {
        put(&at.join(format!("corpus/{file}.flac")), flac());
    }
    made(at, &["--layout", "voxceleb"]);
    assert_eq!(
        column(&at.join("data/utt2spk"), 0),
        ["id1-b-00001", "id1-x-Y_z-00001", "id2-a-00001"]
    );
}

#[test]
fn a_split_is_by_speaker_and_has_trials() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    for speaker in 0..10 {
        audio(
            at,
            &[&format!("s{speaker}/1.wav"), &format!("s{speaker}/2.wav")],
        );
    }
    let split = ["--split", "train=0.7,dev=0.1,test=0.2", "--seed", "4"];
    made(at, &split);
    assert_eq!(names(&at.join("data")), ["dev", "test", "train"]);
    let mut all = Vec::new();
    for (part, count) in [("train", 7), ("dev", 1), ("test", 2)] {
        succeed(
            at,
            &[
                "data",
                "validate",
                "--deep",
                "--no-feats",
                "--no-text",
                &format!("data/{part}"),
            ],
        );
        let speakers = column(&at.join(format!("data/{part}/spk2utt")), 0);
        assert_eq!(speakers.len(), count);
        all.extend(speakers);
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 10);
    let trials = read(at, "test/trials");
    assert_eq!(trials.matches(" target\n").count(), 2);
    assert_eq!(trials.matches(" nontarget\n").count(), 2);
    assert_eq!(
        names(&at.join("data/dev")),
        ["spk2utt", "utt2spk", "wav.scp"]
    );
    let said = succeed(
        at,
        &[
            "data",
            "trials",
            "--number",
            "all",
            "--out",
            "t",
            "data/train",
        ],
    );
    assert_eq!(said, b"t: 7 target and 84 nontarget trials\n");
    let one = succeed(
        at,
        &[
            "data",
            "trials",
            "data/train",
            "--number",
            "6",
            "--seed",
            "1",
        ],
    );
    assert_eq!(one, b"data/train/trials: 3 target and 3 nontarget trials\n");
    let drawn = read(at, "train/trials");
    succeed(
        at,
        &[
            "data",
            "trials",
            "data/train",
            "--number",
            "6",
            "--seed",
            "1",
        ],
    );
    assert_eq!(drawn, read(at, "train/trials"));
}

#[test]
fn invalid_input_is_refused_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    fs::create_dir(at.join("empty")).unwrap();
    audio(at, &["a/1.wav", "b/1.wav"]);
    put(&at.join("broken/a/1.wav"), "nothing");
    put(&at.join("used/file"), "x");
    let before = names(at);
    for (args, expected) in [
        (&["none", "new"][..], "none: No such file"),
        (
            &["empty", "new"],
            "empty: expected folders of speakers with recordings (or --pattern",
        ),
        (
            &["corpus/a", "new"],
            "corpus/a: expected folders of speakers with recordings",
        ),
        (
            &["broken", "new"],
            "broken: expected folders of speakers with recordings (or --pattern, --table, --speakers unknown), found 1 that cannot be used (first: broken/a/1.wav: expected WAV",
        ),
        (
            &["corpus", "used"],
            "used: expected a new or empty folder to make, found one in use",
        ),
        (
            &["corpus", "used/file"],
            "used/file: expected a new or empty folder",
        ),
        (
            &["corpus", "new", "--pattern", "{speaker"],
            "--pattern: expected a path with {NAME}",
        ),
        (
            &["corpus", "new", "--pattern", "{who}/*"],
            "--pattern: expected {speaker} in it",
        ),
        (
            &["corpus", "new", "--pattern", "{speaker}.wav"],
            "corpus: expected recordings with paths as the pattern has them, found 2 audio files",
        ),
        (
            &["corpus", "new", "--split", "a=0.2,b=0.2,c=0.6"],
            "--split: expected at most 2 parts, as many as there are speakers, found 3",
        ),
        (
            &["corpus", "new", "--columns", "text=x"],
            "--columns: expected --table beside it",
        ),
        (
            &["corpus", "new", "--layout", "vctk", "--table", "x"],
            "--table: expected no layout but commonvoice",
        ),
        (
            &["corpus", "new", "--layout", "commonvoice"],
            "corpus/validated.tsv: No such file",
        ),
    ] {
        let error = fail(at, &[&["data", "make"], args].concat(), b"");
        assert!(
            error.starts_with(&format!("unbraid: {expected}")),
            "{error}"
        );
        assert_eq!(names(at), before, "{error}");
    }
    for split in ["a=0.5", "a=x,b=1"] {
        let output = unbraid(at, &["data", "make", "corpus", "new", "--split", split]);
        assert_eq!(output.status.code(), Some(2));
    }
    let error = fail(at, &["data", "trials", "empty"], b"");
    assert!(
        error.starts_with("unbraid: empty/utt2spk: No such file"),
        "{error}"
    );
}
