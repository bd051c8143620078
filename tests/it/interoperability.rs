//! The scripts of `examples/python` that take our files to other toolkits.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ndarray::{Array1, Array2};
use unbraid::io::kaldi::{KaldiObject, TableReader};

use crate::support::{put, references, root, succeed};

const SPEAKERS: [&str; 4] = ["f51", "f52", "m51", "m52"];

/// Bundled recordings of [`SPEAKERS`], with codes, embeddings and alignments in Kaldi archives.
fn workplace(per_speaker: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let bundle = root().join("data/mini");
    let utt2spk = fs::read_to_string(bundle.join("test/utt2spk")).unwrap();
    let text = fs::read_to_string(bundle.join("test/text")).unwrap();
    let mut kept = Vec::new();
    for speaker in SPEAKERS {
        let of_speaker = (utt2spk.lines()).filter(|line| line.ends_with(&format!(" {speaker}")));
        kept.extend(
            of_speaker
                .take(per_speaker)
                .map(|line| line.split(' ').next().unwrap()),
        );
    }
    let of_kept = |text: &str| -> String {
        let lines = text
            .lines()
            .filter(|line| kept.contains(&line.split(' ').next().unwrap()));
        lines.map(|line| format!("{line}\n")).collect()
    };
    let wav_scp: String = (kept.iter())
        .map(|key| {
            format!(
                "{key} {}\n",
                bundle.join(format!("audio/{key}.flac")).display()
            )
        })
        .collect();
    put(&at.join("data/wav.scp"), wav_scp);
    put(&at.join("data/utt2spk"), of_kept(&utt2spk));
    put(&at.join("data/text"), of_kept(&text));
    for output in ["phonetic", "speaker"] {
        let extract = [
            "extract",
            "--device=cpu",
            "--model=en-16k",
            "--output",
            output,
        ];
        let target = format!("ark,scp:{output}.ark,{output}.scp");
        succeed(
            at,
            &[&extract[..], &["--wav", "scp:data/wav.scp", &target]].concat(),
        );
    }
    dir
}

fn table<T: KaldiObject>(dir: &Path, name: &str) -> BTreeMap<String, T> {
    let specifier = format!("ark:{}", dir.join(name).display());
    let entries = TableReader::open(&specifier).unwrap();
    entries.collect::<Result<_, _>>().unwrap()
}

fn example(python: PathBuf, dir: &Path, script: &str, args: &[&str]) -> Output {
    let mut command = Command::new(python);
    command
        .arg(root().join("examples/python").join(script))
        .args(args);
    command.current_dir(dir).output().unwrap()
}

