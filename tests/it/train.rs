//! `unbraid train` as a user runs it: stopped at any moment and taken up again, logged, refused, out of disk.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::killed::killed_at;
use crate::support::training::{
    RESUME, Running, TRAIN, assert_same, configure, edit, newest_step, outcome, workplace,
};
use crate::support::{fail, names, references, run_reference, succeed, unbraid};

const AT_ONCE: (&str, &str) = ("update = \"alternating\"", "update = \"gradient_reversal\"");

#[test]
fn killed_repeatedly_it_ends_as_if_never_stopped() {
    killed_at_many_moments(&[]);
}

#[test]
fn killed_at_once_it_ends_as_if_never_stopped() {
    killed_at_many_moments(&[
        AT_ONCE,
        ("labels = \"utterance_class\"", "labels = \"alignment\""),
    ]);
}

/// SIGKILL as soon as a checkpoint of so many steps is there and some milliseconds later: in a step, in a
/// validation, between the files of a checkpoint.
fn killed_at_many_moments(changes: &[(&str, &str)]) {
    let dir = workplace(changes);
    let exp = dir.path().join("exp");
    succeed(dir.path(), &TRAIN);
    let expected = outcome(&exp);
    fs::rename(&exp, dir.path().join("whole")).unwrap();

    let mut killed = 0;
    for (least, later) in [(0, 0), (7, 0), (10, 3), (20, 11), (30, 1), (40, 7), (49, 2)] {
        let reached = || match least {
            0 => exp.join("log.jsonl").exists(),
            _ => newest_step(&exp).is_some_and(|step| step >= least),
        };
        let run = Running::start(dir.path(), &RESUME);
        let status = run.stop(libc::SIGKILL, Duration::from_millis(later), reached);
        killed += usize::from(status.signal() == Some(libc::SIGKILL));
    }
    assert!(killed >= 4, "killed {killed} times");
    succeed(dir.path(), &RESUME);
    assert_same(&outcome(&exp), &expected);
    let left = names(&exp);
    assert!(left.iter().all(|name| !name.starts_with('.')), "{left:?}");
}

#[test]
fn a_requested_stop_saves_a_checkpoint_and_is_reported() {
    let dir = workplace(&[]);
    let exp = dir.path().join("exp");
    succeed(dir.path(), &TRAIN);
    let expected = outcome(&exp);
    for (signal, code) in [(libc::SIGINT, 130), (libc::SIGTERM, 143)] {
        fs::remove_dir_all(&exp).unwrap();
        let logged = || fs::metadata(exp.join("log.jsonl")).is_ok_and(|meta| meta.len() > 0);
        let status = Running::start(dir.path(), &TRAIN).stop(signal, Duration::ZERO, logged);
        assert_eq!(status.code(), Some(code));
        assert!(newest_step(&exp).is_some());
        succeed(dir.path(), &RESUME);
        assert_same(&outcome(&exp), &expected);
    }
}

#[test]
fn a_run_does_not_go_on_under_another_configuration() {
    let short = ("steps = 60", "steps = 4");
    let dir = workplace(&[short]);
    succeed(dir.path(), &TRAIN);
    let error = fail(dir.path(), &TRAIN, b"");
    assert!(error.contains("--resume to continue"), "{error}");
    for (change, difference) in [
        (
            ("lr = 0.003", "lr = 0.004"),
            "method.optimiser.lr: expected 0.003 (as the checkpoint was trained), found 0.004",
        ),
        (
            ("inner_steps = 2", "inner_steps = 3"),
            "method.adversaries.0.inner_steps: expected 2",
        ),
        (
            ("valid = \"valid\"", "valid = \"train\""),
            "data.valid: expected \"valid\"",
        ),
    ] {
        configure(dir.path(), &[short, change]);
        let error = fail(dir.path(), &RESUME, b"");
        assert!(error.contains("exp/conf.toml: "), "{error}");
        assert!(error.contains(difference), "{error}");
    }
    configure(dir.path(), &[short]);
    fs::remove_file(dir.path().join("exp/conf.toml")).unwrap();
    assert!(fail(dir.path(), &RESUME, b"").contains("exp/conf.toml: No such file"));
}

