//! The log mel spectrogram that Whisper reads (`whisper/audio.py`, `log_mel_spectrogram`).

use mel_spec::mel::SparseMelFilterbank;
use serde::{Deserialize, Serialize};

use super::frames::{Ends, FrameGrid};
use super::plan::{Cut, Energy, FrontEndPlan, Layout, Scale, Whole};
use super::window::WindowType;
use crate::error::{Error, Result};

/// Sample rate in Hz, FFT and shift in samples: fixed, as the networks were trained on them.
const RATE_HZ: f64 = 16000.0;
const FFT_LENGTH: usize = 400;
const SHIFT: usize = 160;
/// Below it an energy is taken for it.
const FLOOR: f64 = 1e-10;
/// Zeros beyond this (an hour) are a slip of units.
const MAX_PADDING: usize = 3600 * 16000;

/// Options of `log_mel_spectrogram`.
///
/// ```toml
/// kind = "whisper"
/// num_mel_bins = 128
/// ```
///
/// Features are `[frames, num_mel_bins]`, the transpose of Whisper's, at 16 kHz, a frame every 10 ms; `samples/160` of
/// them. A signal of 200 samples or less, which PyTorch refuses, is reflected as often as it takes.
///
/// Energies lie no more than 8 decades below the loudest of the whole signal. So a stream works as samples come,
/// but gives its frames at the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WhisperOptions {
    /// Number of filters: 80, or 128 as for large-v3.
    pub num_mel_bins: usize,
    /// Zeros put behind the signal, in samples; Whisper itself puts 480000 behind a recording.
    pub padding: usize,
}

impl Default for WhisperOptions {
    fn default() -> Self {
        Self {
            num_mel_bins: 80,
            padding: 0,
        }
    }
}

impl WhisperOptions {
    pub(super) fn plan(&self) -> Result<FrontEndPlan> {
        let bins = self.num_mel_bins;
        if ![80, 128].contains(&bins) {
            return Err(Error::option("num_mel_bins", "80 or 128", bins.to_string()));
        }
        if self.padding > MAX_PADDING {
            let expected = format!("up to {MAX_PADDING} samples");
            return Err(Error::option("padding", expected, self.padding.to_string()));
        }
        Ok(FrontEndPlan {
            rate_hz: RATE_HZ,
            grid: FrameGrid {
                drop_last: true,
                ..FrameGrid::centred(FFT_LENGTH, SHIFT, Ends::Reflect)
            },
            padding: self.padding,
            cut: Cut {
                gain: 1.0,
                dither: 0.0,
                seed: 0,
                remove_mean: false,
                preemphasis: 0.0,
                window: WindowType::Hanning.periodic(FFT_LENGTH),
                energy: Energy::None,
            },
            fft_length: FFT_LENGTH,
            exponent: 2.0,
            filters: Some(SparseMelFilterbank::from_mel(
                RATE_HZ, FFT_LENGTH, bins, None, None, false, true,
            )),
            scale: Scale::Log {
                floor: FLOOR,
                factor: std::f64::consts::LOG10_E,
                offset: 0.0,
            },
            transform: None,
            layout: Layout {
                columns: bins,
                first: 0,
                energy: None,
                first_last: false,
            },
            whole: Whole::Whisper,
            double: false,
        })
    }
}
