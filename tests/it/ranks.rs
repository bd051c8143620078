//! Training by several processes: what it computes, how it starts, and how it ends when one of them fails.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::corpus::Corpus;
use crate::support::training::{
    RESUME, Running, TRAIN, assert_same, gap_of_weights as gap, newest_step, outcome, workplace,
};
use crate::support::{fail, names, succeed, unbraid};

/// Without dropout, batch normalisation and losses that compare utterances. Adam would divide the gradients of biases before a
/// normalisation, which are rounding errors, by their size.
const CODES_AND_LABELS: &str = r#"
[method]
name = "disentangle"
reconstruction_weight = 0.0
speaker_weight = 0.0
label_weight = 1.0
label_head = { channels = 8, dropout = 0.0, batch_norm = false }
model.phonetic_encoder = { channels = 8, code_dim = 4 }
model.speaker_encoder = { channels = 8, embedding_dim = 8 }
model.decoder = { kind = "conv", channels = 8 }
optimiser = { kind = "sgd", lr = 0.05 }

[[method.adversaries]]
update = "alternating"
inner_steps = 2
lambda = { weight = 0.3 }
classifier = { channels = 8, dropout = 0.0, batch_norm = false }
optimiser = { kind = "sgd", lr = 0.05 }
"#;
const AUTOENCODER_OF_SEGMENTS: &str = "
[method]
name = \"fhvae\"
";
fn conf_of(method: &str, batch: usize, (steps, seed): (u64, u64)) -> String {
    format!(
        "seed = {seed}\ndevice = \"cpu\"\n\n[data]\ntrain = \"train\"\nlabels = \"utterance_class\"\ncrop_frames = 20\n\
         sampler = {{ kind = \"utterances\", batch = {batch} }}\n\n[train]\nsteps = {steps}\nthreads = 1\n{method}"
    )
}

#[test]
fn ranks_and_passes_are_one_larger_batch() {
    let reversal = CODES_AND_LABELS.replace("alternating", "gradient_reversal");
    // Steps and seed. Once a rectifier is within rounding of its kink, weights part for good: over many steps only with seeds
    // where none is.
    for (name, method, is_random, run_of) in [
        ("in turns", CODES_AND_LABELS, false, (12, 8)),
        ("in turns", CODES_AND_LABELS, false, (4, 3)),
        ("in turns", CODES_AND_LABELS, false, (4, 4)),
        ("at once", &reversal, false, (12, 8)),
        ("at once", &reversal, false, (4, 3)),
        ("fhvae", AUTOENCODER_OF_SEGMENTS, true, (12, 3)),
    ] {
        // 16 utterances: every second batch is a short one.
        let dir = workplace(&[]);
        let folder = dir.path();
        let run = |exp: &str, batch: usize, more: &[&str]| {
            fs::write(folder.join("conf.toml"), conf_of(method, batch, run_of)).unwrap();
            succeed(folder, &[&TRAIN[..4], &[exp], more].concat());
        };
        run("ranks", 6, &["--ranks", "2"]);
        run("passes", 6, &["--set", "train.accumulate=2"]);
        // Two terms have one sum, and the same random numbers.
        assert_eq!(gap(folder, ["ranks", "passes"]), 0.0, "{name}");
        if is_random {
            continue;
        }
        run("whole", 12, &[]);
        run("short", 6, &[]);
        run("both", 3, &["--ranks", "2", "--set", "train.accumulate=2"]);
        for other in ["ranks", "both"] {
            let gap = gap(folder, ["whole", other]);
            assert!(gap < 1e-5, "{name}, {other}: {gap}");
        }
        assert!(gap(folder, ["whole", "short"]) > 1e-3, "{name}");
    }
}

/// All networks, with dropout, windows, moving averages and an adversary in turn, and speakers for four ranks.
fn for_ranks(changes: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = workplace(changes);
    let corpus = Corpus {
        speakers: 8,
        ..Corpus::default()
    };
    corpus.write(&dir.path().join("train"));
    dir
}

const RANKS: [&str; 2] = ["--ranks", "2"];

