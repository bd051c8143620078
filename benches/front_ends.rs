//! Front-ends on one core: 30 s of the bundled speech at 16 kHz, compared with the originals, mel_spec and bare FFTs.

#[path = "harness/mod.rs"]
mod harness;
#[path = "harness/speech.rs"]
mod speech;

use harness::{Baseline, Report, here};
use mel_spec::fbank::{Fbank, FbankConfig};
use realfft::RealFftPlanner;
use unbraid::io::audio::{AudioOptions, read_audio};
use unbraid::signal::{
    FbankOptions, FrontEnd, FrontEndOptions, MelOptions, MelOutput, WhisperOptions,
};

const SAMPLES: usize = 30 * 16000;

fn speech() -> Vec<f32> {
    let mut samples = Vec::new();
    for path in speech::bundled() {
        if samples.len() >= SAMPLES {
            break;
        }
        let waveform = read_audio(&path, &AudioOptions::default()).expect("bundled speech");
        samples.extend(waveform.samples);
    }
    samples.truncate(SAMPLES);
    samples
}

/// One real FFT per frame, always on the same buffers, without framing, windows or sums.
fn bare_ffts(length: usize, frames: usize) -> impl FnMut() {
    let fft = RealFftPlanner::<f32>::new().plan_fft_forward(length);
    let (mut input, mut output) = (fft.make_input_vec(), fft.make_output_vec());
    let mut scratch = fft.make_scratch_vec();
    move || {
        for frame in 0..frames {
            input.fill(frame as f32);
            fft.process_with_scratch(&mut input, &mut output, &mut scratch)
                .expect("the buffers were made by this FFT");
            std::hint::black_box(&output);
        }
    }
}

fn main() {
    let samples = speech();
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let bytes: Vec<u8> = samples.iter().flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(file.path(), bytes).expect("a temporary file");
    let path = file.path().display().to_string();
    let baseline = |name: &str| Baseline::start(&[name, &path]).map(Baseline::side);
    let make = |options: FrontEndOptions| FrontEnd::new(options).expect("options that fit");
    let fbank = make(FrontEndOptions::from(FbankOptions {
        num_mel_bins: 80,
        dither: 0.0,
        ..FbankOptions::default()
    }));
    let whisper = make(WhisperOptions::default().into());
    let mel = make(FrontEndOptions::from(MelOptions {
        sr: 16000.0,
        n_fft: 512,
        hop_length: 160,
        n_mels: 80,
        output: MelOutput::Db,
        ..MelOptions::default()
    }));
    let dithered = make(FrontEndOptions::from(FbankOptions {
        num_mel_bins: 80,
        ..FbankOptions::default()
    }));
    let original = Fbank::new(FbankConfig {
        num_mel_bins: 80,
        apply_cmn: false,
        ..FbankConfig::default()
    });
    let frames = fbank.frames(samples.len());
    let run = |front_end: &FrontEnd| front_end.compute(&samples).expect("finite samples");
    let streamed = || {
        let mut stream = fbank.stream();
        let parts: Vec<_> = samples
            .chunks(1600)
            .map(|chunk| stream.accept(chunk))
            .collect();
        (parts, stream.finish())
    };
    let mut report = Report::default();
    let ours = |front_end| here(move || run(front_end));
    report.compare(
        "fbank-80",
        "kaldi-native-fbank",
        ">= 10",
        ours(&fbank),
        baseline("kaldi_native_fbank"),
    );
    report.compare(
        "fbank-80",
        "torchaudio",
        "",
        ours(&fbank),
        baseline("torchaudio"),
    );
    let theirs = here(|| original.compute(&samples));
    report.compare(
        "fbank-80",
        "mel_spec Fbank",
        ">= 1.8",
        ours(&fbank),
        Some(theirs),
    );
    let ffts = here(bare_ffts(512, frames));
    report.compare(
        "fbank-80",
        "bare real FFTs (realfft, f32)",
        ">= 0.4",
        ours(&fbank),
        Some(ffts),
    );
    report.compare(
        "fbank-80, streamed by 100 ms",
        "whole",
        "",
        here(streamed),
        Some(ours(&fbank)),
    );
    report.compare(
        "fbank-80, dithered",
        "not dithered",
        "",
        ours(&dithered),
        Some(ours(&fbank)),
    );
    report.compare(
        "whisper-80",
        "openai-whisper, 1 thread",
        ">= 5",
        ours(&whisper),
        baseline("whisper"),
    );
    report.compare(
        "mel-80 in dB",
        "librosa",
        "",
        ours(&mel),
        baseline("librosa"),
    );
    report.print();
}