#[test]
fn a_wrong_configuration_is_refused_in_one_line() {
    let dir = workplace(&[]);
    for (old, new, expected) in [
        (
            "seed = 3",
            "seeds = 3",
            "conf.toml:1: expected known keys with values of their types, found seeds: unknown field `seeds`",
        ),
        (
            "lr = 0.003",
            "learning_rate = 1",
            "unknown field `learning_rate`",
        ),
        (
            "inner_steps = 2",
            "critic_step = 2",
            "unknown field `critic_step`",
        ),
        (
            "steps = 60",
            "steps = \"many\"",
            "invalid type: text \"many\", expected a whole number from 0",
        ),
        (
            "steps = 60",
            "steps = -1",
            "invalid value: whole number -1, expected a whole number from 0",
        ),
        (
            "steps = 60",
            "steps = 0",
            "train.steps: expected 1 to 1000000000, found 0",
        ),
        (
            "log_every = 4",
            "log_every = 0",
            "train.log_every: expected 1 to",
        ),
        (
            "threads = 1",
            "threads = -2",
            "train.threads: expected 0 to 1024, found -2",
        ),
        (
            "lr = 0.003",
            "lr = nan",
            "optimiser.lr: expected 0 or more, found NaN",
        ),
        (
            "ema_decay = 0.9",
            "ema_decay = 1.0",
            "optimiser.ema_decay: expected 0 <= x < 1",
        ),
        (
            "inner_steps = 2",
            "inner_steps = 0",
            "method.adversaries.0.inner_steps: expected 1 to 1000",
        ),
        (
            "weight = 0.3",
            "weight = -1",
            "method.adversaries.0.lambda.weight: expected 0 or more",
        ),
        (
            "dropout = 0.3",
            "dropout = 1.0",
            "method.adversaries.0.classifier.dropout: expected 0 <= p < 1",
        ),
        (
            "code_dim = 4",
            "code_dim = 0",
            "phonetic_encoder.code_dim: expected 1 to 65536, found 0",
        ),
        (
            "code_dim = 4",
            "code_dim = 1000000000000",
            "phonetic_encoder.code_dim: expected 1 to 65536, found 1000000000000",
        ),
        (
            "code_dim = 4",
            "subsampling = 3",
            "subsampling: expected 1, 2, 4 or 8, found 3",
        ),
        (
            "code_dim = 4",
            "kernel = 4",
            "phonetic_encoder.kernel: expected an odd width",
        ),
        (
            "label_weight = 0.5",
            "label_weight = -1",
            "label_weight: expected 0 or more",
        ),
        (
            "label_weight = 0.5",
            "label_weight = 0.5\nwait_for_labels = -1",
            "adversary_start_below_label_loss: expected 0 or more",
        ),
        (
            "label_weight = 0.5",
            "label_weight = 0\nwait_for_labels = 2",
            "adversary_start_below_label_loss: expected 0 where label_weight is, found 2",
        ),
        (
            "label_weight = 0.5",
            "label_weight = 0.5\nspeaker = { kind = \"supervised_contrastive\", temperature = 0 }",
            "speaker.temperature: expected more than 0, found 0",
        ),
        (
            "labels = \"utterance_class\"",
            "labels = \"phone_sequence\"",
            "data.crop_frames: expected 0 with labels of phones",
        ),
        (
            "labels = \"utterance_class\"",
            "labels = \"utterance_class\"\nlabelled = 0.0",
            "data.labelled: expected 0 < x <= 1, found 0",
        ),
        (
            "code_dim = 4",
            "bottleneck = { kind = \"vector\", codes = 1 }",
            "phonetic_encoder.bottleneck.codes: expected 2 to 65536, found 1",
        ),
        (
            "code_dim = 4",
            "pool = true",
            "decoder.kind: expected \"recurrent\" for pooled codes",
        ),
        (
            "update = \"alternating\"",
            "loss = \"wasserstein\"",
            "method.adversaries.0.input: expected \"pairs\" with loss = \"wasserstein\"",
        ),
        (
            "labels = \"utterance_class\"",
            "labels = \"none\"",
            "label_weight: expected data.labels other than \"none\"",
        ),
        (
            "labels = \"utterance_class\"",
            "labels = \"sentences\"",
            "unknown variant `sentences`",
        ),
        (
            "labels = \"utterance_class\"",
            "labels = \"utterance_class\"\nlabelled_speakers = [\"s99\"]",
            "data.labelled_speakers: expected speakers of train, found s99",
        ),
        (
            "name = \"disentangle\"",
            "name = \"other\"",
            "unknown variant `other`, expected one of `disentangle`",
        ),
        ("name = \"disentangle\"", "", "missing field `name`"),
        (
            "update = \"alternating\"",
            "update = \"chess\"",
            "unknown variant `chess`",
        ),
        (
            "speakers = 2, ",
            "speakers = 5, ",
            "data.sampler.speakers: expected 1 to 4, the speakers of train, found 5",
        ),
        (
            "utterances = 3 }",
            "utterances = 1 }",
            "data.sampler.utterances: expected 2 to 65536, found 1",
        ),
        (
            "utterances = 3 }",
            "utterances = 500 }",
            "data.sampler.utterances: expected at most 16: speakers of train have 4 or less, found 500",
        ),
        (
            "speakers = 2, utterances = 3",
            "speakers = 1, utterances = 3",
            "data.sampler.speakers: expected at least 2 with a speaker adversary, found 1",
        ),
        (
            "label_weight = 0.5",
            "label_weight = 0.5\nperturb = { mask_bins = 21 }",
            "method.perturb.mask_bins: expected at most 20, the bins of the features, found 21",
        ),
        (
            "kind = \"speakers\", speakers = 2, utterances = 3",
            "kind = \"frames\", frames = 0",
            "data.sampler.frames: expected 1 to",
        ),
        (
            "kind = \"speakers\", speakers = 2, utterances = 3",
            "kind = \"frames\", batch = 3",
            "unknown field `batch`",
        ),
        (
            "threads = 1",
            "select = \"los\"",
            "train.select: expected one of decoder/reconstruction",
        ),
        (
            "train = \"train\"",
            "train = \"none\"",
            "none/utt2spk: No such file",
        ),
        (
            "valid = \"valid\"",
            "valid = \"none\"",
            "none/utt2spk: No such file",
        ),
        ("seed = 3", "seed = [", "conf.toml:"),
    ] {
        configure(dir.path(), &[(old, new)]);
        let error = fail(dir.path(), &TRAIN, b"");
        assert!(error.contains(expected), "{error}");
        assert_eq!(newest_step(&dir.path().join("exp")), None);
    }
    let by_utterance = (
        "kind = \"speakers\", speakers = 2, utterances = 3",
        "kind = \"utterances\", batch = 6",
    );
    for (old, new, what) in [
        (
            "label_weight = 0.5",
            "label_weight = 0.5\nconsistency.speaker_variance = 0.1",
            "method.consistency.speaker_variance",
        ),
        (
            "label_weight = 0.5",
            "label_weight = 0.5\nspeaker_lda = { weight = 0.1 }",
            "method.speaker_lda",
        ),
        (
            "update = \"alternating\"",
            "update = \"alternating\"\ninput = \"enrolment\"",
            "an adversary of input = \"enrolment\"",
        ),
    ] {
        configure(dir.path(), &[by_utterance, (old, new)]);
        let error = fail(dir.path(), &TRAIN, b"");
        let expected =
            format!("data.sampler.kind: expected \"speakers\" with {what}, found another");
        assert!(error.contains(&expected), "{error}");
    }
    let missing = ["train", "--conf", "none.toml", "--exp", "exp"];
    assert!(fail(dir.path(), &missing, b"").contains("none.toml: No such file"));
    configure(dir.path(), &[]);
    fs::write(dir.path().join("file"), "").unwrap();
    let onto_file = ["train", "--conf", "conf.toml", "--exp", "file"];
    assert!(fail(dir.path(), &onto_file, b"").contains("file: "));
}

