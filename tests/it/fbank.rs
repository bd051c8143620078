//! `unbraid fbank` as a user runs it, on the bundled speech and on what is wrong.

use std::path::{Path, PathBuf};

use crate::support::{fail, names, succeed, unbraid};
use ndarray::Array2;
use unbraid::io::audio::{AudioOptions, Waveform, read_audio, write_wav};
use unbraid::io::kaldi::{ScpTable, TableReader};
use unbraid::signal::{FbankComputer, FbankOptions};

fn audio(utterance: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("data/mini/audio/{utterance}.flac"))
}

/// A folder with `wav.scp` of these utterances, and what more is given.
fn folder(utterances: &[&str], files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let line = |key: &&str| format!("{key} {}\n", audio(key).display());
    let lines: String = utterances.iter().map(line).collect();
    std::fs::write(dir.path().join("wav.scp"), lines).unwrap();
    for (name, content) in files {
        std::fs::write(dir.path().join(name), content).unwrap();
    }
    dir
}

fn feats(dir: &Path) -> ScpTable<Array2<f32>> {
    let list = std::fs::read_to_string(dir.join("f.scp")).unwrap();
    let prefix = dir.display();
    std::fs::write(
        dir.join("f.scp"),
        list.replace(" f.ark:", &format!(" {prefix}/f.ark:")),
    )
    .unwrap();
    ScpTable::open(dir.join("f.scp")).unwrap()
}

const OUT: &str = "ark,scp:f.ark,f.scp";

#[test]
fn features_are_the_librarys() {
    let keys = ["m01-s03", "f01-s02", "f01-s01"];
    let conf = "num_mel_bins = 40\nsnip_edges = false\n";
    for threads in ["1", "3"] {
        let dir = folder(&keys, &[("fbank.toml", conf)]);
        succeed(
            dir.path(),
            &[
                "fbank",
                "--conf",
                "fbank.toml",
                "--nj",
                threads,
                "scp:wav.scp",
                OUT,
            ],
        );
        let table = feats(dir.path());
        assert_eq!(table.keys(), keys, "the list's order");
        let options: FbankOptions = toml::from_str(conf).unwrap();
        let computer = FbankComputer::new(&options).unwrap();
        for key in keys {
            let waveform = read_audio(audio(key), &AudioOptions::default()).unwrap();
            assert_eq!(table.get(key).unwrap(), computer.compute(&waveform.samples));
        }
    }
}

#[test]
fn segments_are_cut_and_pipes_run_when_allowed() {
    let dir = folder(&[], &[("segments", "a r 0.5 1.5\nb r 0 0.5\n")]);
    let flac = audio("f01-s01").display().to_string();
    std::fs::write(dir.path().join("wav.scp"), format!("r cat '{flac}' |\n")).unwrap();
    let args = [
        "fbank",
        "--segments",
        "segments",
        "scp:wav.scp",
        OUT,
        "--allow-pipes",
    ];
    succeed(dir.path(), &args);
    let table = feats(dir.path());
    assert_eq!(table.get("a").unwrap().dim(), (98, 23));
    assert_eq!(table.get("b").unwrap().dim(), (48, 23));
    let output = unbraid(dir.path(), &args[..5]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && error.contains("--allow-pipes"),
        "{error}"
    );
}

#[test]
fn resampled_and_chosen_channels() {
    let conf = "sample_frequency = 8000.0\ndither = 0.0\n";
    let dir = folder(&["f01-s01"], &[("fbank.toml", conf)]);
    let args = [
        "fbank",
        "--conf",
        "fbank.toml",
        "--resample",
        "8000",
        "scp:wav.scp",
        OUT,
    ];
    succeed(dir.path(), &args);
    assert_eq!(feats(dir.path()).read_shape("f01-s01").unwrap().1, 23);
    stereo(&dir.path().join("s.wav"));
    std::fs::write(dir.path().join("wav.scp"), "s s.wav\n").unwrap();
    let error = failing(dir.path(), &["fbank", "scp:wav.scp", OUT]);
    assert!(
        error[0].ends_with("(--channel, from 0), found 2 channels"),
        "{error:?}"
    );
    succeed(dir.path(), &["fbank", "--channel", "1", "scp:wav.scp", OUT]);
    let error = failing(dir.path(), &["fbank", "--channel", "2", "scp:wav.scp", OUT]);
    assert!(error[0].ends_with("found 2 channel(s)"), "{error:?}");
}

