//! What is written while something goes wrong: kills at every change of the file system, signals, readers that leave,
//! full disks, devices, links and two writers at once.

use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use ndarray::Array2;
use unbraid::io::kaldi::TableReader;

use crate::support::killed::killed_at;
use crate::support::training::{RESUME, Running, TRAIN, newest_step, workplace};
use crate::support::{fail, names, put, succeed, unbraid};

/// Two tables of the same size in another order: the places of one are places of the other, too.
fn tables(folder: &Path) {
    put(
        &folder.join("old"),
        "a [\n 1 1 ]\nb [\n 2 2 ]\nc [\n 3 3 ]\n",
    );
    put(
        &folder.join("new"),
        "b [\n 5 5 ]\na [\n 4 4 ]\nc [\n 6 6 ]\n",
    );
}

/// Runs `new` over what `old` left, killed at each of its changes in turn, and looks at what is there then.
fn killed_everywhere(folder: &Path, old: &[&str], new: &[&str], look: impl Fn(usize)) {
    for change in 0.. {
        succeed(folder, old);
        let killed = killed_at(folder, new, change);
        look(change);
        if !killed {
            assert!(change > 2, "{change} changes are too few to show anything");
            return;
        }
    }
}

#[test]
fn an_archive_and_its_list_are_never_of_two_runs() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    tables(folder);
    let list = format!("scp:{}", folder.join("x.scp").display());
    let whole = |table: &str| {
        let read = TableReader::<Array2<f32>>::open(table)?.collect::<unbraid::Result<Vec<_>>>()?;
        Ok::<_, unbraid::Error>(read)
    };
    let expected: Vec<_> = ["old", "new"]
        .iter()
        .map(|name| whole(&format!("ark:{}", folder.join(name).display())).unwrap())
        .collect();
    std::env::set_current_dir(folder).unwrap();
    let to = "ark,scp:x.ark,x.scp";
    killed_everywhere(
        folder,
        &["copy-feats", "ark:old", to],
        &["copy-feats", "ark:new", to],
        |change| {
            if let Ok(found) = whole(&list) {
                assert!(expected.contains(&found), "change {change}: a mixture");
            }
        },
    );
    assert_eq!(
        names(folder),
        ["new", "old", "x.ark", "x.scp"],
        "what a kill left is swept by the next"
    );
}

#[test]
fn an_array_and_its_index_are_never_of_two_runs() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    tables(folder);
    let read = || {
        (
            fs::read(folder.join("x.npy")),
            fs::read_to_string(folder.join("x.tsv")),
        )
    };
    let pair = |table: &str| {
        succeed(folder, &["copy-feats", table, "npy:x"]);
        let (array, index) = read();
        (array.unwrap(), index.unwrap())
    };
    let expected = [pair("ark:old"), pair("ark:new")];
    killed_everywhere(
        folder,
        &["copy-feats", "ark:old", "npy:x"],
        &["copy-feats", "ark:new", "npy:x"],
        |change| {
            if let (Ok(array), Ok(index)) = read() {
                assert!(
                    expected.contains(&(array, index)),
                    "change {change}: a mixture"
                );
            }
        },
    );
}

#[test]
fn a_subset_over_an_older_one_is_never_of_both() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    put(&folder.join("d/utt2spk"), "a-1 a\na-2 a\nb-1 b\n");
    put(
        &folder.join("d/wav.scp"),
        "a-1 1.wav\na-2 2.wav\nb-1 3.wav\n",
    );
    put(&folder.join("d/text"), "a-1 one\na-2 two\nb-1 three\n");
    let list = |name: &str, keys: &str| put(&folder.join(name), keys);
    list("first", "a-1\na-2\n");
    list("second", "b-1\n");
    let subset = |list| ["data", "subset", "d", "s", "--utt-list", list];
    killed_everywhere(folder, &subset("first"), &subset("second"), |change| {
        let keys = |name: &str| -> Option<Vec<String>> {
            let table = fs::read_to_string(folder.join("s").join(name)).ok()?;
            let key = |line: &str| line.split(' ').next().unwrap().to_string();
            Some(table.lines().map(key).collect())
        };
        let [utterances, text, wavs] = ["utt2spk", "text", "wav.scp"].map(keys);
        let there: Vec<_> = [&utterances, &text, &wavs].into_iter().flatten().collect();
        assert!(
            there.windows(2).all(|pair| pair[0] == pair[1]),
            "change {change}: a mixture"
        );
        assert!(
            utterances.is_none() || there.len() == 3,
            "change {change}: a part"
        );
    });
}

