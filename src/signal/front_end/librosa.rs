//! Mel spectrograms as librosa gives them (`librosa.feature.melspectrogram`, `librosa.power_to_db`).

use mel_spec::mel::{SparseMelFilterbank, mel};
use serde::{Deserialize, Serialize};

use super::frames::{Ends, FrameGrid};
use super::kaldi::in_range;
use super::plan::{Cut, Energy, FrontEndPlan, Layout, Scale, Whole};
use super::window::WindowType;
use crate::error::{Error, Result};

/// Longer FFTs are a slip of units.
const MAX_FFT: usize = 1 << 20;
/// More filters are one too.
const MOST_FILTERS: usize = 1 << 12;

/// Window shapes, by scipy's names, in their periodic form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MelWindow {
    /// `0.5 - 0.5 cos(2 pi i/n)`.
    #[default]
    Hann,
    /// `0.54 - 0.46 cos(2 pi i/n)`.
    Hamming,
    /// `0.42 - 0.5 cos(2 pi i/n) + 0.08 cos(4 pi i/n)`.
    Blackman,
    /// 1.
    Boxcar,
}

/// What lies beyond the ends of the signal, by numpy's names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PadMode {
    /// Zeros.
    #[default]
    Constant,
    /// The signal backwards, the edge sample once.
    Reflect,
    /// The edge sample.
    Edge,
}

/// How filters are normalised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MelNorm {
    /// To an area of 1 over Hz.
    #[default]
    Slaney,
    /// To a peak of 1.
    None,
}

/// What is given of a filter's energy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MelOutput {
    /// The energy: `melspectrogram`.
    #[default]
    Linear,
    /// Its decibels: `power_to_db`.
    Db,
}

/// Options of `melspectrogram` by librosa's names and defaults, and of `power_to_db`.
///
/// ```toml
/// kind = "mel"
/// sr = 16000.0
/// n_fft = 512
/// hop_length = 160
/// n_mels = 80
/// output = "db"
/// ```
///
/// Features are `[frames, n_mels]`, the transpose of librosa's; `1 + samples/hop_length` frames with `center`. The
/// arithmetic is f64, as librosa's FFT is. With `output = "db"`, a `top_db` or `ref = 0` needs the loudest energy of
/// all: a stream works as samples come, but gives its frames at the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MelOptions {
    /// Sample rate of the audio in Hz; audio of another rate is refused.
    pub sr: f64,
    /// Samples of the FFT; even.
    pub n_fft: usize,
    /// Samples from one frame to the next.
    pub hop_length: usize,
    /// Samples of the window, in the middle of the frame; 0 for `n_fft`.
    pub win_length: usize,
    /// Shape of the window.
    pub window: MelWindow,
    /// Whether frame `i` has its middle at sample `i * hop_length`; else its beginning.
    pub center: bool,
    /// What lies beyond the ends, with `center`.
    pub pad_mode: PadMode,
    /// Power of the magnitudes that are weighed: 1 for magnitudes, 2 for powers.
    pub power: f64,
    /// Number of filters, up to 4096. One that is so narrow that no bin of the FFT falls into it has an energy of 0.
    pub n_mels: usize,
    /// Lower edge of the filters in Hz.
    pub fmin: f64,
    /// Upper edge in Hz; 0 for the Nyquist frequency.
    pub fmax: f64,
    /// Whether mel is HTK's, `2595 log10(1 + f/700)`; else Slaney's, linear below 1 kHz.
    pub htk: bool,
    /// How filters are normalised.
    pub norm: MelNorm,
    /// Energies or decibels.
    pub output: MelOutput,
    /// The energy that is 0 dB; 0 for the largest one (`ref=np.max`).
    #[serde(rename = "ref")]
    pub reference: f64,
    /// Below it an energy is taken for it, before decibels.
    pub amin: f64,
    /// How many decibels below the largest one values may lie; 0 for any number (`top_db=None`).
    pub top_db: f64,
}

impl Default for MelOptions {
    fn default() -> Self {
        Self {
            sr: 22050.0,
            n_fft: 2048,
            hop_length: 512,
            win_length: 0,
            window: MelWindow::Hann,
            center: true,
            pad_mode: PadMode::Constant,
            power: 2.0,
            n_mels: 128,
            fmin: 0.0,
            fmax: 0.0,
            htk: false,
            norm: MelNorm::Slaney,
            output: MelOutput::Linear,
            reference: 1.0,
            amin: 1e-10,
            top_db: 80.0,
        }
    }
}

