//! `unbraid feats fbank` on all cores, from FLAC and WAV files to an archive, compared with soundfile and torchaudio in as
//! many processes (torchaudio 2.11 itself decodes no FLAC without torchcodec). The start of unbraid is timed, that of Python
//! is not.

#[path = "harness/mod.rs"]
mod harness;
#[path = "harness/speech.rs"]
mod speech;

use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{Baseline, Report, here};
use unbraid::io::audio::{AudioOptions, read_audio, write_wav};

/// How often each file is listed: one copy of all is 10 minutes of speech.
const COPIES: usize = 10;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let flac = speech::bundled();
    let wav: Vec<PathBuf> = flac
        .iter()
        .map(|path| as_wav(path, folder.path()))
        .collect();
    let mut report = Report::default();
    compare(&mut report, folder.path(), "FLAC", &flac, ">= 3.5");
    compare(&mut report, folder.path(), "WAV", &wav, ">= 5");
    report.print();
}

fn as_wav(flac: &Path, folder: &Path) -> PathBuf {
    let wav = folder
        .join(flac.file_name().unwrap_or_default())
        .with_extension("wav");
    let recording = read_audio(flac, &AudioOptions::default()).expect("bundled speech");
    write_wav(&wav, &recording).expect("a temporary file");
    wav
}

fn compare(report: &mut Report, folder: &Path, form: &str, files: &[PathBuf], target: &str) {
    let lines: String = (0..COPIES)
        .flat_map(|copy| files.iter().map(move |path| (copy, path)))
        .map(|(copy, path)| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            format!("{name}-{copy} {}\n", path.display())
        })
        .collect();
    let (wav_scp, ark) = (folder.join("wav.scp"), folder.join("feats.ark"));
    std::fs::write(&wav_scp, lines).expect("a temporary file");
    let (scp, ark) = (wav_scp.display().to_string(), ark.display().to_string());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let ours = || {
        let status = Command::new(env!("CARGO_BIN_EXE_unbraid"))
            .args([
                "feats",
                "fbank",
                "--set",
                "num_mel_bins=80",
                "--set",
                "dither=0",
            ])
            .args([format!("scp:{scp}"), format!("ark:{ark}")])
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "unbraid feats fbank"
        );
    };
    let baseline = Baseline::start(&["files_to_ark", &scp, &cores.to_string()]).map(Baseline::side);
    let count = COPIES * files.len();
    let task = format!("unbraid feats fbank, {count} {form} files, {cores} cores");
    report.compare(&task, "soundfile, torchaudio", target, here(ours), baseline);
}