/// 16-bit WAV of two channels, made of one by its header alone.
fn stereo(path: &Path) {
    let waveform = Waveform {
        samples: vec![0.1; 4000],
        sample_rate_hz: 16000,
    };
    write_wav(path, &waveform).unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    bytes[22] = 2; // channels
    bytes[28..32].copy_from_slice(&64000u32.to_le_bytes()); // bytes a second
    bytes[32] = 4; // bytes a frame
    std::fs::write(path, bytes).unwrap();
}

/// The lines of a run whose utterances fail.
fn failing(dir: &Path, args: &[&str]) -> Vec<String> {
    let output = unbraid(dir, args);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    error.lines().map(str::to_string).collect()
}

/// An utterance for each kind of bad audio, and two good ones around them.
fn bad_corpus() -> tempfile::TempDir {
    let dir = folder(&["f01-s01"], &[("text.wav", "hello"), ("empty.wav", "")]);
    let flac = std::fs::read(audio("f01-s01")).unwrap();
    std::fs::write(dir.path().join("cut.flac"), &flac[..20_000]).unwrap();
    for (name, samples, rate) in [("short.wav", 100, 16000), ("rate.wav", 9000, 8000)] {
        let waveform = Waveform {
            samples: vec![0.1; samples],
            sample_rate_hz: rate,
        };
        write_wav(dir.path().join(name), &waveform).unwrap();
    }
    let mut lines = std::fs::read_to_string(dir.path().join("wav.scp")).unwrap();
    for name in [
        "text.wav",
        "empty.wav",
        "cut.flac",
        "short.wav",
        "rate.wav",
        "none.wav",
    ] {
        lines += &format!("{} {name}\n", name.replace('.', "-"));
    }
    lines += &format!("z {}\n", audio("m01-s03").display());
    std::fs::write(dir.path().join("wav.scp"), lines).unwrap();
    dir
}

#[test]
fn the_others_go_on_when_utterances_fail() {
    let dir = bad_corpus();
    let error = failing(dir.path(), &["fbank", "scp:wav.scp", OUT]);
    for (line, message) in error.iter().zip([
        "unbraid: text-wav: text.wav: expected WAV, AIFF, SPHERE, .au, FLAC, Ogg Vorbis, MP3, MPEG-4 or CAF audio, found a file",
        "unbraid: empty-wav: empty.wav: expected WAV, AIFF, SPHERE, .au, FLAC, Ogg Vorbis, MP3, MPEG-4 or CAF audio, found an empty file",
        "unbraid: cut-flac: cut.flac: expected FLAC audio, found an early end: the file is cut short",
        "unbraid: short-wav: frame_length: expected audio of one frame of 25 ms, found 100 samples",
        "unbraid: rate-wav: sample_frequency: expected the audio's 8000 Hz (or --resample), found 16000",
        "unbraid: none-wav: none.wav: No such file or directory (os error 2)",
        "unbraid: 6 of 8 utterances failed: text-wav empty-wav cut-flac short-wav rate-wav none-wav",
    ]) {
        assert!(line.starts_with(message), "{line}");
    }
    assert_eq!(error.len(), 7);
    assert_eq!(feats(dir.path()).keys(), ["f01-s01", "z"]);
    let output = unbraid(dir.path(), &["fbank", "scp,p:wav.scp", "ark:p.ark"]);
    assert!(output.status.success());
    let kept = TableReader::<Array2<f32>>::open(&format!("ark:{}/p.ark", dir.path().display()));
    assert_eq!(kept.unwrap().filter(Result::is_ok).count(), 2);
}

#[test]
fn nothing_is_written_when_nothing_succeeds() {
    let dir = folder(&[], &[("wav.scp", "a none.wav\n")]);
    let error = failing(dir.path(), &["fbank", "scp,p:wav.scp", OUT]);
    assert_eq!(error[1], "unbraid: 1 of 1 utterances failed: a");
    assert_eq!(names(dir.path()), ["wav.scp"]);
}

