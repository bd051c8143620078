//! Audio as users have it: the bundled FLAC, Ogg Vorbis and MP3, whole, cut and damaged; archives of waveforms; commands.

use std::path::Path;

use unbraid::io::audio::{AudioOptions, AudioSource, Channel, Pipes, decode_audio};

use crate::support::{put, references, run_reference, unbraid};

const FLAC: &str = "data/mini/audio/f01-s01.flac";

fn flac() -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(FLAC)).unwrap()
}

fn decode(bytes: Vec<u8>) -> Result<usize, String> {
    decode_audio(bytes, "x.flac", &AudioOptions::default())
        .map(|waveform| waveform.samples.len())
        .map_err(|error| error.to_string())
}

#[test]
fn flac_comes_whole() {
    assert_eq!(decode(flac()), Ok(32989));
}

#[test]
fn a_cut_flac_is_an_error_wherever_it_is_cut() {
    let whole = flac();
    for length in (0..whole.len())
        .step_by(997)
        .chain(0..64)
        .chain([whole.len() - 1])
    {
        let error = decode(whole[..length].to_vec()).expect_err("cut short");
        assert!(error.starts_with("x.flac: expected "), "{length}: {error}");
        assert!(!error.contains('\n'), "{length}: {error}");
    }
}

#[test]
fn a_damaged_flac_is_an_error_and_no_panic() {
    let whole = flac();
    for at in (42..whole.len()).step_by(611) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        // The seek table and comments may change without harm to the sound; samples may not.
        match decode(bytes) {
            Ok(samples) => assert!(at < 120 && samples == 32989, "byte {at}"),
            Err(error) => assert!(error.starts_with("x.flac: "), "byte {at}: {error}"),
        }
    }
    for at in 0..42 {
        for value in [0, 1, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            let _ = decode(bytes);
        }
    }
}

fn lossy(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/audio_files");
    std::fs::read(folder.join(name)).unwrap()
}

/// The lag, in samples, at which `b` looks most like `a`, and how much so (1 is the same).
fn best_lag(a: &[f32], b: &[f32]) -> (usize, f64) {
    let dot =
        |x: &[f32], y: &[f32]| -> f64 { x.iter().zip(y).map(|(x, y)| f64::from(x * y)).sum() };
    let a = &a[..14_000];
    let likeness = |lag: usize| {
        let b = &b[lag..lag + a.len()];
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    };
    let lags = (0..b.len() - a.len()).map(|lag| (lag, likeness(lag)));
    lags.max_by(|x, y| x.1.total_cmp(&y.1)).unwrap()
}

#[test]
fn lossy_files_sound_like_what_they_were_made_of() {
    let original = decode_audio(flac(), FLAC, &AudioOptions::default()).unwrap();
    for name in ["speech.ogg", "speech.mp3", "speech.bare.mp3"] {
        let waveform = decode_audio(lossy(name), name, &AudioOptions::default()).unwrap();
        assert_eq!(waveform.sample_rate_hz, 16000, "{name}");
        let (lag, likeness) = best_lag(&original.samples, &waveform.samples);
        assert!(likeness > 0.95, "{name}: {likeness}");
        // Only the file that does not state its encoder's delay may keep it.
        if name != "speech.bare.mp3" {
            assert_eq!((lag, waveform.samples.len()), (0, 16000), "{name}");
        }
    }
}

#[test]
fn cut_lossy_files_are_errors_and_damaged_ones_no_panic() {
    for name in ["speech.ogg", "opus.ogg", "speech.mp3"] {
        let whole = lossy(name);
        for length in (0..whole.len()).step_by(97) {
            let error = decode(whole[..length].to_vec()).expect_err("cut short");
            assert!(
                error.starts_with("x.flac: expected "),
                "{name} {length}: {error}"
            );
        }
        for at in (0..whole.len()).step_by(7) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            let _ = decode(bytes);
        }
    }
}

#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_archives_of_waveforms_are_those_of_kaldiio() {
    let python = references::python();
    let dir = tempfile::tempdir().unwrap();
    run_reference(&python, dir.path(), "wav_archive.py", &[]);
    let list = std::fs::read_to_string(dir.path().join("wavs.scp")).unwrap();
    for (line, length) in list.lines().zip([4000, 5001]) {
        let place = line.split_once(' ').unwrap().1;
        let place = format!("{}/{place}", dir.path().display());
        let waveform = AudioSource::parse(&place)
            .read(&AudioOptions::default(), Pipes::Refused)
            .unwrap();
        let expected: Vec<f32> = (0..length)
            .map(|i| (i * 37 % 2001 - 1000) as f32 / 32768.0)
            .collect();
        assert_eq!(
            (waveform.sample_rate_hz, waveform.samples),
            (8000, expected)
        );
    }
}

/// Libopus has several versions, whose samples differ where a stream changes its mode.
#[test]
#[ignore = "needs UNBRAID_PYTHON"]
fn with_python_opus_is_decoded_as_by_libopus() {
    let python = references::python();
    let dir = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let speech = ["f01-s01", "f54-s37", "m52-s05"]
        .map(|name| format!("{}/data/mini/audio/{name}.flac", root.display()));
    let speech: Vec<&str> = speech.iter().map(String::as_str).collect();
    run_reference(&python, dir.path(), "opus.py", &speech);
    for channels in [1, 2] {
        for level in ["0.3", "0.8", "0.9", "0.95", "1.0"] {
            let name = format!("{channels}-{level}");
            let file = |kind| std::fs::read(dir.path().join(format!("{name}.{kind}"))).unwrap();
            let expected: Vec<f32> = (file("f32").chunks_exact(4))
                .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
                .collect();
            for channel in 0..channels {
                let options = AudioOptions::with_choice(Some(Channel::Index(channel)));
                let found = decode_audio(file("opus"), &name, &options).unwrap().samples;
                let expected = expected.iter().skip(channel).step_by(channels);
                assert_eq!(found.len(), expected.len(), "{name}");
                let pairs = found.iter().zip(expected);
                let energies = pairs.map(|(a, b)| (f64::from(b * b), f64::from((a - b) * (a - b))));
                let (signal, error) = energies.fold((0.0, 0.0), |(s, e), (x, y)| (s + x, e + y));
                let decibels = 10.0 * (signal / error).log10();
                assert!(decibels > 60.0, "{name}: {decibels:.1} dB");
            }
        }
    }
}

#[test]
fn a_command_that_runs_too_long_fails_its_utterance_alone() {
    let dir = tempfile::tempdir().unwrap();
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join(FLAC);
    let list = format!("a sleep 60 |\nb cat {} |\nc ls none |\n", good.display());
    put(&dir.path().join("wav.scp"), list);
    let args = [
        "fbank",
        "--allow-pipes",
        "--pipe-timeout",
        "1",
        "scp:wav.scp",
        "ark:x",
    ];
    let output = unbraid(dir.path(), &args);
    let error = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(
        lines[0],
        "unbraid: a: sleep 60 |: expected a command that ends within 1 s, found one that still ran, and was killed"
    );
    let message =
        "unbraid: c: ls none |: expected a command that succeeds, found exit status: 2: ls: ";
    assert!(lines[1].starts_with(message), "{error}");
    assert_eq!(lines[2..], ["unbraid: 2 of 3 utterances failed: a c"]);
}
