//! `unbraid feats deltas`, `splice-feats`, `subsample-feats`, `stretch-feats`, `apply-cmvn-sliding`, `compute-vad`,
//! `select-voiced-frames` and `apply-cmvn --reverse` as a user runs them, beside Kaldi's own code.

use std::path::Path;

use crate::support::{fail, names, references, run_reference, succeed, unbraid};
use ndarray::{Array1, Array2, array, s};
use serde_json::{Value, json};
use unbraid::io::kaldi::{KaldiObject, TableReader, TableWriter};

fn write<T: KaldiObject>(dir: &Path, name: &str, entries: &[(&str, T)]) {
    let path = dir.join(name).display().to_string();
    let mut writer = TableWriter::create(&format!("ark,scp:{path}.ark,{path}.scp")).unwrap();
    for (key, value) in entries {
        writer.write(key, value).unwrap();
    }
    writer.finish().unwrap();
}

fn read<T: KaldiObject>(dir: &Path, name: &str) -> Vec<(String, T)> {
    let reader = TableReader::open(&format!("ark:{}/{name}", dir.display())).unwrap();
    reader.collect::<Result<_, _>>().unwrap()
}

fn feats(frames: usize, dim: usize) -> Array2<f32> {
    Array2::from_shape_fn((frames, dim), |(frame, column)| {
        let state = (frame * 31 + column * 17 + 1) as u32;
        let noise = state.wrapping_mul(2_654_435_761) as f32 / u32::MAX as f32;
        6.0 * noise + (frame as f32 / 9.0).sin() * 8.0 + column as f32
    })
}

/// Utterances of one frame, a few, and more than any window.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let entries = [("a", feats(1, 3)), ("b", feats(7, 3)), ("c", feats(700, 3))];
    write(dir.path(), "f", &entries);
    dir
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_kaldi_gives_the_same() {
    let python = references::python();
    let dir = folder();
    let mut cases: Vec<Value> = Vec::new();
    let mut run = |command: &[&str], operation: &str, args: Value| {
        let out = format!("{}.ark", cases.len());
        let specs = ["ark:f.ark".to_string(), format!("ark:{out}")];
        let line: Vec<&str> = command
            .iter()
            .copied()
            .chain(specs.iter().map(|s| &**s))
            .collect();
        succeed(dir.path(), &line);
        let mut case = vec![json!(out), json!(operation)];
        case.extend(args.as_array().unwrap().clone());
        cases.push(Value::Array(case));
    };
    run(&["add-deltas"], "deltas", json!([2, 2]));
    run(
        &["add-deltas", "--delta-order", "3", "--delta-window", "5"],
        "deltas",
        json!([3, 5]),
    );
    run(
        &["add-deltas", "--delta-order", "0"],
        "deltas",
        json!([0, 2]),
    );
    run(&["splice-feats"], "splice", json!([4, 4]));
    run(
        &[
            "splice-feats",
            "--left-context",
            "11",
            "--right-context",
            "0",
        ],
        "splice",
        json!([11, 0]),
    );
    run(&["subsample-feats", "--n", "3"], "subsample", json!([3, 0]));
    run(
        &["subsample-feats", "--n", "-2"],
        "subsample",
        json!([-2, 0]),
    );
    for (window, least, center, norm_vars) in [
        ("600", "100", false, false),
        ("50", "20", false, true),
        ("300", "100", true, false),
        ("51", "100", true, true),
        ("2", "1", true, true),
    ] {
        let mut line = vec!["apply-cmvn-sliding", "--cmn-window", window];
        match center {
            true => line.push("--center"),
            false => line.extend(["--min-cmn-window", least]),
        }
        line.extend(norm_vars.then_some("--norm-vars"));
        let number = |text: &str| text.parse::<i32>().unwrap();
        // Kaldi checks the least window where it has no use for it.
        let least = number(least).min(number(window));
        let args = json!([number(window), least, center, norm_vars]);
        run(&line, "sliding_cmvn", args);
    }
    run(&["compute-vad"], "vad", json!([5.0, 0.5, 0, 0.6]));
    run(
        &[
            "compute-vad",
            "--vad-energy-threshold=-1.5",
            "--vad-energy-mean-scale",
            "1",
            "--vad-frames-context",
            "2",
            "--vad-proportion-threshold",
            "0.4",
        ],
        "vad",
        json!([-1.5, 1.0, 2, 0.4]),
    );
    std::fs::write(
        dir.path().join("cases.json"),
        Value::Array(cases).to_string(),
    )
    .unwrap();
    run_reference(
        &python,
        dir.path(),
        "feature_operations.py",
        &["f.ark", "cases.json"],
    );
}