/// Going on beyond the planned end, and what else may be another.
#[test]
fn a_run_goes_on_beyond_its_end() {
    let dir = workplace(&[("steps = 60", "steps = 8")]);
    let exp = dir.path().join("exp");
    succeed(dir.path(), &TRAIN);
    let longer = [
        &RESUME[..],
        &["--steps", "12", "--set", "train.keep_checkpoints=5"],
    ]
    .concat();
    let output = unbraid(dir.path(), &longer);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{message}");
    assert!(
        message.contains(
            "exp: 12 steps in all, 8 before: schedules over all steps follow the new number\n"
        ),
        "{message}"
    );
    assert_eq!(newest_step(&exp), Some(12));
    // Its networks learn at a constant rate: the outcome is that of a run of 12 steps.
    let whole = ["train", "--conf=conf.toml", "--exp=whole", "--steps=12"];
    succeed(dir.path(), &whole);
    let weights =
        |exp: &str| fs::read(dir.path().join(exp).join("last/weights.safetensors")).unwrap();
    assert!(weights("exp") == weights("whole"));
    // The experiment's own configuration may be the one that is given.
    let own = ["train", "--conf=exp/conf.toml", "--exp=exp", "--resume"];
    succeed(
        dir.path(),
        &[&own[..], &["--set=train.keep_checkpoints=6"]].concat(),
    );
    let shorter = [
        &RESUME[..],
        &["--steps", "9", "--set", "train.keep_checkpoints=5"],
    ]
    .concat();
    let error = fail(dir.path(), &shorter, b"");
    assert!(
        error.ends_with("train.steps: expected at least the 12 steps that are done, found 9"),
        "{error}"
    );
}