#[test]
fn decoded_features_are_never_with_the_tables_of_an_older_run() {
    let dir = workplace(&[("steps = 60", "steps = 2")]);
    let folder = dir.path();
    succeed(folder, &TRAIN);
    let swap = |voices| ["swap", "--device=cpu", "--exp=exp", voices, "valid", "s"];
    let (old, new) = (swap("--voices=1"), swap("--voices=2"));
    let keys = |table: &str| -> Option<Vec<String>> {
        let text = fs::read_to_string(folder.join("s").join(table)).ok()?;
        let key = |line: &str| line.split(' ').next().unwrap().to_string();
        Some(text.lines().map(key).collect())
    };
    killed_everywhere(folder, &old, &new, |change| {
        if let Some(utterances) = keys("utt2spk") {
            for table in ["feats.scp", "utt2src", "text"] {
                let mut found = keys(table).unwrap();
                found.sort();
                let mut expected = utterances.clone();
                expected.sort();
                assert_eq!(found, expected, "change {change}: a mixture with {table}");
            }
        }
    });
}

#[test]
fn a_signal_removes_what_is_unfinished() {
    let dir = tempfile::tempdir().unwrap();
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_unbraid"))
            .args(["copy-feats", "ark:-", "ark,scp:x.ark,x.scp"])
            .current_dir(dir.path())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        // Open to the end: waiting closes it otherwise, and the command may finish before the signal arrives.
        let stdin = child.stdin.take();
        while names(dir.path()).len() < 2 {
            assert!(child.try_wait().unwrap().is_none());
            std::thread::sleep(Duration::from_millis(1));
        }
        // SAFETY: the child is not waited for, so the number is its own.
        unsafe { libc::kill(child.id() as libc::pid_t, signal) };
        assert_eq!(child.wait().unwrap().signal(), Some(signal));
        drop(stdin);
        assert!(names(dir.path()).is_empty(), "{:?}", names(dir.path()));
    }
}

/// The writing end of a pipe that nobody reads.
fn left_by_its_reader() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    OwnedFd::from(writer).into()
}

#[test]
fn a_reader_that_leaves_ends_a_command_quietly() {
    let dir = tempfile::tempdir().unwrap();
    tables(dir.path());
    for args in [
        &["copy-feats", "ark:old", "ark:-"][..],
        &["copy-feats", "ark:old", "ark:/dev/stdout"],
        &["data", "--help"],
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_unbraid"))
            .args(args)
            .current_dir(dir.path())
            .stdout(left_by_its_reader())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut error = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut error)
            .unwrap();
        assert_eq!(
            (child.wait().unwrap().code(), error.as_str()),
            (Some(0), ""),
            "{args:?}"
        );
    }
}

#[test]
fn a_training_whose_messages_nobody_reads_goes_on() {
    let dir = workplace(&[("steps = 60", "steps = 12")]);
    let status = Command::new(env!("CARGO_BIN_EXE_unbraid"))
        .env("OMP_NUM_THREADS", "1")
        .args(TRAIN)
        .current_dir(dir.path())
        .stderr(left_by_its_reader())
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(newest_step(&dir.path().join("exp")), Some(12));
}