impl MelOptions {
    pub(super) fn plan(&self) -> Result<FrontEndPlan> {
        in_range("sr", self.sr, 100.0, 1e6)?;
        in_range("power", self.power, 0.1, 10.0)?;
        in_range("ref", self.reference, 0.0, f64::MAX)?;
        in_range("amin", self.amin, 1e-30, f64::MAX)?;
        in_range("top_db", self.top_db, 0.0, f64::MAX)?;
        let fits = |name: &str, value: usize, low: usize, high: usize| {
            let expected = format!("{low} to {high} samples");
            match (low..=high).contains(&value) {
                true => Ok(()),
                false => Err(Error::option(name, expected, value.to_string())),
            }
        };
        fits("n_fft", self.n_fft, 2, MAX_FFT)?;
        fits("hop_length", self.hop_length, 1, MAX_FFT)?;
        fits("win_length", self.win_length, 0, self.n_fft)?;
        if self.n_fft % 2 == 1 {
            let found = self.n_fft.to_string();
            return Err(Error::option("n_fft", "an even number", found));
        }
        Ok(FrontEndPlan {
            rate_hz: self.sr,
            grid: self.grid(),
            padding: 0,
            cut: Cut {
                gain: 1.0,
                dither: 0.0,
                seed: 0,
                remove_mean: false,
                preemphasis: 0.0,
                window: self.window(),
                energy: Energy::None,
            },
            fft_length: self.n_fft,
            exponent: self.power,
            filters: Some(self.filters()?),
            scale: self.scale(),
            transform: None,
            layout: Layout {
                columns: self.n_mels,
                first: 0,
                energy: None,
                first_last: false,
            },
            whole: self.whole(),
            double: true,
        })
    }

    fn grid(&self) -> FrameGrid {
        let ends = match self.pad_mode {
            PadMode::Constant => Ends::Zeros,
            PadMode::Reflect => Ends::Reflect,
            PadMode::Edge => Ends::Edge,
        };
        match self.center {
            true => FrameGrid::centred(self.n_fft, self.hop_length, ends),
            false => FrameGrid::kaldi(self.n_fft, self.hop_length, true),
        }
    }

    /// The window in the middle of zeros (`util.pad_center`).
    fn window(&self) -> Vec<f64> {
        let length = match self.win_length {
            0 => self.n_fft,
            length => length,
        };
        let shape = match self.window {
            MelWindow::Hann => WindowType::Hanning,
            MelWindow::Hamming => WindowType::Hamming,
            MelWindow::Blackman => WindowType::Blackman,
            MelWindow::Boxcar => WindowType::Rectangular,
        };
        let start = (self.n_fft - length) / 2;
        let mut window = vec![0.0; self.n_fft];
        window[start..start + length].copy_from_slice(&shape.periodic(length));
        window
    }

    fn filters(&self) -> Result<SparseMelFilterbank> {
        let nyquist = self.sr / 2.0;
        let fmax = if self.fmax == 0.0 { nyquist } else { self.fmax };
        if !(fmax > 0.0 && fmax <= nyquist) {
            let expected = format!("up to the Nyquist frequency {nyquist} Hz");
            return Err(Error::option("fmax", expected, format!("{fmax} Hz")));
        }
        if !(self.fmin >= 0.0 && self.fmin < fmax) {
            let expected = format!("from 0 to below fmax at {fmax} Hz");
            return Err(Error::option("fmin", expected, format!("{} Hz", self.fmin)));
        }
        if !(1..=MOST_FILTERS).contains(&self.n_mels) {
            let expected = format!("1 to {MOST_FILTERS} filters");
            return Err(Error::option("n_mels", expected, self.n_mels.to_string()));
        }
        let slaney = self.norm == MelNorm::Slaney;
        let (low, high) = (Some(self.fmin), Some(fmax));
        let filters = mel(
            self.sr,
            self.n_fft,
            self.n_mels,
            low,
            high,
            self.htk,
            slaney,
        );
        Ok(SparseMelFilterbank::from_dense(&filters))
    }

    fn scale(&self) -> Scale {
        let offset = match self.reference {
            0.0 => 0.0,
            reference => 10.0 * reference.max(self.amin).log10(),
        };
        match self.output {
            MelOutput::Linear => Scale::Linear,
            MelOutput::Db => Scale::Log {
                floor: self.amin,
                factor: 10.0 * std::f64::consts::LOG10_E,
                offset,
            },
        }
    }

    fn whole(&self) -> Whole {
        let from_largest = self.reference == 0.0;
        let range = match self.top_db {
            0.0 => f32::INFINITY,
            range => range as f32,
        };
        match self.output == MelOutput::Db && (from_largest || range.is_finite()) {
            true => Whole::Floor {
                from_largest,
                range,
            },
            false => Whole::Nothing,
        }
    }
}
