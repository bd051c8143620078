//! Memory does not follow the size of the corpus: features are read as they are needed, and what stays is names
//! and a few numbers for every utterance.

use std::fs;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use crate::support::corpus::Corpus;
use crate::support::training::{TRAIN, configure};

/// 16 kB of features an utterance.
const CORPUS: Corpus = Corpus {
    speakers: 4,
    utterances: 4,
    frames: 100,
    bins: 40,
    seed: 0,
};
/// Utterances of the small corpus, and of the large one, which lists the same archive under more keys.
const SIZES: [usize; 2] = [640, 6400];
/// What an utterance may cost: its keys, paths and texts in some tables, far from its features.
const BYTES: usize = 1500;

/// Writes `train` with `count` utterances, out of one archive of 16.
fn corpus(dir: &Path, count: usize) {
    let train = dir.join("train");
    CORPUS.write(&train);
    for file in ["utt2spk", "text", "feats.scp", "ali.scp"] {
        let text = fs::read_to_string(train.join(file)).unwrap();
        let copies = (0..count / 16).flat_map(|copy| {
            text.lines().map(move |line| {
                let (speaker, rest) = line.split_once('-').unwrap();
                format!("{speaker}-c{copy:04}-{rest}")
            })
        });
        let mut lines: Vec<String> = copies.collect();
        lines.sort();
        fs::write(train.join(file), lines.join("\n") + "\n").unwrap();
    }
    let no_validation = ("valid = \"valid\"\n", "");
    configure(dir, &[no_validation, ("steps = 60", "steps = 3")]);
}

/// Runs the binary to its end; its largest resident size in bytes, at least that of this process, which Linux counts until
/// the binary is loaded: what a test makes has to be small.
#[expect(clippy::zombie_processes, reason = "wait4 waits for it")]
fn peak(dir: &Path, args: &[&str]) -> usize {
    let child = Command::new(env!("CARGO_BIN_EXE_unbraid"))
        .args(args)
        .env("OMP_NUM_THREADS", "1")
        .current_dir(dir)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut status = 0;
    // SAFETY: the child is ours and not waited for elsewhere; both results are plain numbers to be filled.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        let waited = libc::wait4(child.id() as libc::pid_t, &mut status, 0, &mut usage);
        assert_eq!(waited, child.id() as libc::pid_t);
        usage
    };
    assert!(ExitStatus::from_raw(status).success(), "{args:?}");
    usage.ru_maxrss as usize * 1024
}

#[test]
fn memory_does_not_follow_the_corpus() {
    let mut peaks = Vec::new();
    for count in SIZES {
        let dir = tempfile::tempdir().unwrap();
        corpus(dir.path(), count);
        let train = peak(dir.path(), &TRAIN);
        let extract = [
            "extract",
            "--exp",
            "exp",
            "--output",
            "phonetic",
            "--device",
            "cpu",
            "scp:train/feats.scp",
            "ark,scp:z.ark,z.scp",
        ];
        peaks.push((train, peak(dir.path(), &extract)));
    }
    let more = SIZES[1] - SIZES[0];
    for (command, small, large) in [
        ("train", peaks[0].0, peaks[1].0),
        ("extract", peaks[0].1, peaks[1].1),
    ] {
        let growth = large.saturating_sub(small) / more;
        println!(
            "{command}: {small} bytes, with ten times the corpus {large}: {growth} an utterance"
        );
        assert!(growth < BYTES, "{command}: {growth} bytes an utterance");
    }
}

/// Writes a WAV of silence, `seconds` at 8 kHz with 16 bits, most of which no disk has to hold.
fn silence(path: &Path, seconds: u32) {
    let size = seconds * 16_000;
    let mut header = Vec::new();
    for (name, value) in [(b"RIFF", size + 36), (b"WAVE", 0x2074_6d66)] {
        header.extend_from_slice(name);
        header.extend(value.to_le_bytes());
    }
    header.extend(16u32.to_le_bytes());
    header.extend([1u16, 1].iter().flat_map(|x| x.to_le_bytes()));
    header.extend([8000u32, 16_000].iter().flat_map(|x| x.to_le_bytes()));
    header.extend([2u16, 16].iter().flat_map(|x| x.to_le_bytes()));
    header.extend_from_slice(b"data");
    header.extend(size.to_le_bytes());
    fs::write(path, header).unwrap();
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(u64::from(size) + 44).unwrap();
}

/// Writes a WAV of a tone that glides around 127 Hz, otherwise like `silence`.
fn tone(path: &Path, seconds: u32) {
    silence(path, seconds);
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    let mut file = BufWriter::new(file);
    file.seek(SeekFrom::Start(44)).unwrap();
    for i in 0..8000 * seconds {
        let phase = 0.1 * f64::from(i) + (f64::from(i) / 9000.0).sin();
        let sample = (10_000.0 * phase.sin()) as i16;
        file.write_all(&sample.to_le_bytes()).unwrap();
    }
    file.flush().unwrap();
}