/// What an example prints.
fn prints(dir: &Path, script: &str, args: &[&str]) -> String {
    let output = example(references::python(), dir, script, args);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_kaldiio_and_kaldi_native_io_read_codes_embeddings_and_alignments() {
    let dir = workplace(2);
    let at = dir.path();
    let to = "ark,scp:feats.ark,feats.scp";
    succeed(
        at,
        &[
            "feats",
            "fbank",
            "--set=snip_edges=false",
            "scp:data/wav.scp",
            to,
        ],
    );
    let bundle = root().join("data/mini");
    let [phones, times] =
        ["phones.txt", "test/phones.ctm"].map(|name| bundle.join(name).display().to_string());
    let alignment = [
        "data",
        "alignment",
        "--phones",
        &phones,
        &times,
        "feats.scp",
    ];
    succeed(at, &[&alignment[..], &["ark,scp:ali.ark,ali.scp"]].concat());
    let codes: BTreeMap<String, Array2<f32>> = table(at, "phonetic.ark");
    let embeddings: BTreeMap<String, Array1<f32>> = table(at, "speaker.ark");
    let alignments: BTreeMap<String, Vec<i32>> = table(at, "ali.ark");
    let mut counts: BTreeMap<i32, usize> = BTreeMap::new();
    let mut expected = String::new();
    for (key, codes) in &codes {
        let (rows, dim) = codes.dim();
        let length = embeddings[key].len();
        expected +=
            &format!("{key}: codes ({rows}, {dim}), embedding ({length},), 4 frames per code\n");
        for phone in alignments[key].iter().step_by(4) {
            *counts.entry(*phone).or_default() += 1;
        }
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(phone, count)| format!("{phone}: {count}"))
        .collect();
    expected += &format!("codes per phone: {{{}}}\n", counts.join(", "));
    for script in ["codes_kaldiio.py", "codes_kaldi_native_io.py"] {
        assert_eq!(
            prints(at, script, &["phonetic.scp", "speaker.scp", "ali.scp"]),
            expected,
            "{script}"
        );
    }
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_scores_in_wespeakers_files_are_those_of_verify() {
    let dir = workplace(4);
    let at = dir.path();
    let keys: Vec<String> = table::<Array1<f32>>(at, "speaker.ark")
        .into_keys()
        .collect();
    let mut trials = String::new();
    for (place, first) in keys.iter().enumerate() {
        for second in &keys[place + 1..] {
            let same = first.split('-').next() == second.split('-').next();
            let label = if same { "target" } else { "nontarget" };
            trials += &format!("{first} {second} {label}\n");
        }
    }
    put(&at.join("trials"), trials);
    let printed = prints(
        at,
        "wespeaker_scores.py",
        &["speaker.scp", "trials", "trials.score"],
    );
    let verify = [
        "verify",
        "score",
        "--trials=trials",
        "--scores=scores",
        "--out=eer",
    ];
    succeed(at, &[&verify[..], &["scp:speaker.scp"]].concat());
    let [found, expected] =
        ["trials.score", "scores"].map(|name| fs::read_to_string(at.join(name)).unwrap());
    let labels = fs::read_to_string(at.join("trials")).unwrap();
    assert_eq!(found.lines().count(), 120);
    for ((found, expected), trial) in found.lines().zip(expected.lines()).zip(labels.lines()) {
        let [found, expected] =
            [found, expected].map(|line| line.split_whitespace().collect::<Vec<_>>());
        assert_eq!([found[0], found[1], found[3]].join(" "), trial);
        assert_eq!(found[..2], expected[..2]);
        let [found, expected]: [f64; 2] =
            [found[2], expected[2]].map(|score| score.parse().unwrap());
        assert!(
            (found - expected).abs() < 1e-4,
            "{trial}: {found} {expected}"
        );
    }
    let report = fs::read_to_string(at.join("eer.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let expected = 100.0 * report["eer"].as_f64().unwrap();
    let found: f64 = printed
        .trim_end_matches(" %\n")
        .rsplit(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    // Between two points of the curve, each takes its own; there are 24 targets.
    assert!(
        (found - expected).abs() < 100.0 / 24.0,
        "{printed} {expected}"
    );
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_scikit_learn_probes_codes() {
    let dir = workplace(10);
    let at = dir.path();
    succeed(at, &["feats", "copy", "scp:phonetic.scp", "npy:codes"]);
    let printed = prints(at, "speaker_probe.py", &["codes", "data/utt2spk"]);
    let (head, tail) = printed.split_once(": accuracy ").unwrap();
    assert_eq!(head, "40 utterances, 4 speakers");
    let (accuracy, chance) = tail.trim_end().split_once(", chance ").unwrap();
    let accuracy: f64 = accuracy.parse().unwrap();
    assert!((0.25..=1.0).contains(&accuracy), "{printed}");
    assert_eq!(chance, "0.250");
}

#[test]
#[ignore = "needs UNBRAID_BASELINES"]
fn with_baselines_lhotse_has_codes_and_embeddings_in_cuts() {
    let dir = workplace(2);
    let at = dir.path();
    let args = ["data", "phonetic.scp", "speaker.scp", "cuts.jsonl.gz"];
    let output = example(references::baselines(), at, "lhotse_cuts.py", &args);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let check = "
import kaldiio, lhotse, numpy
codes, embeddings = kaldiio.load_scp('phonetic.scp'), kaldiio.load_scp('speaker.scp')
speakers = dict(line.split() for line in open('data/utt2spk'))
texts = dict(line.rstrip().split(maxsplit=1) for line in open('data/text'))
cuts = lhotse.CutSet.from_file('cuts.jsonl.gz')
assert len(cuts) == 8
for cut in cuts:
    key = cut.recording_id
    [supervision] = cut.supervisions
    numpy.testing.assert_array_equal(cut.load_codes(), codes[key])
    numpy.testing.assert_array_equal(supervision.load_embedding(), embeddings[key])
    assert (supervision.speaker, supervision.text) == (speakers[key], texts[key])
    assert cut.load_audio().shape[1] == cut.num_samples
    start = round(0.4 * len(codes[key]) / cut.duration)
    part = cut.truncate(offset=0.4, duration=0.8).load_codes()
    assert len(part) in (20, 21), part.shape
    numpy.testing.assert_array_equal(part, codes[key][start : start + len(part)])
";
    let mut python = Command::new(references::baselines());
    let output = python.args(["-c", check]).current_dir(at).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
}