/// Its weights may differ in the last bit.
#[test]
fn another_number_of_threads_is_reported() {
    let dir = workplace(&[("steps = 60", "steps = 4")]);
    succeed(dir.path(), &TRAIN);
    let state = dir.path().join("exp/last/state.json");
    edit(&state, "\"threads\": 1", "\"threads\": 7");
    let output = unbraid(dir.path(), &[&RESUME[..], &["--steps=8"]].concat());
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.contains("unbraid: exp: 1 threads, 7 before: weights will not equal"),
        "{message}"
    );
    let output = unbraid(dir.path(), &[&RESUME[..], &["--steps=8"]].concat());
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!message.contains("threads"), "{message}");
}

/// A checkpoint that the clock asks for changes nothing of what is learned.
#[test]
fn checkpoints_by_time_change_nothing() {
    let dir = workplace(&[
        ("steps = 60", "steps = 16"),
        ("threads = 1", "threads = 1\nkeep = 50"),
    ]);
    let exp = dir.path().join("exp");
    succeed(
        dir.path(),
        &[&TRAIN[..], &["--set", "train.checkpoint_minutes=0"]].concat(),
    );
    let expected = outcome(&exp);
    let steps = || {
        names(&exp)
            .iter()
            .filter(|name| name.starts_with("step_"))
            .count()
    };
    assert_eq!(steps(), 4);
    fs::remove_dir_all(&exp).unwrap();
    succeed(
        dir.path(),
        &[&TRAIN[..], &["--set", "train.checkpoint_minutes=0.00001"]].concat(),
    );
    assert_eq!(steps(), 16);
    assert_same(&outcome(&exp), &expected);
}

/// A kill may come between a checkpoint and its links.
#[test]
fn links_are_mended() {
    let dir = workplace(&[("steps = 60", "steps = 10")]);
    let exp = dir.path().join("exp");
    succeed(dir.path(), &TRAIN);
    let expected = outcome(&exp);
    for gone in [&["last"][..], &["best"], &["last", "best"]] {
        gone.iter()
            .for_each(|name| fs::remove_file(exp.join(name)).unwrap());
        succeed(dir.path(), &RESUME);
        assert_same(&outcome(&exp), &expected);
    }
}

/// Nor does one while an old one is removed leave half of it.
#[test]
fn no_kill_leaves_half_a_checkpoint() {
    let dir = workplace(&[
        ("steps = 60", "steps = 3"),
        ("validate_every = 10", "validate_every = 0"),
        ("checkpoint_every = 7", "checkpoint_every = 1"),
        ("threads = 1", "threads = 1\nkeep = 1"),
    ]);
    let exp = dir.path().join("exp");
    let weights = || fs::read(exp.join("last/weights.safetensors")).unwrap();
    succeed(dir.path(), &TRAIN);
    let expected = weights();
    // Removing one takes more changes than are passed over.
    for change in (0..).step_by(3) {
        let _ = fs::remove_dir_all(&exp);
        let killed = killed_at(dir.path(), &TRAIN, change);
        if !exp.exists() {
            continue;
        }
        let steps = names(&exp)
            .into_iter()
            .filter(|name| name.starts_with("step_"));
        for step in steps {
            let files = ["optimiser.safetensors", "state.json", "weights.safetensors"];
            assert_eq!(names(&exp.join(&step)), files, "{step}, change {change}");
        }
        if !killed {
            assert!(change > 30, "{change}");
            break;
        }
        if change % 4 == 0 {
            succeed(dir.path(), &RESUME);
            assert!(weights() == expected, "change {change}");
        }
    }
}

