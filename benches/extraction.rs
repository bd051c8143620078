//! `unbraid extract` of phonetic codes, in batches on all cores, compared with the same network as a TorchScript module:
//! from Python and by `unbraid extract --module`, one utterance at a time. The start of unbraid is timed, that of Python
//! is not.

#[path = "harness/mod.rs"]
mod harness;
#[path = "harness/speech.rs"]
mod speech;

use std::fs;
use std::path::Path;
use std::process::Command;

use harness::{Baseline, Report, Side, here};

/// How often each bundled file is listed: one copy of all is 10 minutes of speech.
const COPIES: usize = 6;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = folder.path();
    let utterances = prepare(at);
    let feats = at.join("data/feats.scp");
    let read = format!("scp:{}", feats.display());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let module = at.join("z.pt").display().to_string();
    let args = [
        "module_to_ark",
        &feats.display().to_string(),
        &module,
        &cores.to_string(),
    ];
    let baseline = Baseline::start(&args).map(Baseline::side);
    let mut report = Report::default();
    let batched = &["--exp", "exp", "--output", "phonetic"];
    let task = format!("unbraid extract, {utterances} utterances, {cores} cores");
    report.compare(
        &task,
        "TorchScript from Python, one by one",
        "",
        extract(at, &read, batched),
        baseline,
    );
    let one_by_one = Some(extract(at, &read, &["--module", "z.pt"]));
    report.compare(
        &task,
        "unbraid extract --module, one by one",
        "",
        extract(at, &read, batched),
        one_by_one,
    );
    report.print();
}

/// Extracts the codes of all utterances with the options `how`.
fn extract<'a>(at: &'a Path, read: &'a str, how: &'a [&'a str]) -> Side<'a> {
    here(move || unbraid(at, &[&["extract"], how, &[read, "ark:z.ark"]].concat()))
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
    unbraid(at, &[&run[..], &settings].concat());
    unbraid(
        at,
        &["export", "--exp", "exp", "--output", "phonetic", "z.pt"],
    );
    count
}

fn unbraid(at: &Path, args: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_unbraid"))
        .args(args)
        .current_dir(at)
        .output();
    let output = output.expect("unbraid starts");
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