#[test]
fn two_ranks_are_reproducible_and_resume_bit_for_bit() {
    let dir = for_ranks(&[]);
    let exp = dir.path().join("exp");
    let train = [&TRAIN[..], &RANKS].concat();
    let resume = [&RESUME[..], &RANKS].concat();
    succeed(dir.path(), &train);
    let expected = outcome(&exp);
    fs::rename(&exp, dir.path().join("whole")).unwrap();
    succeed(dir.path(), &train);
    assert_same(&outcome(&exp), &expected);
    fs::remove_dir_all(&exp).unwrap();

    for (least, later) in [(7, 0), (14, 30), (28, 5)] {
        let reached = || newest_step(&exp).is_some_and(|step| step >= least);
        let run = Running::start(dir.path(), &resume);
        run.stop(libc::SIGKILL, Duration::from_millis(later), reached);
    }
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let begun = newest_step(&exp).unwrap();
        let reached = || newest_step(&exp).is_some_and(|step| step > begun);
        let run = Running::start(dir.path(), &resume);
        let status = run.stop(signal, Duration::ZERO, reached);
        assert_eq!(status.code(), Some(128 + signal));
    }
    succeed(dir.path(), &resume);
    assert_same(&outcome(&exp), &expected);
    let left = names(&exp);
    assert!(left.iter().all(|name| !name.starts_with('.')), "{left:?}");
}