#[test]
fn options_with_less_effect_than_asked_are_reported() {
    let dir = workplace(&[
        ("steps = 60", "steps = 2"),
        ("threads = 1", "threads = 1\nselect_after = 9"),
        ("utterances = 3 }", "utterances = 5 }"),
    ]);
    let text = dir.path().join("valid/text");
    edit(&text, "s00-u000 ", "s00-u000 another ");
    edit(
        &dir.path().join("valid/utt2spk"),
        "s03-u001 s03\n",
        "s03-u001 s09\n",
    );
    let output = unbraid(dir.path(), &TRAIN);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{message}");
    for line in [
        "unbraid: train.select_after: 9, but there are only 2 steps: no checkpoint becomes best",
        "unbraid: data.sampler.utterances: 5, but no speaker of train has more than 4: batches contain some utterances several times",
        "unbraid: valid: 1 of 8 utterances have speakers that are not in data.train: losses over speakers leave them out",
        "unbraid: valid: 1 of 8 utterances have texts that are not in data.train: losses over texts leave them out",
    ] {
        assert!(
            message.lines().any(|found| found == line),
            "{line}: {message}"
        );
    }
}

#[test]
fn one_speaker_is_not_taken_apart() {
    let dir = workplace(&[]);
    let of_one = |text: &str| -> String {
        let lines = text.lines().filter(|line| line.starts_with("s00-"));
        lines.map(|line| format!("{line}\n")).collect()
    };
    for table in ["utt2spk", "text", "feats.scp"] {
        let path = dir.path().join("train").join(table);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, of_one(&text)).unwrap();
    }
    let sampler = "data.sampler={kind='utterances',batch=3}";
    let error = fail(dir.path(), &[&TRAIN[..], &["--set", sampler]].concat(), b"");
    let message = "train: expected at least 2 speakers, found 1";
    assert!(error.ends_with(message), "{error}");
}

/// Damages of a folder, and their errors.
type Breach = (&'static str, fn(&Path), &'static str);

#[test]
fn wrong_data_is_refused_in_one_line() {
    let breaches: &[Breach] = &[
        (
            "text",
            |dir| fs::remove_file(dir.join("train/feats.scp")).unwrap(),
            "train/feats.scp: No such file",
        ),
        (
            "text",
            |dir| fs::remove_file(dir.join("train/feats.ark")).unwrap(),
            "train/feats.ark",
        ),
        (
            "text",
            |dir| fs::remove_file(dir.join("train/text")).unwrap(),
            "train/text: s00-u000: expected its text, found none",
        ),
        (
            "text",
            |dir| edit(&dir.join("train/text"), "s01-u002 no\n", ""),
            "train/text: s01-u002: expected its text",
        ),
        (
            "text",
            |dir| fs::write(dir.join("train/utt2spk"), "").unwrap(),
            "train/utt2spk: expected",
        ),
        (
            "text",
            |dir| fs::write(dir.join("train/utt2spk"), "s00-u000\n").unwrap(),
            "train/utt2spk:1: expected",
        ),
        (
            "text",
            |dir| {
                edit(
                    &dir.join("train/utt2spk"),
                    "s01-u000 s01\n",
                    "s01-u000 s09\n",
                )
            },
            "train/utt2spk: s09: expected at least 2 utterances",
        ),
        (
            "text",
            |dir| truncate(&dir.join("train/feats.ark")),
            "train/feats.ark: s03-u003: expected 2415 bytes from byte 39249 on, found the end of the file after 2408",
        ),
        (
            "text",
            |dir| fs::write(dir.join("train/feats.ark"), [7u8; 9000]).unwrap(),
            "train/feats.ark: s00-u000: ",
        ),
        (
            "text",
            |dir| replace(dir, "train", "s02-u001", "[\n 1 nan 3 ]"),
            "s02-u001: expected 20 values per frame, found 3",
        ),
        (
            "text",
            |dir| {
                replace(
                    dir,
                    "train",
                    "s02-u001",
                    &format!("[\n {} nan ]", "1 ".repeat(19)),
                )
            },
            "s02-u001: expected finite features, found NaN",
        ),
        (
            "text",
            |dir| replace(dir, "train", "s02-u001", " [ ]"),
            "s02-u001: expected at least one frame, found none",
        ),
        (
            "text",
            |dir| replace(dir, "valid", "s02-u001", "[\n 1 2 3 ]"),
            "s02-u001: expected 20 values per frame, found 3",
        ),
        (
            "frames",
            |dir| fs::remove_file(dir.join("train/ali.scp")).unwrap(),
            "train/ali.scp: No such file",
        ),
        (
            "frames",
            |dir| edit_line(&dir.join("train/ali.scp"), "s00-u001", None),
            "train/ali.scp: s00-u001: expected",
        ),
        (
            "frames",
            |dir| edit_line(&dir.join("valid/ali.scp"), "s00-u001", None),
            "valid/ali.scp: s00-u001: expected its alignment, found none",
        ),
        (
            "frames",
            |dir| align(dir, "train", "s00-u001", "0 1 2"),
            "s00-u001: expected 33 frames, as the features have (or 2, 4 or 8 times as many), found 3",
        ),
        (
            "frames",
            |dir| align(dir, "train", "s00-u000", &"-1 ".repeat(30)),
            "s00-u000: expected classes from 0 to 65535, found -1",
        ),
        (
            "frames",
            |dir| align(dir, "train", "s00-u000", &"2000000000 ".repeat(30)),
            "found 2000000000",
        ),
        (
            "frames",
            |dir| align(dir, "valid", "s00-u000", &"7 ".repeat(30)),
            "s00-u000: expected classes from 0 to 2, as in training, found 7",
        ),
    ];
    for (labels, break_it, expected) in breaches {
        let labels = format!("labels = \"{labels}\"");
        let dir = workplace(&[
            ("labels = \"utterance_class\"", &labels),
            ("steps = 60", "steps = 8"),
        ]);
        break_it(dir.path());
        let error = fail(dir.path(), &TRAIN, b"");
        assert!(error.contains(expected), "{error}");
    }
}

