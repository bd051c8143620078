//! Log mel spectrograms compared with openai-whisper, on real recordings.

use crate::{recordings, reference, references};
use unbraid::signal::{FrontEnd, FrontEndOptions, WhisperOptions};

#[test]
#[ignore = "needs UNBRAID_BASELINES and UNBRAID_CORPORA"]
fn with_baselines_with_corpora_whispers_on_real_recordings() {
    let python = references::baselines();
    for (path, waveform) in recordings() {
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
