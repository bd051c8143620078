//! `unbraid stream` as a user runs it: the codes of the whole, as soon as they are ready, in memory that stays.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use ndarray::Array2;
use unbraid::io::audio::{AudioOptions, read_audio};
use unbraid::io::kaldi::TableReader;

use crate::support::speech::{CONF, FBANK, recordings, workplace};
use crate::support::training::of_recipes;
use crate::support::{fail, root, succeed, unbraid_with};

/// An encoder of this body, causal, under a normalisation that streams.
fn causal(body: &str) -> String {
    let model = format!("code_dim = 4, causal = true, instance_norm = false, backbone = {body}");
    CONF.replace("code_dim = 4", &model)
        .replace("embedding_dim = 4", "embedding_dim = 4, trunk = 'tdnn'")
        .replace(
            "[method]",
            "[normalisation]\nsubtract_utterance_mean = false\n[method]",
        )
        .replacen(
            "code_dim = 4, causal",
            "code_dim = 4, subsampling = 4, causal",
            1,
        )
}

const BODIES: [&str; 3] = [
    "{ kind = 'conv', layers = 2 }",
    "{ kind = 'recurrent', layers = 1 }",
    "{ kind = 'conformer', layers = 1, heads = 2 }",
];

/// The first recording's samples as 16-bit PCM, and its codes out of `unbraid extract --wav`.
fn first(dir: &Path) -> (Vec<u8>, Array2<f32>) {
    let args = "extract --exp=exp --device=cpu --output=phonetic --wav scp:data/wav.scp ark:z.ark";
    succeed(dir, &args.split(' ').collect::<Vec<_>>());
    let table = format!("ark:{}", dir.join("z.ark").display());
    let mut reader = TableReader::<Array2<f32>>::open(&table).unwrap();
    let (key, codes) = reader.next().unwrap().unwrap();
    let (name, path) = recordings(dir).remove(0);
    assert_eq!(name, key);
    let samples = read_audio(path, &AudioOptions::default()).unwrap().samples;
    let pcm = samples
        .iter()
        .flat_map(|x| ((x * 32768.0) as i16).to_le_bytes());
    (pcm.collect(), codes)
}

const STREAM: [&str; 4] = ["stream", "--exp=exp", "--rate=16000", "--format=s16le"];

fn assert_near(found: &[f32], expected: &Array2<f32>) {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0f32, |most, x| most.max(x.abs()));
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= 1e-5 * largest, "{a} for {b}");
    }
}

/// arecord writes a header unless it is asked not to.
#[test]
fn a_files_header_is_not_taken_for_samples() {
    let dir = workplace(FBANK, &causal(BODIES[0]));
    let wav = std::fs::read(&recordings(dir.path()).remove(0).1).unwrap();
    for (head, kind) in [
        (&b"RIFF"[..], "a WAV file"),
        (b"fLaC", "a FLAC file"),
        (b"OggS", "an Ogg file"),
    ] {
        let output = unbraid_with(dir.path(), &STREAM, &[head, &wav[4..]].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(output.stdout.is_empty());
        let expected = "standard input: expected raw samples (as of sox FILE -t raw -), found ";
        assert!(error.ends_with(&format!("{expected}{kind}\n")), "{error}");
    }
}

#[test]
fn a_stream_gives_what_the_whole_gives() {
    for (fbank, body) in [
        (FBANK.to_string() + "snip_edges = false\n", BODIES[0]),
        (FBANK.to_string() + "snip_edges = false\n", BODIES[1]),
        (FBANK.replace("dither = 0.0", "dither = 1.0"), BODIES[2]),
    ] {
        let dir = workplace(&fbank, &causal(body));
        let at = dir.path();
        let (pcm, expected) = first(at);
        for chunk in ["1", "20", "5000"] {
            let args = [&STREAM[..], &["--chunk", chunk, "--output=f32"]].concat();
            let output = unbraid_with(at, &args, &pcm);
            let error = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.success(), "{error}");
            assert!(
                error.starts_with("unbraid: latency 55 ms: 25 per frame, 30 between"),
                "{error}"
            );
            assert_eq!(
                error.contains("attention covers"),
                body.contains("conformer")
            );
            let (found, _) = output.stdout.as_chunks::<4>();
            let found: Vec<f32> = found.iter().map(|raw| f32::from_le_bytes(*raw)).collect();
            assert_near(&found, &expected);
        }
        let floats: Vec<u8> = (pcm.as_chunks::<2>().0.iter())
            .map(|raw| f32::from(i16::from_le_bytes(*raw)) / 32768.0)
            .flat_map(f32::to_le_bytes)
            .collect();
        let args = ["stream", "--exp=exp", "--rate=16000", "--format=f32le"];
        let output = unbraid_with(at, &args, &floats);
        let text = String::from_utf8(output.stdout).unwrap();
        let mut found = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let (time, values) = line.split_once(' ').unwrap();
            assert_eq!(time, format!("{:.4}", number as f64 * 0.04));
            found.extend(values.split(' ').map(|x| x.parse::<f32>().unwrap()));
        }
        assert_near(&found, &expected);
    }
}