fn truncate(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() - 7]).unwrap();
}

/// Gives an utterance another matrix, in Kaldi's text form.
fn replace(dir: &Path, set: &str, key: &str, matrix: &str) {
    fs::write(dir.join("new.ark"), format!("{key} {matrix}\n")).unwrap();
    edit_line(
        &dir.join(set).join("feats.scp"),
        key,
        Some(&offset(dir, key)),
    );
}

fn align(dir: &Path, set: &str, key: &str, classes: &str) {
    fs::write(dir.join("new.ark"), format!("{key} {classes}\n")).unwrap();
    edit_line(&dir.join(set).join("ali.scp"), key, Some(&offset(dir, key)));
}

fn offset(dir: &Path, key: &str) -> String {
    format!("{}:{}", dir.join("new.ark").display(), key.len() + 1)
}

fn edit_line(path: &Path, key: &str, value: Option<&str>) {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().filter_map(|line| match value {
        _ if !line.starts_with(key) => Some(format!("{line}\n")),
        None => None,
        Some(value) => Some(format!("{key} {value}\n")),
    });
    let changed: String = lines.collect();
    assert_ne!(changed, text);
    fs::write(path, changed).unwrap();
}

#[test]
fn a_damaged_checkpoint_is_refused_in_one_line() {
    let dir = workplace(&[("steps = 60", "steps = 8")]);
    let last = dir.path().join("exp/last");
    succeed(dir.path(), &TRAIN);
    let keep = |name: &str| fs::read(last.join(name)).unwrap();
    for name in ["weights.safetensors", "optimiser.safetensors", "state.json"] {
        let whole = keep(name);
        let mut wrong_header = whole.clone();
        wrong_header[0] ^= 0x55;
        let half = whole[..whole.len() / 2].to_vec();
        for broken in [half, whole[..7].to_vec(), wrong_header] {
            fs::write(last.join(name), broken).unwrap();
            let error = fail(dir.path(), &RESUME, b"");
            assert!(error.contains(&format!("last/{name}:")), "{error}");
        }
        fs::remove_file(last.join(name)).unwrap();
        let error = fail(dir.path(), &RESUME, b"");
        assert!(
            error.contains(&format!("last/{name}: No such file")),
            "{error}"
        );
        fs::write(last.join(name), whole).unwrap();
    }
    let real = fs::canonicalize(&last).unwrap();
    fs::rename(&real, dir.path().join("exp/step_000002")).unwrap();
    let error = fail(dir.path(), &RESUME, b"");
    assert!(
        error.contains("exp/last: expected a link to a checkpoint"),
        "{error}"
    );
}