#[test]
fn a_second_training_in_one_folder_is_refused() {
    let dir = workplace(&[("steps = 60", "steps = 100000")]);
    let exp = dir.path().join("exp");
    let first = Running::start(dir.path(), &TRAIN);
    let pid = first.id();
    let refused = first.stop(libc::SIGKILL, Duration::ZERO, || {
        if newest_step(&exp).is_none() {
            return false;
        }
        let error = fail(dir.path(), &RESUME, b"");
        let expected = "exp: expected a place that nobody else writes to, found process ";
        assert!(error.contains(&format!("{expected}{pid} on ")), "{error}");
        true
    });
    assert_eq!(refused.signal(), Some(libc::SIGKILL));
    // A lock whose owner is dead blocks nobody.
    let second = Running::start(dir.path(), &RESUME);
    let begun = newest_step(&exp);
    let status = second.stop(libc::SIGTERM, Duration::ZERO, || newest_step(&exp) > begun);
    assert_eq!(status.code(), Some(143));
}

#[test]
fn devices_and_links_stay_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    tables(folder);
    put(&folder.join("disk/x.ark"), "");
    symlink("disk/x.ark", folder.join("x.ark")).unwrap();
    symlink("disk/y.scp", folder.join("x.scp")).unwrap();
    succeed(folder, &["copy-feats", "ark:old", "ark,scp:x.ark,x.scp"]);
    assert!(folder.join("x.ark").is_symlink() && folder.join("x.scp").is_symlink());
    assert_eq!(names(&folder.join("disk")), ["x.ark", "y.scp"]);
    succeed(folder, &["copy-feats", "scp:x.scp", "ark:/dev/null"]);
    assert!(
        fs::metadata("/dev/null")
            .unwrap()
            .file_type()
            .is_char_device()
    );

    put(&folder.join("vectors"), "a [ 1 0 ]\nb [ 0 1 ]\n");
    put(&folder.join("trials"), "a a target\na b nontarget\n");
    let score = |out| {
        [
            "score",
            "--trials",
            "trials",
            "--scores",
            out,
            "ark:vectors",
        ]
    };
    let output = unbraid(folder, &score("/dev/stdout"));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.starts_with("a a 1.000000\na b 0.000000\n"),
        "{output:?}"
    );
    let error = fail(folder, &score("/dev/full"), b"");
    let full = "unbraid: /dev/full: No space left on device";
    assert!(error.starts_with(full), "{error}");
    let kind = fs::metadata("/dev/full").unwrap().file_type();
    assert!(kind.is_char_device());
    let error = fail(folder, &score("disk"), b"");
    assert!(
        error.starts_with("unbraid: disk: is a directory"),
        "{error}"
    );
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let path = "a\n\u{1b}[2J";
    let train = ["train", "--conf", path, "--exp", "x"];
    let error = fail(dir.path(), &train, b"");
    assert!(error.starts_with(r"unbraid: a\n\u{1b}[2J: "), "{error}");
}

#[test]
fn what_is_read_is_not_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    tables(folder);
    succeed(folder, &["copy-feats", "ark:old", "ark,scp:x.ark,x.scp"]);
    symlink("x.ark", folder.join("link")).unwrap();
    put(&folder.join("vectors"), "a [ 1 0 ]\nb [ 0 1 ]\n");
    put(&folder.join("trials"), "a a target\na b nontarget\n");
    for (args, output) in [
        ("copy-feats ark:x.ark ark:x.ark", "x.ark"),
        ("copy-feats ark:x.ark npy:x", ""),
        ("copy-feats scp:x.scp ark:x.ark", "x.ark"),
        ("copy-feats scp:x.scp ark:link", "link"),
        ("copy-feats scp:x.scp ark,scp:y.ark,x.scp", "x.scp"),
        (
            "score --trials trials --scores trials ark:vectors",
            "trials",
        ),
        (
            "score --trials trials --scores vectors ark:vectors",
            "vectors",
        ),
    ] {
        let before = names(folder);
        let content = |name| fs::read(folder.join(name)).unwrap();
        let inputs = ["x.ark", "x.scp", "trials", "vectors"];
        let old = inputs.map(content);
        let args: Vec<&str> = args.split(' ').collect();
        if output.is_empty() {
            succeed(folder, &args);
            continue;
        }
        let error = fail(folder, &args, b"");
        let message =
            "expected another place to write to than what is read, found a file that is read";
        assert_eq!(error, format!("unbraid: {output}: {message}"));
        assert_eq!(inputs.map(content), old, "{args:?}");
        assert_eq!(names(folder), before, "{args:?}");
    }
}
