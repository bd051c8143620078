//! `recipes/jobs.sh`: arrays of jobs here and by a real Slurm, and recipes that run through it.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::training::{TRAIN, workplace};
use crate::support::{names, put, root, succeed};
use crate::sweep::Recipes;

fn jobs(at: &Path, args: &[&str]) -> Output {
    let script = root().join("recipes/jobs.sh");
    let mut command = Command::new(script);
    command.args(args).current_dir(at).stdin(Stdio::null());
    command.output().unwrap()
}

/// What a job prints: its number and an argument that a shell would take apart.
const SAY: [&str; 5] = ["sh", "-c", "echo job $1; [ $2 != 3 ]", "x", "'JOB' $HOME"];

/// An array of four, of which the third fails, in any form.
fn one_of_four_fails(at: &Path, form: &[&str]) {
    let args = [form, &["JOB=1:4", "log/a.JOB.log"], &SAY, &["JOB"]].concat();
    let output = jobs(at, &args);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.starts_with("jobs.sh: 1 of 4 jobs failed (3); the end of log/a.3.log:\n"),
        "{told}"
    );
    assert!(told.contains("\n  # Ended (code 1) at "), "{told}");
    for job in 1..=4 {
        let log = fs::read_to_string(at.join(format!("log/a.{job}.log"))).unwrap();
        assert!(
            log.contains(&format!("\njob '{job}' $HOME\n# Ended (code ")),
            "{log}"
        );
        assert!(log.starts_with("# sh -c "), "{log}");
    }
    assert_eq!(names(&at.join("log")).len(), 4);
    let args = [
        form,
        &["JOB=2:3", "log/b.JOB.log", "sh", "-c", "echo JOB > JOB.txt"],
    ]
    .concat();
    assert!(jobs(at, &args).status.success());
    assert_eq!(fs::read_to_string(at.join("3.txt")).unwrap(), "3\n");
    assert!(!at.join("1.txt").exists());
}

#[test]
fn arrays_of_jobs_run_here() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    one_of_four_fails(at, &["here", "--mem", "2G", "--max-jobs-run", "3"]);
    let quiet = jobs(
        at,
        &["here", "JOB=1:1", "log/q.JOB.log", "printf", "no newline"],
    );
    assert!(quiet.status.success());
    let alone = jobs(at, &["here", "log/c.log", "echo", "JOB"]);
    assert_eq!(alone.stdout, b"JOB\n");
    for (args, message) in [
        (
            &["there", "log", "x"][..],
            "there: expected here, slurm or parallel",
        ),
        (
            &["here", "--time", "3", "log", "x"],
            "--time: expected an option of jobs.sh",
        ),
        (
            &["here", "--gpu", "two", "log", "x"],
            "--gpu: expected a number, found 'two'",
        ),
        (
            &["here", "--max-jobs-run", "0", "log", "x"],
            "--max-jobs-run: expected a number from 1, found '0'",
        ),
        (
            &["here", "--num-threads", "08", "log", "x"],
            "--num-threads: expected a number from 1, found '08'",
        ),
        (
            &["here", "--mem", "banana", "log", "x"],
            "--mem: expected a size as 4G, found 'banana'",
        ),
        (
            &["here", "JOB=3:1", "log.JOB", "x"],
            "expected a first job before the last",
        ),
        (
            &["here", "JOB=4", "log.JOB", "x"],
            "expected JOB=FIRST:LAST",
        ),
        (
            &["here", "JOB=1:2", "log", "x"],
            "log: expected JOB in the log's name",
        ),
        (&["here", "log"], "expected LOG COMMAND"),
    ] {
        let output = jobs(at, args);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(
            told.starts_with("jobs.sh: ") && told.contains(message),
            "{told}"
        );
    }
}