#[test]
fn another_networks_weights_are_refused() {
    let short = ("steps = 60", "steps = 4");
    let dir = workplace(&[short]);
    succeed(dir.path(), &TRAIN);
    configure(dir.path(), &[short, ("code_dim = 4", "code_dim = 5")]);
    let other = ["train", "--conf", "conf.toml", "--exp", "other"];
    succeed(dir.path(), &other);
    let from = dir.path().join("other/last/weights.safetensors");
    fs::copy(from, dir.path().join("exp/last/weights.safetensors")).unwrap();
    configure(dir.path(), &[short]);
    let error = fail(dir.path(), &RESUME, b"");
    assert!(
        error.contains(
            "weights.safetensors: phonetic_encoder/code.bias: expected F32 [4], found F32 [5]"
        ),
        "{error}"
    );
}

#[test]
fn a_loss_that_runs_away_is_named() {
    let dir = workplace(&[
        ("lr = 0.003", "lr = 1e30"),
        ("log_every = 4", "log_every = 1"),
        ("checkpoint_every = 7", "checkpoint_every = 50"),
        ("validate_every = 10", "validate_every = 0"),
    ]);
    let output = unbraid(dir.path(), &TRAIN);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.starts_with("unbraid: step "), "{error}");
    assert!(error.ends_with("expected a finite number\n"), "{error}");
    assert!(
        error.contains(": decoder: train reconstruction is "),
        "{error}"
    );
    // Nor is what the update broke ever saved.
    fs::remove_dir_all(dir.path().join("exp")).unwrap();
    edit(&dir.path().join("conf.toml"), "lr = 1e30", "lr = 1e39");
    edit(
        &dir.path().join("conf.toml"),
        "checkpoint_every = 50",
        "checkpoint_every = 1",
    );
    let error = fail(dir.path(), &TRAIN, b"");
    assert!(error.contains("unbraid: step 1: "), "{error}");
    assert_eq!(newest_step(&dir.path().join("exp")), None);
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_log_and_tensorboard_agree() {
    let python = references::python();
    let dir = workplace(&[("steps = 60", "steps = 30")]);
    let exp = dir.path().join("exp");
    // Killed after lines that the resumed run writes again.
    let reached = || newest_step(&exp).is_some_and(|step| step >= 14);
    Running::start(dir.path(), &TRAIN).stop(libc::SIGKILL, Duration::from_millis(20), reached);
    succeed(dir.path(), &RESUME);
    run_reference(
        &python,
        dir.path(),
        "tensorboard_events.py",
        &["exp", "events.json"],
    );
    type Scalars = std::collections::BTreeMap<String, Vec<(u64, f64)>>;
    let text = fs::read_to_string(dir.path().join("events.json")).unwrap();
    let events: Scalars = serde_json::from_str(&text).unwrap();
    let mut logged = Scalars::new();
    for line in unbraid::train::log::read(&exp.join("log.jsonl")).unwrap() {
        for (name, value) in line.values {
            let tag = format!("{}/{name}", line.split);
            // TensorBoard keeps floats of 32 bits.
            let value = f64::from(value as f32);
            logged.entry(tag).or_default().push((line.step, value));
        }
    }
    assert_eq!(events, logged);
    assert_eq!(logged["train/loss"].len(), 8);
}

#[test]
fn a_full_disk_costs_no_checkpoint() {
    let dir = workplace(&[]);
    let exp = dir.path().join("exp");
    succeed(dir.path(), &TRAIN);
    let expected = outcome(&exp);
    let size = fs::metadata(exp.join("last/weights.safetensors"))
        .unwrap()
        .len();
    fs::remove_dir_all(&exp).unwrap();
    let reached = || newest_step(&exp).is_some_and(|step| step >= 7);
    Running::start(dir.path(), &TRAIN).stop(libc::SIGKILL, Duration::ZERO, reached);
    let before = newest_step(&exp).unwrap();
    // Room for the log and for half of the weights: no file may grow beyond it, in blocks of 512 bytes.
    let script = format!(
        "trap '' XFSZ; ulimit -f {}; exec {} {}",
        size / 2 / 512,
        env!("CARGO_BIN_EXE_unbraid"),
        RESUME.join(" ")
    );
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(dir.path())
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    let last = error.lines().last().unwrap();
    assert!(
        last.starts_with("unbraid: exp/step_0000") && last.contains(".safetensors: File too large"),
        "{error}"
    );
    assert!(!error.contains("panicked"), "{error}");
    assert_eq!(newest_step(&exp), Some(before));
    succeed(dir.path(), &RESUME);
    assert_same(&outcome(&exp), &expected);
}
