//! `unbraid feats fbank` and its siblings as a user runs them, on the bundled speech and on what is wrong.

use std::path::{Path, PathBuf};

use crate::support::{fail, names, succeed, unbraid};
use ndarray::Array2;
use unbraid::io::audio::{AudioOptions, Waveform, read_audio, write_wav};
use unbraid::io::kaldi::{ScpTable, TableReader};
use unbraid::signal::{FrontEnd, FrontEndKind, FrontEndOptions};

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
        let options =
            FrontEndOptions::read_as(dir.path().join("fbank.toml"), FrontEndKind::Fbank, None);
        let front_end = FrontEnd::new(options.unwrap()).unwrap();
        for key in keys {
            let waveform = read_audio(audio(key), &AudioOptions::default()).unwrap();
            assert_eq!(
                table.get(key).unwrap(),
                front_end.compute(&waveform.samples).unwrap()
            );
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
        error[0].ends_with("(--channel, from 0, or --channel mean), found 2 channels"),
        "{error:?}"
    );
    succeed(dir.path(), &["fbank", "--channel", "1", "scp:wav.scp", OUT]);
    let error = failing(dir.path(), &["fbank", "--channel", "2", "scp:wav.scp", OUT]);
    assert!(error[0].ends_with("found 2 channel(s)"), "{error:?}");
}

#[test]
fn empty_filters_are_warned_of_where_the_original_has_them() {
    let dir = folder(&["f01-s01"], &[]);
    let at = dir.path();
    let warned = |args: &[&str]| {
        let output = unbraid(at, args);
        assert!(output.status.success());
        let error = String::from_utf8(output.stderr).unwrap();
        let warning = "unbraid: warning: no bin of the FFT falls into ";
        assert!(
            error.starts_with(warning) && error.lines().count() == 1,
            "{error}"
        );
    };
    let bins = "num_mel_bins=128";
    warned(&[
        "fbank",
        "--preset",
        "torchaudio",
        "--set",
        bins,
        "scp:wav.scp",
        OUT,
    ]);
    let feats = feats(at).get("f01-s01").unwrap();
    let floor = feats
        .columns()
        .into_iter()
        .filter(|column| column.iter().all(|&x| (x + 15.942385).abs() < 2e-6));
    assert!((1..20).contains(&floor.count()));
    assert_eq!(feats.ncols(), 128);
    let error = failing(at, &["fbank", "--set", bins, "scp:wav.scp", OUT]);
    assert!(
        error[0].starts_with("unbraid: num_mel_bins: expected filters that each hold"),
        "{error:?}"
    );
    warned(&[
        "mel",
        "--set",
        "sr=16000",
        "--set",
        "n_fft=512",
        "--set",
        "n_mels=256",
        "scp:wav.scp",
        OUT,
    ]);
}

/// Two seconds and 30 ms at 8 kHz.
fn two_seconds(path: &Path) {
    let waveform = Waveform {
        samples: (0..16240).map(|i| (i % 97) as f32 / 200.0).collect(),
        sample_rate_hz: 8000,
    };
    write_wav(path, &waveform).unwrap();
}