#[test]
fn a_signal_reaches_the_commands() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let script =
        "trap 'echo told > JOB.end; exit 3' TERM; touch JOB.begun; while :; do sleep 0.1; done";
    let mut child = Command::new(root().join("recipes/jobs.sh"))
        .args([
            "here",
            "--max-jobs-run",
            "2",
            "JOB=1:2",
            "log/a.JOB.log",
            "bash",
            "-c",
            script,
        ])
        .current_dir(at)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while !(at.join("1.begun").exists() && at.join("2.begun").exists()) {
        assert!(began.elapsed() < Duration::from_secs(60), "no progress");
        std::thread::sleep(Duration::from_millis(10));
    }
    // SAFETY: the child is not yet waited for, so the number is its own.
    unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGTERM) };
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(at.join("1.end").exists() && at.join("2.end").exists());
}

/// Keys and numbers, these up to the rounding of other batches.
fn are_equal(found: &[String], expected: &[String]) -> bool {
    let equal = |a: &str, b: &str| match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => (a - b).abs() < 1e-4,
        _ => a == b,
    };
    found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| equal(a, b))
}

#[test]
fn a_recipe_extracts_by_jobs_what_it_extracts_alone() {
    let recipes = Recipes::new();
    let tiny = ["--confs", "alone", "--quick", "true"];
    let run = |cmd: &str, stages: &[&str]| {
        let mut command = recipes.command("tiny/run.sh", &[&tiny[..], stages].concat());
        let output = command.env("cmd", cmd).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        (output.status.success(), told)
    };
    let (done, told) = run("here", &["--stop-stage", "3"]);
    assert!(done, "{told}");
    let exp = recipes.dir.path().join("recipes/tiny/exp/quick/alone_0");
    let codes = || -> Vec<String> {
        let list = exp.join("phonetic_train.scp").display().to_string();
        let args = ["feats", "copy", &format!("scp:{list}"), "ark,t:-"];
        let text = succeed(&recipes.dir.path().join("recipes/tiny"), &args);
        let text = String::from_utf8(text).unwrap();
        text.split_whitespace().map(str::to_string).collect()
    };
    let whole = codes();
    // A launcher of one's own, as Kaldi's scripts are: here it counts what it runs.
    let launcher = recipes.dir.path().join("launch.sh");
    let log = recipes.dir.path().join("launched");
    put(
        &launcher,
        format!(
            "#!/bin/sh\necho \"$@\" >> {}\nexec {} here \"$@\"\n",
            log.display(),
            recipes.dir.path().join("recipes/jobs.sh").display()
        ),
    );
    let executable = Command::new("chmod").arg("+x").arg(&launcher).status();
    assert!(executable.unwrap().success());
    let stages = ["--stage", "3", "--stop-stage", "3", "--nj", "3"];
    let (done, told) = run(&launcher.display().to_string(), &stages);
    assert!(done, "{told}");
    assert!(fs::read_to_string(&log).unwrap().starts_with("JOB=1:3 "));
    assert!(are_equal(&codes(), &whole));
    // Of an array that was stopped, only what is missing runs again.
    let part = |job: usize| exp.join(format!("phonetic_train.{job}.scp"));
    let written = |job: usize| fs::metadata(part(job)).unwrap().modified().unwrap();
    let before = written(1);
    fs::remove_file(part(2)).unwrap();
    fs::remove_file(exp.join("phonetic_train.scp")).unwrap();
    let (done, told) = run(&launcher.display().to_string(), &stages);
    assert!(done, "{told}");
    assert_eq!(written(1), before);
    assert!(are_equal(&codes(), &whole));
    let (done, told) = run("srun --gres=gpu:1", &stages);
    assert!(
        !done && told.contains("cmd: expected here, slurm, parallel or a script"),
        "{told}"
    );
}

/// Slurm's daemons on this machine, ended when dropped.
struct Slurm {
    dir: tempfile::TempDir,
    path: String,
}

