//! Memory does not follow the size of the corpus: features are read as they are needed, and what stays is names
//! and a few numbers for every utterance.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use crate::support::corpus::Corpus;
use crate::support::training::{TRAIN, configure};

/// 16 kB of features an utterance.
const CORPUS: Corpus = Corpus {
    speakers: 4,
    utterances: 4,
    frames: 100,
    bins: 40,
    seed: 0,
};
/// Utterances of the small corpus, and of the large one, which lists the same archive under more keys.
const SIZES: [usize; 2] = [640, 6400];
/// What an utterance may cost: its keys, paths and texts in some tables, far from its features.
const BYTES: usize = 1500;

/// Writes `train` with `count` utterances, out of one archive of 16.
fn corpus(dir: &Path, count: usize) {
    let train = dir.join("train");
    CORPUS.write(&train);
    for file in ["utt2spk", "text", "feats.scp", "ali.scp"] {
        let text = fs::read_to_string(train.join(file)).unwrap();
        let copies = (0..count / 16).flat_map(|copy| {
            text.lines().map(move |line| {
                let (speaker, rest) = line.split_once('-').unwrap();
                format!("{speaker}-c{copy:04}-{rest}")
            })
        });
        let mut lines: Vec<String> = copies.collect();
        lines.sort();
        fs::write(train.join(file), lines.join("\n") + "\n").unwrap();
    }
    let no_validation = ("valid = \"valid\"\n", "");
    configure(dir, &[no_validation, ("steps = 60", "steps = 3")]);
}

/// Runs the binary to its end; its largest resident size in bytes.
#[expect(clippy::zombie_processes, reason = "wait4 waits for it")]
fn peak(dir: &Path, args: &[&str]) -> usize {
    let child = Command::new(env!("CARGO_BIN_EXE_unbraid"))
        .args(args)
        .env("OMP_NUM_THREADS", "1")
        .current_dir(dir)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut status = 0;
    // SAFETY: the child is ours and not waited for elsewhere; both results are plain numbers to be filled.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        let waited = libc::wait4(child.id() as libc::pid_t, &mut status, 0, &mut usage);
        assert_eq!(waited, child.id() as libc::pid_t);
        usage
    };
    assert!(ExitStatus::from_raw(status).success(), "{args:?}");
    usage.ru_maxrss as usize * 1024
}

#[test]
fn memory_does_not_follow_the_corpus() {
    let mut peaks = Vec::new();
    for count in SIZES {
        let dir = tempfile::tempdir().unwrap();
        corpus(dir.path(), count);
        let train = peak(dir.path(), &TRAIN);
        let extract = [
            "extract",
            "--exp",
            "exp",
            "--strand",
            "phonetic",
            "--device",
            "cpu",
            "scp:train/feats.scp",
            "ark,scp:z.ark,z.scp",
        ];
        peaks.push((train, peak(dir.path(), &extract)));
    }
    let more = SIZES[1] - SIZES[0];
    for (command, small, large) in [
        ("train", peaks[0].0, peaks[1].0),
        ("extract", peaks[0].1, peaks[1].1),
    ] {
        let growth = large.saturating_sub(small) / more;
        println!(
            "{command}: {small} bytes, with ten times the corpus {large}: {growth} an utterance"
        );
        assert!(growth < BYTES, "{command}: {growth} bytes an utterance");
    }
}