#[test]
fn segments_reach_to_the_end_and_fail_alone() {
    let segments = "r-a r 0 1\nr-b r 1 -1\nr-c r 1 0.5\nr-d q 0 1\nr-e r\nr-f r 0.5 1\n";
    let files = [("segments", segments), ("wav.scp", "r r.wav\n")];
    let dir = folder(&[], &files);
    two_seconds(&dir.path().join("r.wav"));
    let set = "sample_frequency=8000";
    let fbank = [
        "fbank",
        "--set",
        set,
        "--segments",
        "segments",
        "scp:wav.scp",
        OUT,
    ];
    let error = failing(dir.path(), &fbank);
    let expected =
        "expected utterance, recording, start from 0 and a later end in seconds, or -1, found";
    let lines = [
        format!("unbraid: r-c: segments:3: {expected} 'r-c r 1 0.5'"),
        "unbraid: r-d: segments:4: expected a recording of wav.scp for 'r-d', found 'q'"
            .to_string(),
        format!("unbraid: r-e: segments:5: {expected} 'r-e r'"),
        "unbraid: 3 of 6 utterances failed: r-c r-d r-e".to_string(),
    ];
    assert_eq!(error, lines);
    let table = feats(dir.path());
    let frames = ["r-a", "r-b", "r-f"].map(|key| table.read_shape(key).unwrap().0);
    assert_eq!(frames, [98, 101, 48]);
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

/// A FLAC whose header states another MD5: only whoever asks for it compares.
#[test]
fn the_md5_of_flac_is_compared_by_verify_and_a_deep_validation() {
    let dir = folder(&[], &[("utt2spk", "a a\n"), ("spk2utt", "a a\n")]);
    let mut flac = std::fs::read(audio("f01-s01")).unwrap();
    flac[26] ^= 1;
    std::fs::write(dir.path().join("a.flac"), flac).unwrap();
    std::fs::write(dir.path().join("wav.scp"), "a a.flac\n").unwrap();
    succeed(dir.path(), &["fbank", "scp:wav.scp", OUT]);
    let verified = failing(dir.path(), &["fbank", "--verify", "scp:wav.scp", OUT]);
    let reason = "a.flac: expected the samples that the header's MD5 was made of, found others: the file is damaged";
    assert_eq!(verified[0], format!("unbraid: a: {reason}"));
    let validate = ["data", "validate", "--no-feats", "--no-text"];
    succeed(dir.path(), &[&validate[..], &["."]].concat());
    let deep = failing(dir.path(), &[&validate[..], &["--deep", "."]].concat());
    assert_eq!(deep[0], reason);
}

#[test]
fn the_others_go_on_when_utterances_fail() {
    let dir = bad_corpus();
    let error = failing(dir.path(), &["fbank", "scp:wav.scp", OUT]);
    for (line, message) in error.iter().zip([
        "unbraid: text-wav: text.wav: expected WAV, AIFF, SPHERE, .au, FLAC, Ogg Vorbis or Opus, MP3, MPEG-4 or CAF audio, found a file",
        "unbraid: empty-wav: empty.wav: expected WAV, AIFF, SPHERE, .au, FLAC, Ogg Vorbis or Opus, MP3, MPEG-4 or CAF audio, found an empty file",
        "unbraid: cut-flac: cut.flac: expected FLAC audio, found an early end: the file is cut short",
        "unbraid: short-wav: audio: expected audio of one frame, 400 samples or more, found 100 samples",
        "unbraid: rate-wav: audio: expected the 16000 Hz of sample_frequency (or --resample), found 8000",
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
fn invalid_lists_and_options_are_refused_in_one_line() {
    let files = [
        ("empty.scp", ""),
        ("twice.scp", "a x.wav\na y.wav\n"),
        ("bare.scp", "a\n"),
        ("unsorted.scp", "b x.wav\na y.wav\n"),
        ("seg.twice", "a f01-s01 0 1\na f01-s01 1 2\n"),
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
            &["scp:wav.scp", OUT, "--segments", "seg.twice"],
            "seg.twice:2: expected",
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
            "key.toml:3: expected known keys with values of their types, found num_ceps: unknown field `num_ceps`",
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

#[test]
fn every_front_end_is_a_command() {
    let samples = read_audio(audio("f01-s01"), &AudioOptions::default())
        .unwrap()
        .samples;
    for (kind, settings) in [
        (
            FrontEndKind::Fbank,
            &["num_mel_bins=40", "window_type=\"hamming\""][..],
        ),
        (FrontEndKind::Mfcc, &["num_ceps=20", "subtract_mean=true"]),
        (FrontEndKind::Spectrogram, &["output=\"power\"", "dither=0"]),
        (FrontEndKind::Mel, &["sr=16000", "output=\"db\""]),
        (FrontEndKind::Whisper, &["num_mel_bins=128"]),
    ] {
        let dir = folder(&["f01-s01"], &[]);
        let mut args = vec![kind.name()];
        args.extend(settings.iter().flat_map(|setting| ["--set", setting]));
        args.extend(["scp:wav.scp", OUT]);
        succeed(dir.path(), &args);
        let toml = format!("kind = '{}'\n{}", kind.name(), settings.join("\n"));
        let toml = toml
            .replace("sr=16000", "sr=16000.0")
            .replace("dither=0", "dither=0.0");
        let options: FrontEndOptions = toml::from_str(&toml).unwrap();
        let expected = FrontEnd::new(options).unwrap().compute(&samples).unwrap();
        assert_eq!(
            feats(dir.path()).get("f01-s01").unwrap(),
            expected,
            "{toml}"
        );
    }
}

#[test]
fn a_preset_gives_way_to_the_file_and_the_file_to_settings() {
    let conf = "preset = \"torchaudio\"\nenergy_floor = 2.0\nuse_energy = true\n";
    let dir = folder(
        &["f01-s01"],
        &[("a.toml", conf), ("b.toml", "use_energy = true\n")],
    );
    let make = |args: &[&str]| {
        let args: Vec<&str> = ["fbank"]
            .iter()
            .chain(args)
            .chain(&["scp:wav.scp", OUT])
            .copied()
            .collect();
        succeed(dir.path(), &args);
        feats(dir.path()).get("f01-s01").unwrap()
    };
    let all = "dither=0.0";
    let plain = make(&[
        "--conf",
        "b.toml",
        "--set",
        all,
        "--set",
        "full_scale=1.0",
        "--set",
        "energy_floor=2.0",
    ]);
    assert_eq!(make(&["--conf", "a.toml"]), plain);
    assert_eq!(
        make(&[
            "--conf",
            "b.toml",
            "--preset",
            "torchaudio",
            "--set",
            "energy_floor=2.0"
        ]),
        plain
    );
    let floored = make(&["--preset", "torchaudio", "--set", "use_energy=true"]);
    assert_ne!(floored, plain);
    assert!(
        floored.column(0).iter().all(|&energy| energy >= 0.0),
        "a floor of 1"
    );
}

#[test]
fn warps_are_by_utterance_or_by_speaker() {
    let utterances = ["f01-s01", "m01-s03"];
    let files = [
        ("by_utterance", "f01-s01 1.1\nm01-s03 0.9\n"),
        ("by_speaker", "f 1.1\nm 0.9\n"),
        ("utt2spk", "f01-s01 f\nm01-s03 m\n"),
        ("one", "f01-s01 1.1\n"),
        ("wrong", "f01-s01 1.1\nm01-s03 high\n"),
        ("far", "f01-s01 1.0\nm01-s03 20\n"),
    ];
    let dir = folder(&utterances, &files);
    let still = ["--set", "dither=0.0"];
    let make = |args: &[&str]| {
        let args: Vec<&str> = (["fbank"].iter().chain(&still).chain(args))
            .chain(&["scp:wav.scp", OUT])
            .copied()
            .collect();
        succeed(dir.path(), &args);
        let table = feats(dir.path());
        utterances.map(|utterance| table.get(utterance).unwrap())
    };
    let by_utterance = make(&["--vtln-map", "by_utterance"]);
    assert_eq!(
        make(&["--vtln-map", "by_speaker", "--utt2spk", "utt2spk"]),
        by_utterance
    );
    assert_eq!(make(&["--set", "vtln_warp=1.1"])[0], by_utterance[0]);
    assert_eq!(make(&["--set", "vtln_warp=0.9"])[1], by_utterance[1]);
    assert_ne!(make(&[])[0], by_utterance[0]);
    let error = failing(
        dir.path(),
        &["fbank", "--vtln-map", "one", "scp:wav.scp", OUT],
    );
    assert_eq!(
        error[0],
        "unbraid: one: m01-s03: expected a warp factor, found none"
    );
    for (map, message) in [
        (
            "wrong",
            "wrong:2: expected a key and a factor, found 'high'",
        ),
        (
            "far",
            "far:2: vtln_warp: expected a factor from 0.1 to 10, found 20",
        ),
        ("none", "none: No such file"),
    ] {
        let error = fail(
            dir.path(),
            &["fbank", "--vtln-map", map, "scp:wav.scp", OUT],
            b"",
        );
        assert!(error.starts_with(&format!("unbraid: {message}")), "{error}");
    }
    let output = unbraid(
        dir.path(),
        &["mel", "--vtln-map", "one", "scp:wav.scp", OUT],
    );
    assert!(!output.status.success(), "mel has no warp");
}

#[test]
fn options_of_another_front_end_are_refused() {
    let files = [
        ("mfcc.toml", "kind = \"mfcc\"\n"),
        ("plp.toml", "kind = \"plp\"\n"),
        ("number.toml", "kind = 1\n"),
        ("preset.toml", "preset = \"kaldi\"\n"),
        ("torchaudio.toml", "preset = \"torchaudio\"\n"),
        (
            "bins.toml",
            "\nkind = \"whisper\"\nnum_mel_bins = \"many\"\n",
        ),
    ];
    let dir = folder(&["f01-s01"], &files);
    for (command, args, message) in [
        (
            "fbank",
            ["--conf", "mfcc.toml"],
            "mfcc.toml: kind: expected \"fbank\", found \"mfcc\"",
        ),
        (
            "mel",
            ["--conf", "plp.toml"],
            "plp.toml: kind: expected a front-end, one of \"fbank\", \"mfcc\"",
        ),
        (
            "mel",
            ["--conf", "number.toml"],
            "number.toml: kind: expected a string, found a value of type integer",
        ),
        (
            "mfcc",
            ["--conf", "preset.toml"],
            "preset.toml: preset: expected \"torchaudio\", found \"kaldi\"",
        ),
        (
            "whisper",
            ["--conf", "torchaudio.toml"],
            "preset: expected a preset of fbank, mfcc or spectrogram",
        ),
        (
            "whisper",
            ["--conf", "bins.toml"],
            "bins.toml:3: expected known keys with values of their types",
        ),
        (
            "whisper",
            ["--set", "num_mel_bins=40"],
            "num_mel_bins: expected 80 or 128, found 40",
        ),
        (
            "mfcc",
            ["--set", "num_ceps=30"],
            "num_ceps: expected 1 to 23, as many as num_mel_bins",
        ),
        (
            "mel",
            ["--set", "n_ffts=512"],
            "--set n_ffts=512: expected a known key",
        ),
    ] {
        let error = fail(
            dir.path(),
            &[command, args[0], args[1], "scp:wav.scp", OUT],
            b"",
        );
        assert!(error.starts_with(&format!("unbraid: {message}")), "{error}");
        assert!(!dir.path().join("f.ark").exists());
    }
}