impl Slurm {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap());
        let slurm = Self { dir, path };
        let port = || TcpListener::bind("127.0.0.1:0").unwrap();
        let ports = [port(), port()].map(|port| port.local_addr().unwrap().port().to_string());
        let start = SLURM_START
            .replace("PORT1", &ports[0])
            .replace("PORT2", &ports[1]);
        slurm.shell(&start);
        let began = Instant::now();
        while !slurm.shell("sinfo --noheader --format %t").contains("idle") {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "{}",
                slurm.shell("tail -n 5 log/*")
            );
            std::thread::sleep(Duration::from_millis(200));
        }
        slurm
    }

    fn command(&self, program: impl Into<PathBuf>) -> Command {
        let mut command = Command::new(program.into());
        let conf = self.dir.path().join("slurm.conf");
        command.env("SLURM_CONF", conf).env("PATH", &self.path);
        command.current_dir(self.dir.path());
        command
    }

    fn shell(&self, script: &str) -> String {
        let output = self.command("sh").args(["-c", script]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        self.shell("kill $(cat run/slurmd.pid run/slurmctld.pid run/munged.pid)");
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Starts munge and a cluster of this machine alone in the working folder.
const SLURM_START: &str = r"
mkdir -p run state spool log && chmod 755 . run log
head -c 1024 /dev/urandom > munge.key && chmod 400 munge.key
munged --key-file=$PWD/munge.key --socket=$PWD/run/munge.sock --pid-file=$PWD/run/munged.pid \
  --log-file=$PWD/log/munged.log --seed-file=$PWD/run/munged.seed --force
cat > slurm.conf <<END
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$PWD/run/munge.sock
CredType=cred/munge
SlurmctldPort=PORT1
SlurmdPort=PORT2
StateSaveLocation=$PWD/state
SlurmdSpoolDir=$PWD/spool
SlurmctldPidFile=$PWD/run/slurmctld.pid
SlurmdPidFile=$PWD/run/slurmd.pid
SlurmctldLogFile=$PWD/log/slurmctld.log
SlurmdLogFile=$PWD/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=100
ReturnToService=2
NodeName=localhost NodeHostname=$(hostname) NodeAddr=127.0.0.1 CPUs=2 RealMemory=2000 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
END
slurmctld -f $PWD/slurm.conf -c && slurmd -f $PWD/slurm.conf -N localhost
";

#[test]
#[ignore = "needs Slurm"]
fn with_slurm_arrays_run_and_ranks_train_together() {
    let slurm = Slurm::start();
    let at = slurm.dir.path().join("work");
    fs::create_dir(&at).unwrap();
    let script = root().join("recipes/jobs.sh");
    let jobs = |args: &[&str]| {
        let mut command = slurm.command(&script);
        command.args(args).current_dir(&at).output().unwrap()
    };
    let failing = [
        "JOB=1:3",
        "log/a.JOB.log",
        "sh",
        "-c",
        "echo $SLURM_ARRAY_TASK_ID; [ JOB != 2 ]",
    ];
    let output = jobs(
        &[
            &["slurm", "--mem", "100M", "--max-jobs-run", "2"][..],
            &failing,
        ]
        .concat(),
    );
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.starts_with("jobs.sh: 1 of 3 jobs failed (2); the end of log/a.2.log:\n"),
        "{told}"
    );
    let log = fs::read_to_string(at.join("log/a.3.log")).unwrap();
    assert!(log.contains("\n3\n# Ended (code 0) at "), "{log}");
    let output = jobs(&["slurm", "log/one.log", "sh", "-c", "echo single"]);
    assert!(output.status.success());

    let trained = workplace(&[("steps = 60", "steps = 5")]);
    let mut srun = slurm.command("srun");
    srun.args([
        "--ntasks",
        "2",
        "--overcommit",
        env!("CARGO_BIN_EXE_unbraid"),
    ]);
    srun.args(TRAIN).env("OMP_NUM_THREADS", "1");
    let output = srun.current_dir(trained.path()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    fs::rename(trained.path().join("exp"), trained.path().join("slurm")).unwrap();
    let ranks = [&TRAIN[..], &["--ranks", "2"]].concat();
    succeed(trained.path(), &ranks);
    let weights =
        |exp: &str| fs::read(trained.path().join(exp).join("last/weights.safetensors")).unwrap();
    assert!(weights("slurm") == weights("exp"));
}
