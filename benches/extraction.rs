//! `unbraid extract` of phonetic codes on one core and on all, compared with the same network as a TorchScript module that Python
//! runs in batches of utterances of equal length. The start of unbraid is timed, that of Python is not.

#[path = "harness/mod.rs"]
mod harness;
#[path = "harness/speech.rs"]
mod speech;

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use harness::{Baseline, Report, here};

/// How often each bundled file is listed: one copy of all is 10 minutes of speech.
const COPIES: usize = 40;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = folder.path();
    let utterances = prepare(at);
    let feats = at.join("data/feats.scp");
    let (read, scp) = (
        format!("scp:{}", feats.display()),
        feats.display().to_string(),
    );
    let module = at.join("z.pt").display().to_string();
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    let mut report = Report::default();
    for (cores, target) in [(1, ">= 1.3"), (all, ">= 1.5")] {
        let count = cores.to_string();
        let args = ["module_to_ark", &scp, &module, &count];
        let baseline = Baseline::start(&args).map(Baseline::side);
        let ours = || {
            unbraid(
                at,
                cores,
                &[
                    "extract",
                    "--exp",
                    "exp",
                    "--output",
                    "phonetic",
                    &read,
                    "ark:z.ark",
                ],
            )
        };
        report.compare(
            &format!("unbraid extract, {utterances} utterances, cores: {cores}"),
            "TorchScript from Python, batches of equal length",
            target,
            here(ours),
            baseline,
        );
    }
    report.print();
}

/// Makes features of the bundled speech and an experiment with the networks of the mini recipe; returns the number of utterances.
fn prepare(at: &Path) -> usize {
    let data = at.join("data");
    fs::create_dir(&data).expect("a temporary folder");
    let (mut wavs, mut speakers, mut count) = (String::new(), String::new(), 0);
    for copy in 0..COPIES {
        for path in speech::bundled() {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let speaker = name.split('-').next().unwrap_or_default();
            wavs += &format!("{name}-{copy} {}\n", path.display());
            speakers += &format!("{name}-{copy} {speaker}\n");
            count += 1;
        }
    }
    fs::write(data.join("wav.scp"), wavs).expect("a temporary file");
    fs::write(data.join("utt2spk"), speakers).expect("a temporary file");
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes/mini/conf");
    let conf = |name: &str| recipe.join(name).display().to_string();
    let (train, front_end) = (conf("default.toml"), conf("fbank.toml"));
    unbraid(
        at,
        0,
        &[
            "feats",
            "fbank",
            "--conf",
            &front_end,
            "scp:data/wav.scp",
            &format!("ark,scp:{0}/feats.ark,{0}/feats.scp", data.display()),
        ],
    );
    let (front_end, settings) = (
        format!("data.front_end=\"{front_end}\""),
        [
            "--set=data.train=\"data\"",
            "--set=data.valid=\"data\"",
            "--set=data.labels=\"none\"",
            "--set=method.label_weight=0.0",
        ],
    );
    let run = [
        "train", "--conf", &train, "--exp", "exp", "--steps", "2", "--device", "cpu", "--set",
        &front_end,
    ];
    unbraid(at, 0, &[&run[..], &settings].concat());
    unbraid(
        at,
        0,
        &["export", "--exp", "exp", "--output", "phonetic", "z.pt"],
    );
    count
}

/// Runs unbraid on the first so many cores; 0: on all.
fn unbraid(at: &Path, cores: usize, args: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unbraid"));
    command.args(args).current_dir(at);
    // SAFETY: between fork and exec there is one system call, on a set of this frame.
    unsafe {
        command.pre_exec(move || {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            (0..cores).for_each(|core| libc::CPU_SET(core, &mut set));
            match cores > 0 && libc::sched_setaffinity(0, size_of_val(&set), &set) != 0 {
                true => Err(std::io::Error::last_os_error()),
                false => Ok(()),
            }
        })
    };
    let output = command.output().expect("unbraid starts");
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