#[test]
fn what_is_wrong_with_lists_and_options_is_told_in_one_line() {
    let files = [
        ("empty.scp", ""),
        ("twice.scp", "a x.wav\na y.wav\n"),
        ("bare.scp", "a\n"),
        ("unsorted.scp", "b x.wav\na y.wav\n"),
        ("seg.bad", "a f01-s01 2 1\n"),
        ("seg.other", "a nobody 0 1\n"),
        ("key.toml", "num_mel_bins = 40\n\nnum_ceps = 13\n"),
        ("type.toml", "num_mel_bins = \"many\"\n"),
        ("high.toml", "high_freq = 9000.0\n"),
        ("bins.toml", "num_mel_bins = 500\n"),
        ("shift.toml", "frame_shift = 0.0\n"),
    ];
    let dir = folder(&["f01-s01"], &files);
    for (args, message) in [
        (
            &["scp:none.scp", OUT][..],
            "none.scp: No such file or directory (os error 2)",
        ),
        (
            &["scp:empty.scp", OUT],
            "empty.scp: expected at least one line, found none",
        ),
        (
            &["scp:twice.scp", OUT],
            "twice.scp:2: expected each key once, found 'a' again",
        ),
        (
            &["scp:bare.scp", OUT],
            "bare.scp:1: expected a key and a file or 'command |', found 'a' alone",
        ),
        (
            &["scp,s:unsorted.scp", OUT],
            "unsorted.scp:2: expected keys in byte order",
        ),
        (
            &["ark:wav.scp", OUT],
            "'ark:wav.scp': expected a list of audio files as scp:wav.scp, found an archive",
        ),
        (
            &["scp:cat wav.scp |", OUT],
            "'scp:cat wav.scp |': expected a list of audio files",
        ),
        (&["wav.scp", OUT], "'wav.scp': expected a read specifier"),
        (
            &["scp:wav.scp", "f.ark"],
            "'f.ark': expected a write specifier",
        ),
        (
            &["scp:wav.scp", "ark:no/such/f.ark"],
            "no/such/f.ark: No such file or directory",
        ),
        (
            &["scp:wav.scp", OUT, "--segments", "seg.bad"],
            "seg.bad:1: expected utterance, recording",
        ),
        (
            &["scp:wav.scp", OUT, "--segments", "seg.other"],
            "wav.scp: a: expected its recording, found none for 'nobody'",
        ),
        (
            &["scp:wav.scp", OUT, "--segments", "none"],
            "none: No such file",
        ),
        (
            &["scp:wav.scp", OUT, "--conf", "none.toml"],
            "none.toml: No such file",
        ),
        (
            &["scp:wav.scp", OUT, "--conf", "key.toml"],
            "key.toml:3: expected known keys with values of their types, found unknown field `num_ceps`",
        ),
        (
            &["scp:wav.scp", OUT, "--conf", "type.toml"],
            "type.toml:1: expected known keys",
        ),
        (
            &["scp:wav.scp", OUT, "--conf", "high.toml"],
            "high.toml: high_freq: expected up to the Nyquist frequency 8000 Hz, found 9000 Hz",
        ),
        (
            &["scp:wav.scp", OUT, "--conf", "bins.toml"],
            "bins.toml: num_mel_bins: expected filters that each hold a bin of the 512-point FFT",
        ),
        (
            &["scp:wav.scp", OUT, "--conf", "shift.toml"],
            "shift.toml: frame_shift: expected milliseconds",
        ),
    ] {
        let args: Vec<&str> = ["fbank"].iter().chain(args).copied().collect();
        let error = fail(dir.path(), &args, b"");
        assert!(error.starts_with(&format!("unbraid: {message}")), "{error}");
        assert!(!dir.path().join("f.ark").exists() && !dir.path().join("f.scp").exists());
    }
    for args in [
        ["--channel", "-1"],
        ["--resample", "0"],
        ["--threads", "0"],
        ["--conf", ""],
    ] {
        let output = unbraid(dir.path(), &["fbank", "scp:wav.scp", OUT, args[0], args[1]]);
        assert!(!output.status.success(), "{args:?}");
    }
}

#[test]
fn a_list_may_come_from_standard_input() {
    let dir = folder(&[], &[]);
    let line = format!("f01-s01 {}\n", audio("f01-s01").display());
    let output =
        crate::support::unbraid_with(dir.path(), &["fbank", "scp:-", "ark,t:-"], line.as_bytes());
    assert!(output.status.success());
    assert!(output.stdout.starts_with(b"f01-s01  [\n"));
}