/// Resident memory of a process in KiB.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Codes come while the pipe is open, and a long stream takes no more memory than a short one.
#[test]
fn codes_come_as_the_sound_does_in_memory_that_stays() {
    let dir = workplace(FBANK, &causal(BODIES[1]));
    let (pcm, expected) = first(dir.path());
    let mut child = Command::new(env!("CARGO_BIN_EXE_unbraid"))
        .env("OMP_NUM_THREADS", "1")
        .args(STREAM)
        .current_dir(dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut lines = BufReader::new(from).lines();
    // Four pieces of 20 ms hold the second code's first frame, which ends at 65 ms.
    to.write_all(&pcm[..2 * 1280]).unwrap();
    to.flush().unwrap();
    for code in 0..2 {
        let line = lines.next().unwrap().unwrap();
        let found: Vec<f32> = (line.split(' ').skip(1))
            .map(|x| x.parse().unwrap())
            .collect();
        let expected = expected.row(code).insert_axis(ndarray::Axis(0)).to_owned();
        let gap =
            (Array2::from_shape_vec(expected.dim(), found).unwrap() - expected).mapv(f32::abs);
        assert!(gap.iter().all(|gap| *gap < 1e-4), "{gap}");
    }
    let reader = std::thread::spawn(move || lines.map(|line| line.unwrap().len()).sum::<usize>());
    let seconds = |to: &mut std::process::ChildStdin, seconds: usize| {
        for _ in 0..seconds {
            to.write_all(&pcm[..32000]).unwrap();
        }
    };
    seconds(&mut to, 20);
    let before = resident(child.id());
    seconds(&mut to, 300);
    let after = resident(child.id());
    drop(to);
    assert!(child.wait().unwrap().success());
    assert!(reader.join().unwrap() > 0);
    assert!(after < before + 4096, "{before} KiB, then {after} KiB");
}

#[test]
fn options_that_cannot_stream_are_refused_in_one_line() {
    let plain = causal(BODIES[0]);
    let message = |fbank: &str, conf: &str| {
        let dir = workplace(fbank, conf);
        fail(dir.path(), &STREAM, &[0; 64000])
    };
    for (fbank, conf, expected) in [
        (
            FBANK.into(),
            CONF.to_string(),
            "phonetic_encoder.causal: expected true for a stream",
        ),
        (
            FBANK.into(),
            plain.replace(
                "subtract_utterance_mean = false",
                "subtract_utterance_mean = true",
            ),
            "normalisation.subtract_utterance_mean: expected false for a stream",
        ),
        (
            FBANK.into(),
            plain.replace(
                "subtract_utterance_mean = false",
                "subtract_utterance_mean = false\ncmvn = 'utterance'",
            ),
            "normalisation.cmvn: expected \"global\" or \"none\" for a stream",
        ),
        (
            FBANK.into(),
            plain.replace(
                "subtract_utterance_mean = false",
                "subtract_utterance_mean = false\nfixed_frames = 50",
            ),
            "normalisation.fixed_frames: expected 0 for a stream",
        ),
        (
            FBANK.to_string() + "subtract_mean = true\n",
            plain.clone(),
            "front_end.subtract_mean: expected a front-end that can stream",
        ),
    ] {
        let error = message(&fbank, &conf);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_broken_stream_keeps_what_was_ready() {
    let dir = workplace(FBANK, &causal(BODIES[0]));
    let at = dir.path();
    let broken = |args: &[&str], input: &[u8]| {
        let output = unbraid_with(at, args, input);
        assert_eq!(output.status.code(), Some(1));
        let error = String::from_utf8(output.stderr).unwrap();
        // The first line is the latency's.
        let last = error.lines().last().unwrap().to_string();
        assert!(error.lines().count() <= 2, "{error}");
        (
            String::from_utf8(output.stdout).unwrap().lines().count(),
            last,
        )
    };
    let (codes, error) = broken(&STREAM, &[1; 2 * 1120 + 1]);
    let expected =
        "standard input: expected whole samples of 2 bytes, found 1 left over after 1120 samples";
    assert!(error.ends_with(expected), "{error}");
    assert_eq!(codes, 2);
    let (codes, error) = broken(&STREAM, b"");
    assert!(
        error.ends_with("standard input: expected samples, found none"),
        "{error}"
    );
    assert_eq!(codes, 0);
    let (_, error) = broken(&STREAM, &[1; 100]);
    assert!(
        error.contains("audio: expected audio of one frame, 400 samples or more"),
        "{error}"
    );
    let rate = ["stream", "--exp=exp", "--rate=8000", "--format=s16le"];
    let (_, error) = broken(&rate, &[1; 100]);
    assert!(
        error.ends_with("--rate: expected the front-end's 16000 Hz, found 8000"),
        "{error}"
    );
    let mut floats = [0.0f32; 1000];
    floats[700] = f32::NAN;
    let bytes: Vec<u8> = floats.iter().flat_map(|x| x.to_le_bytes()).collect();
    let nan = ["stream", "--exp=exp", "--rate=16000", "--format=f32le"];
    let (codes, error) = broken(&nan, &bytes);
    assert!(error.contains("found NaN at sample 700"), "{error}");
    assert_eq!(codes, 1);
}

/// The recipe's configuration for streams is one.
#[test]
fn the_recipes_configuration_streams() {
    let mut conf = of_recipes("mini/conf/causal.toml");
    let small: toml::Table = toml::from_str(CONF).unwrap();
    for key in ["device", "data", "train"] {
        conf.insert(key.into(), small[key].clone());
    }
    let fbank = std::fs::read_to_string(root().join("recipes/mini/conf/fbank.toml")).unwrap();
    let dir = workplace(&fbank, &conf.to_string());
    let (pcm, expected) = first(dir.path());
    let output = unbraid_with(dir.path(), &STREAM, &pcm);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), expected.nrows());
}