#[test]
fn only_voiced_frames_are_kept() {
    let dir = folder();
    succeed(
        dir.path(),
        &["compute-vad", "scp:f.scp", "ark,scp:v.ark,v.scp"],
    );
    let output = unbraid(
        dir.path(),
        &[
            "select-voiced-frames",
            "scp:f.scp",
            "scp:v.scp",
            "ark:o.ark",
        ],
    );
    // The only frame of `a` lies below the threshold.
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "unbraid: a: vad: expected a voiced frame or more, found none\n\
         unbraid: 1 of 3 utterances failed: a\n"
    );
    let (all, voiced) = (feats(700, 3), read::<Array1<f32>>(dir.path(), "v.ark"));
    let kept: Vec<usize> = (0..700)
        .filter(|&frame| voiced[2].1[frame] == 1.0)
        .collect();
    assert!(kept.len() > 50 && kept.len() < 650);
    let found = read::<Array2<f32>>(dir.path(), "o.ark");
    assert_eq!(found[1].1, all.select(ndarray::Axis(0), &kept));
}

#[test]
fn what_was_normalised_comes_back() {
    let dir = folder();
    succeed(dir.path(), &["compute-cmvn", "ark:f.ark", "ark:c.ark"]);
    for options in [&[][..], &["--norm-vars"]] {
        let run = |options: &[&str], from: &str, to: &str| {
            let line = [&["apply-cmvn"], options, &["ark:c.ark", from, to]].concat();
            succeed(dir.path(), &line);
        };
        run(options, "ark:f.ark", "ark:n.ark");
        run(
            &[options, &["--reverse"]].concat(),
            "ark:n.ark",
            "ark:b.ark",
        );
        let back = read::<Array2<f32>>(dir.path(), "b.ark");
        let apart = &back[2].1 - &feats(700, 3);
        assert!(apart.iter().all(|x| x.abs() < 1e-4));
    }
}

#[test]
fn utterances_that_fail_are_named_and_the_others_written() {
    let dir = folder();
    let mut odd = feats(5, 3);
    odd[[4, 2]] = f32::INFINITY;
    let entries = [("e", Array2::zeros((0, 0))), ("n", odd), ("o", feats(5, 3))];
    write(dir.path(), "x", &entries);
    let list = std::fs::read_to_string(dir.path().join("x.scp")).unwrap();
    std::fs::write(dir.path().join("y.scp"), format!("m no/such.ark:3\n{list}")).unwrap();
    std::fs::write(dir.path().join("no.scp"), "").unwrap();
    write(
        dir.path(),
        "v",
        &[
            ("e", array![0f32]),
            ("n", array![1.0, 1.0]),
            ("o", Array1::ones(5)),
        ],
    );
    for (command, empty, infinite) in [
        (
            &["add-deltas"][..],
            "deltas: expected features of a frame",
            "deltas: expected finite",
        ),
        (
            &["splice-feats"],
            "splice: expected features of a frame",
            "splice: expected finite",
        ),
        (
            &["subsample-feats"],
            "subsample: expected features",
            "subsample: expected finite",
        ),
        (
            &["stretch-feats", "--frames", "4"],
            "stretch: expected features of a frame",
            "stretch: expected finite",
        ),
        (
            &["apply-cmvn-sliding"],
            "sliding cmvn: expected features",
            "sliding cmvn: expected finite",
        ),
        (
            &["compute-vad"],
            "vad: expected features of a frame",
            "vad: expected finite",
        ),
        (
            &["select-voiced-frames"],
            "vad: expected 0 entries",
            "vad: expected 5 entries, one for each frame, found 2",
        ),
    ] {
        let vad: &[&str] = match command[0] {
            "select-voiced-frames" => &["scp:v.scp"],
            _ => &[],
        };
        let line = [command, &["scp:y.scp"], vad, &["ark:o.ark"]].concat();
        let output = unbraid(dir.path(), &line);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        let lines: Vec<&str> = error.lines().collect();
        assert!(lines[0].contains("no/such.ark: "), "{error}");
        assert!(
            lines[1].starts_with(&format!("unbraid: e: {empty}")),
            "{error}"
        );
        assert!(
            lines[2].starts_with(&format!("unbraid: n: {infinite}")),
            "{error}"
        );
        assert!(
            lines[3].starts_with("unbraid: 3 of 4 utterances failed: "),
            "{error}"
        );
        let ends = lines[3].ends_with(" e n");
        assert!(ends && lines.len() == 4, "{error}");
        std::fs::remove_file(dir.path().join("o.ark")).unwrap();
        let line = [command, &["scp:no.scp"], vad, &["ark:o.ark"]].concat();
        succeed(dir.path(), &line);
    }
}

