//! Log mel spectrograms compared with openai-whisper, on real recordings.

use crate::{recordings, reference, references};
use unbraid::signal::{FrontEnd, FrontEndOptions, WhisperOptions};

#[test]
fn whispers_on_real_recordings() {
    let name = "whispers_on_real_recordings";
    let Some(python) = references::baselines(name) else {
        return;
    };
    for (path, waveform) in recordings(name) {
        if waveform.sample_rate_hz != 16000 {
            continue;
        }
        for num_mel_bins in [80, 128] {
            let options = WhisperOptions {
                num_mel_bins,
                padding: 16000,
            };
            let options = FrontEndOptions::from(options);
            let ours = FrontEnd::new(options.clone()).unwrap();
            let ours = ours.compute(&waveform.samples).unwrap();
            let samples = &waveform.samples;
            let theirs = reference(&python, "whisper_mel.py", &options, num_mel_bins, samples);
            assert_eq!(ours.dim(), theirs.dim());
            for ((at, a), b) in ours.indexed_iter().zip(&theirs) {
                assert!((a - b).abs() <= 1e-4, "{path} {at:?}: {a} for {b}");
            }
        }
    }
}