/// A folder with `wav.scp` of a recording `r` of silence.
fn recording(seconds: u32) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    silence(&dir.path().join("r.wav"), seconds);
    fs::write(dir.path().join("wav.scp"), "r r.wav\n").unwrap();
    dir
}

/// A recording of hours is read, computed and written in pieces.
#[test]
fn memory_does_not_follow_the_length_of_a_recording() {
    let peaks = [60, 3 * 3600].map(|seconds| {
        let dir = recording(seconds);
        let set = "sample_frequency=8000";
        let args = [
            "fbank",
            "--set",
            set,
            "--threads",
            "1",
            "scp:wav.scp",
            "ark:f.ark",
        ];
        let peak = peak(dir.path(), &args);
        // Frames of 23 bins: one each 10 ms, but for the last 15 ms.
        let frames = 100 * seconds as u64 - 2;
        let written = fs::metadata(dir.path().join("f.ark")).unwrap().len();
        assert_eq!(written, frames * 23 * 4 + 17);
        peak
    });
    let more = peaks[1].saturating_sub(peaks[0]);
    assert!(more < 16 << 20, "{peaks:?}");
}

/// Of a long recording pitch holds its result and what is not settled; the signal at 4 kHz lies in a file.
#[test]
fn pitch_holds_no_more_than_its_result() {
    let args = [
        "pitch",
        "--threads",
        "1",
        "--conf",
        "pitch.toml",
        "scp:wav.scp",
        "ark:p.ark",
    ];
    let peaks = [60, 900].map(|seconds| {
        let dir = tempfile::tempdir().unwrap();
        tone(&dir.path().join("r.wav"), seconds);
        fs::write(dir.path().join("wav.scp"), "r r.wav\n").unwrap();
        fs::write(dir.path().join("pitch.toml"), "sample_frequency = 8000.0\n").unwrap();
        peak(dir.path(), &args)
    });
    // Two numbers for each of 100 frames a second, at most twice over.
    let more = peaks[1].saturating_sub(peaks[0]) / 840;
    assert!(more < 3_000, "{more} bytes a second: {peaks:?}");
}

/// Of an utterance its samples and those of one variation are held: 4 bytes of each of 8000 and 8889 a second.
#[test]
fn augmenting_takes_the_samples_few_times() {
    let args = [
        "augment",
        "--threads",
        "1",
        "--conf",
        "aug.toml",
        "d",
        "out",
    ];
    let peaks = [60, 1800].map(|seconds| {
        let dir = recording(seconds);
        fs::create_dir(dir.path().join("d")).unwrap();
        fs::rename(dir.path().join("wav.scp"), dir.path().join("d/wav.scp")).unwrap();
        fs::write(dir.path().join("d/utt2spk"), "r r\n").unwrap();
        fs::write(
            dir.path().join("aug.toml"),
            "[speed]\nfactors = [0.9]\n[volume]\n",
        )
        .unwrap();
        peak(dir.path(), &args)
    });
    let more = peaks[1].saturating_sub(peaks[0]) / 1740;
    assert!(more < 90_000, "{more} bytes a second: {peaks:?}");
}

/// All results of a recording wait until it has proved whole: in one file, of which little is in memory.
#[test]
fn many_segments_of_one_recording_take_little() {
    let segments = |count: usize, seconds: usize| -> String {
        let line = |i: usize| format!("r-{i:06} r {} {}\n", i % 60, i % 60 + seconds);
        (0..count).map(line).collect()
    };
    let dir = recording(75);
    let at = dir.path();
    let fbank = [
        "fbank",
        "--set",
        "sample_frequency=8000",
        "--set",
        "dither=0",
        "--segments",
        "segments",
        "--threads",
        "1",
    ];
    let peaks = [100, 4000].map(|count| {
        fs::write(at.join("segments"), segments(count, 1)).unwrap();
        let peak = peak(at, &[&fbank[..], &["scp:wav.scp", "ark:f.ark"]].concat());
        // Keys of 8 letters, a space, 15 bytes of header, 98 frames of 23 bins.
        let written = fs::metadata(at.join("f.ark")).unwrap().len();
        assert_eq!(written, count as u64 * (9 + 15 + 98 * 23 * 4));
        peak
    });
    let more = peaks[1].saturating_sub(peaks[0]);
    assert!(more < 16 << 20, "{more} bytes for 36 MB: {peaks:?}");

    // Each of more than 1 MiB, and more of them than files may be open.
    fs::write(at.join("segments"), segments(45, 12)).unwrap();
    let command = format!(
        "ulimit -n 40 && exec {} {} --set frame_shift=1 scp:wav.scp ark:f.ark",
        env!("CARGO_BIN_EXE_unbraid"),
        fbank.join(" ")
    );
    let mut shell = Command::new("sh");
    let output = shell
        .args(["-c", &command])
        .current_dir(at)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