#[test]
fn invalid_options_are_refused_in_one_line_and_nothing_is_written() {
    let dir = folder();
    let whole = std::fs::read(dir.path().join("f.ark")).unwrap();
    std::fs::write(dir.path().join("cut.ark"), &whole[..whole.len() - 5]).unwrap();
    let nan = Array2::from_elem((3, 2), f32::NAN);
    write(dir.path(), "nan", &[("a", nan)]);
    let before = names(dir.path());
    for (args, message) in [
        (
            &["add-deltas", "--delta-window", "0"][..],
            "window: expected 1 to 1000, found 0",
        ),
        (
            &["add-deltas", "--delta-order", "5000"],
            "order: expected 0 to 1000, found 5000",
        ),
        (
            &["splice-feats", "--left-context", "99999"],
            "left_context: expected 0 to 10000, found 99999",
        ),
        (
            &["subsample-feats", "--n", "0"],
            "n: expected a number from 1",
        ),
        (
            &["subsample-feats", "--n", "-2", "--offset", "1"],
            "offset: expected 0 where frames are repeated",
        ),
        (
            &["stretch-feats", "--frames", "0"],
            "frames: expected a number from 1 to 100000, found 0",
        ),
        (
            &["apply-cmvn-sliding", "--cmn-window", "0"],
            "cmn_window: expected a frame or more",
        ),
        (
            &["apply-cmvn-sliding", "--cmn-window", "50"],
            "min_cmn_window: expected 1 to 50, the length of the window, found 100",
        ),
        (
            &["compute-vad", "--vad-proportion-threshold", "1.5"],
            "vad_proportion_threshold: expected a number between 0 and 1, found 1.5",
        ),
        (
            &["compute-vad", "--vad-energy-threshold", "nan"],
            "vad_energy_threshold: expected a number, found NaN",
        ),
    ] {
        let line = [args, &["ark:f.ark", "ark:o.ark"]].concat();
        let error = fail(dir.path(), &line, b"");
        assert!(error.starts_with(&format!("unbraid: {message}")), "{error}");
        assert_eq!(names(dir.path()), before);
    }
    for (args, message) in [
        (
            ["add-deltas", "ark:none.ark", "ark:o.ark"],
            "none.ark: No such file",
        ),
        (
            ["add-deltas", "ark:f.ark", "ark:no/such"],
            "no/such: No such file",
        ),
        (
            ["add-deltas", "ark:cut.ark", "ark:o.ark"],
            "cut.ark: c: expected",
        ),
        (["add-deltas", "f.ark", "ark:o.ark"], "'f.ark': expected"),
    ] {
        let error = fail(dir.path(), &args, b"");
        assert!(error.starts_with(&format!("unbraid: {message}")), "{error}");
        assert_eq!(names(dir.path()), before);
    }
    // Without an utterance that succeeds nothing is written either.
    let output = unbraid(dir.path(), &["splice-feats", "ark:nan.ark", "ark:o.ark"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(names(dir.path()), before);
    let error = fail(
        dir.path(),
        &[
            "select-voiced-frames",
            "ark:f.ark",
            "ark:f.ark",
            "ark:o.ark",
        ],
        b"",
    );
    assert!(error.contains("f.ark: a: expected a vector"), "{error}");
}

#[test]
fn words_of_any_length_become_rows_of_one_length() {
    let dir = folder();
    let steps: [&[&str]; 3] = [
        &[
            "stretch-feats",
            "--frames",
            "6",
            "ark:f.ark",
            "ark:long.ark",
        ],
        &[
            "splice-feats",
            "--left-context",
            "3",
            "--right-context",
            "2",
            "ark:long.ark",
            "ark:beside.ark",
        ],
        &[
            "subsample-feats",
            "--n",
            "6",
            "--offset",
            "3",
            "ark:beside.ark",
            "ark:rows.ark",
        ],
    ];
    for step in steps {
        succeed(dir.path(), step);
    }
    let feats = read::<Array2<f32>>(dir.path(), "f.ark");
    let rows = read::<Array2<f32>>(dir.path(), "rows.ark");
    assert_eq!(feats.len(), rows.len());
    for ((id, feats), (of, row)) in feats.iter().zip(&rows) {
        assert_eq!(id, of);
        assert_eq!(row.dim(), (1, 6 * feats.ncols()));
        let edges = [feats.row(0), feats.row(feats.nrows() - 1)];
        assert_eq!(row.slice(s![0, ..feats.ncols()]), edges[0]);
        assert_eq!(row.slice(s![0, -(feats.ncols() as isize)..]), edges[1]);
    }
}

#[test]
fn text_and_standard_streams_work() {
    let dir = folder();
    let out = succeed(
        dir.path(),
        &["subsample-feats", "--n", "5", "ark:f.ark", "ark,t:-"],
    );
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("a  [\n  "), "{text}");
    let first = feats(7, 3);
    let rows = first.slice(s![..;5, ..]);
    assert_eq!(
        text.lines().filter(|line| line.starts_with("  ")).count(),
        1 + rows.nrows() + 140
    );
}