#[test]
fn another_number_of_ranks_takes_a_run_up() {
    let dir = for_ranks(&[("steps = 60", "steps = 4")]);
    succeed(dir.path(), &[&TRAIN[..], &RANKS].concat());
    let run = |more: &[&str]| {
        let output = unbraid(dir.path(), &[&RESUME[..], more].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{error}");
        error
    };
    let same = "exp: 1 ranks with train.accumulate = 2, 2 with 1 before: the parts of a batch are the same, but weights \
                will not equal those of an uninterrupted run bit for bit";
    let told = run(&["--steps", "6", "--set", "train.accumulate=2"]);
    assert!(told.contains(same), "{told}");
    let anew = "exp: 4 ranks with train.accumulate = 1, 1 with 2 before: the order of batches and the random numbers begin \
                anew";
    let told = run(&["--steps", "8", "--ranks", "4"]);
    assert!(told.contains(anew), "{told}");
    let told = run(&["--steps", "9", "--ranks", "4"]);
    assert!(!told.contains("ranks with"), "{told}");
    assert_eq!(newest_step(&dir.path().join("exp")), Some(9));
}

/// One of several processes.
struct Rank(Child);

impl Rank {
    fn start(folder: &Path, environment: &[(&str, String)], args: &[&str]) -> Self {
        let variables = environment.iter().map(|(name, value)| (name, value));
        let child = Command::new(env!("CARGO_BIN_EXE_unbraid"))
            .env("OMP_NUM_THREADS", "1")
            .envs(variables)
            .args(args)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        Self(child.unwrap())
    }

    /// As torchrun starts it, but for its store.
    fn of_torchrun(folder: &Path, (rank, size): (usize, usize), port: u16, args: &[&str]) -> Self {
        let environment = [
            ("RANK", rank.to_string()),
            ("WORLD_SIZE", size.to_string()),
            ("LOCAL_RANK", rank.to_string()),
            ("LOCAL_WORLD_SIZE", size.to_string()),
            ("MASTER_ADDR", "127.0.0.1".into()),
            ("MASTER_PORT", port.to_string()),
        ];
        Self::start(folder, &environment, args)
    }

    fn signal(&self, signal: i32) {
        // SAFETY: the child is not yet waited for, so the number is its own.
        unsafe { libc::kill(self.0.id() as libc::pid_t, signal) };
    }

    /// Its exit code, none after a signal, and its messages.
    fn end(mut self) -> (Option<i32>, String) {
        let mut error = String::new();
        let mut stderr = self.0.stderr.take().unwrap();
        stderr.read_to_string(&mut error).unwrap();
        (self.0.wait().unwrap().code(), error)
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Waits for a checkpoint.
fn wait_for_checkpoint(exp: &Path) {
    let began = Instant::now();
    while newest_step(exp).is_none() {
        assert!(began.elapsed() < Duration::from_secs(120), "no checkpoint");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The ranks that are not killed end with code 1 and this line, and the experiment can be resumed.
fn assert_end(ranks: Vec<Rank>, line: &str, within: Duration) {
    let began = Instant::now();
    for rank in ranks {
        let (code, error) = rank.end();
        assert_eq!(code, Some(1), "{error}");
        let last = error.lines().last().unwrap_or_default();
        assert!(last.contains(line), "{error}");
        let lines = error.lines().filter(|line| line.starts_with("unbraid: "));
        assert_eq!(lines.count(), 1, "{error}");
    }
    assert!(began.elapsed() < within, "{:?}", began.elapsed());
}

const ENDLESS: (&str, &str) = ("steps = 60", "steps = 100000");

fn two(folder: &Path, port: u16, args: &[&str]) -> [Rank; 2] {
    [0, 1].map(|rank| Rank::of_torchrun(folder, (rank, 2), port, args))
}

#[test]
fn launchers_start_ranks() {
    let dir = for_ranks(&[("steps = 60", "steps = 6")]);
    let expected = [&TRAIN[..4], &["expected", "--ranks", "2"]].concat();
    succeed(dir.path(), &expected);
    let ended = |ranks: [Rank; 2], exp: &str| {
        for rank in ranks {
            let (code, error) = rank.end();
            assert_eq!(code, Some(0), "{error}");
        }
        assert_eq!(gap(dir.path(), ["expected", exp]), 0.0);
    };
    let train = |exp| [&TRAIN[..4], &[exp]].concat();
    ended(two(dir.path(), free_port(), &train("torchrun")), "torchrun");
    let port = free_port();
    let srun = [0, 1].map(|rank: usize| {
        let environment = [
            ("SLURM_JOB_ID", "5".to_string()),
            ("SLURM_STEP_ID", "0".into()),
            ("SLURM_PROCID", rank.to_string()),
            ("SLURM_LOCALID", rank.to_string()),
            ("SLURM_NODEID", "0".into()),
            ("SLURM_STEP_NUM_TASKS", "2".into()),
            ("SLURM_STEP_TASKS_PER_NODE", "2".into()),
            ("SLURM_STEP_NODELIST", "localhost".into()),
            ("MASTER_PORT", port.to_string()),
        ];
        Rank::start(dir.path(), &environment, &train("srun"))
    });
    ended(srun, "srun");
}

#[test]
fn a_dead_rank_ends_the_others() {
    for dead in [0, 1] {
        let dir = for_ranks(&[ENDLESS]);
        let mut ranks = Vec::from(two(dir.path(), free_port(), &TRAIN));
        wait_for_checkpoint(&dir.path().join("exp"));
        let killed = ranks.remove(dead);
        killed.signal(libc::SIGKILL);
        assert_eq!(killed.end().0, None);
        let line = [
            "rank 0: expected an answer of its store at 127.0.0.1:",
            "rank 1: gone without a word, after step ",
        ];
        assert_end(ranks, line[dead], Duration::from_secs(60));
        assert_resumes(dir.path(), &[&RESUME[..], &RANKS].concat());
    }
}

/// A run that ended by a failure goes on from its last checkpoint.
fn assert_resumes(folder: &Path, resume: &[&str]) {
    let exp = folder.join("exp");
    let before = newest_step(&exp).unwrap();
    let reached = || newest_step(&exp).is_some_and(|step| step > before);
    let status = Running::start(folder, resume).stop(libc::SIGTERM, Duration::ZERO, reached);
    assert_eq!(status.code(), Some(143));
}

#[test]
fn a_dead_process_of_ranks_ends_the_run() {
    let dir = for_ranks(&[ENDLESS]);
    let train = [&TRAIN[..], &["--ranks", "3"]].concat();
    let first = Rank::start(dir.path(), &[], &train);
    wait_for_checkpoint(&dir.path().join("exp"));
    let children = children_of(first.0.id());
    assert_eq!(children.len(), 2);
    // SAFETY: the child of a process that runs.
    unsafe { libc::kill(children[1] as libc::pid_t, libc::SIGKILL) };
    let (code, error) = first.end();
    assert_eq!(code, Some(1), "{error}");
    assert!(
        error.contains("unbraid: rank 2: ended with signal: 9"),
        "{error}"
    );
    assert!(children.iter().all(|&child| !runs(child)), "{children:?}");
    assert_resumes(dir.path(), &[&RESUME[..], &["--ranks", "3"]].concat());
}

#[test]
fn a_killed_first_process_takes_the_others_along() {
    let dir = for_ranks(&[ENDLESS]);
    let first = Rank::start(dir.path(), &[], &[&TRAIN[..], &RANKS].concat());
    wait_for_checkpoint(&dir.path().join("exp"));
    let children = children_of(first.0.id());
    first.signal(libc::SIGKILL);
    let began = Instant::now();
    while children.iter().any(|&child| runs(child)) {
        assert!(began.elapsed() < Duration::from_secs(10), "{children:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    first.end();
}

/// The processes that a process has started, in order.
fn children_of(process: u32) -> Vec<u32> {
    let path = format!("/proc/{process}/task/{process}/children");
    let text = fs::read_to_string(path).unwrap();
    text.split_whitespace()
        .map(|id| id.parse().unwrap())
        .collect()
}

/// Whether a process runs; one that has ended and is not waited for does not.
fn runs(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}

#[test]
fn a_rank_that_hangs_ends_the_others() {
    for stopped in [0, 1] {
        let dir = for_ranks(&[ENDLESS]);
        let args = [&TRAIN[..], &["--rank-timeout", "5"]].concat();
        let mut ranks = Vec::from(two(dir.path(), free_port(), &args));
        wait_for_checkpoint(&dir.path().join("exp"));
        let hangs = ranks.remove(stopped);
        hangs.signal(libc::SIGSTOP);
        let line = [
            "rank 0: expected an answer of its store at",
            "rank 1: no sign of life for 5 s, after step ",
        ];
        assert_end(ranks, line[stopped], Duration::from_secs(60));
        // And it learns of it.
        hangs.signal(libc::SIGCONT);
        let (code, error) = hangs.end();
        assert_eq!(code, Some(1), "{error}");
        assert!(error.contains("unbraid: rank "), "{error}");
        assert!(newest_step(&dir.path().join("exp")).is_some());
    }
}

#[test]
fn ranks_that_differ_are_refused() {
    let dir = for_ranks(&[("steps = 60", "steps = 6")]);
    let other = Corpus {
        speakers: 8,
        seed: 9,
        ..Corpus::default()
    };
    let refused = |first: &[&str], second: &[&str], line: &str| {
        let port = free_port();
        let ranks = [(0, first), (1, second)].map(|(rank, more)| {
            let args = [&TRAIN[..], more].concat();
            Rank::of_torchrun(dir.path(), (rank, 2), port, &args)
        });
        assert_end(ranks.into(), line, Duration::from_secs(60));
        assert_eq!(newest_step(&dir.path().join("exp")), None);
    };
    refused(
        &[],
        &["--steps", "7"],
        "unbraid: rank 1: train.steps: expected 6 as on rank 0, found 7",
    );
    let elsewhere = dir.path().join("elsewhere");
    other.write(&elsewhere.join("train"));
    fs::copy(dir.path().join("conf.toml"), elsewhere.join("conf.toml")).unwrap();
    let valid = Corpus {
        utterances: 2,
        ..other
    };
    valid.write(&elsewhere.join("valid"));
    let port = free_port();
    let ranks = [(0, dir.path()), (1, &elsewhere)]
        .map(|(rank, folder)| Rank::of_torchrun(folder, (rank, 2), port, &TRAIN));
    let line = "unbraid: rank 1: inventory and normalisation: expected those of checksum ";
    assert_end(ranks.into(), line, Duration::from_secs(60));
    refused(
        &[],
        &["--init", "none"],
        "unbraid: rank 1: --init: expected one of ",
    );
    refused(
        &["--set", "data.train=\"none\""],
        &["--set", "data.train=\"none\""],
        ": none/",
    );
}

#[test]
fn ranks_that_do_not_meet_end() {
    let dir = for_ranks(&[("steps = 60", "steps = 6")]);
    let args = [&TRAIN[..], &["--rank-timeout", "3"]].concat();
    let alone = |rank: usize, port: u16, line: &str| {
        let rank = Rank::of_torchrun(dir.path(), (rank, 2), port, &args);
        assert_end(vec![rank], line, Duration::from_secs(40));
    };
    // Nobody is at the port; the other one never comes; another program is at the port.
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    alone(
        1,
        port,
        &format!("unbraid: rank 0: expected its store at {address} within 3 s, found none ("),
    );
    alone(
        0,
        port,
        "unbraid: rank 1: expected it within 3 s, found none",
    );
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let line = format!(
        "unbraid: rank 0: expected a free port at 127.0.0.1:{port} (MASTER_PORT), found one in use by another process"
    );
    alone(0, port, &line);
    let line = format!(
        "unbraid: rank 0: expected its store at 127.0.0.1:{port} within 3 s, found none (no answer)"
    );
    alone(1, port, &line);
    assert_eq!(newest_step(&dir.path().join("exp")), None);
}

#[test]
fn what_cannot_be_divided_is_refused() {
    let dir = workplace(&[]);
    let refuse = |args: &[&str], line: &str| {
        let error = fail(dir.path(), &[&TRAIN[..], args].concat(), b"");
        assert!(error.contains(line), "{error}");
    };
    refuse(
        &["--ranks", "4"],
        "data.sampler.speakers: expected 1 to 1, the 4 speakers of train over 4 parts of a batch, found 2",
    );
    refuse(&["--ranks", "0"], "--ranks: expected 1 to 256, found 0");
    refuse(
        &["--rank-timeout", "nan"],
        "--rank-timeout: expected 1 to 2678400, found NaN",
    );
    refuse(
        &["--set", "train.accumulate=0"],
        "train.accumulate: expected 1 to 1024, found 0",
    );
    refuse(
        &[
            "--set",
            "train.accumulate=2",
            "--set",
            "method.adversary_start_below_label_loss=1.0",
            "--set",
            "data.sampler={kind=\"utterances\",batch=4}",
        ],
        "train.accumulate: expected 1 with this method, whose modules are updated in turn on one batch, found 2",
    );
}
