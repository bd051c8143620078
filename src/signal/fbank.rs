//! Log mel filter bank energies as Kaldi's `compute-fbank-feats` gives them, from samples to
//! `[frames, bins]`.

use std::sync::Arc;

use mel_spec::mel::SparseMelFilterbank;
use ndarray::Array2;
use realfft::{RealFftPlanner, RealToComplex};
use serde::{Deserialize, Serialize};

use super::frames::{Dither, FrameCutter, FrameOptions, WindowType, ms_to_samples};
use super::mel::{MelBand, kaldi_filters};
use crate::error::{Error, Result};
use crate::io::audio::Waveform;

/// What Kaldi floors energies at before a logarithm: the machine epsilon of f32.
const EPSILON: f64 = f32::EPSILON as f64;

/// Kaldi's options by Kaldi's names and defaults. Left out are the VTLN warp and the debugging ones; `seed`
/// is ours.
///
/// ```toml
/// sample_frequency = 16000.0
/// num_mel_bins = 40
/// dither = 0.0
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FbankOptions {
    /// Sample rate of the audio in Hz; audio of another rate is refused.
    pub sample_frequency: f64,
    /// Frame length in ms.
    pub frame_length: f64,
    /// Frame shift in ms.
    pub frame_shift: f64,
    /// Deviation of the noise added to samples on the 16-bit scale; 0 for none.
    pub dither: f64,
    /// Seed of the dither; each utterance begins anew from it.
    pub seed: u64,
    /// Coefficient of the pre-emphasis, 0 to 1.
    pub preemphasis_coefficient: f64,
    /// Whether each frame loses its mean.
    pub remove_dc_offset: bool,
    /// Shape of the window.
    pub window_type: WindowType,
    /// Constant of the Blackman window.
    pub blackman_coeff: f64,
    /// Whether frames are padded to a power of two.
    pub round_to_power_of_two: bool,
    /// Whether only whole frames are given; else the ends are mirrored.
    pub snip_edges: bool,
    /// Number of filters.
    pub num_mel_bins: usize,
    /// Lower edge of the filters in Hz.
    pub low_freq: f64,
    /// Upper edge in Hz; 0 or below counts from the Nyquist frequency.
    pub high_freq: f64,
    /// Whether the log energy of the frame is an extra column: the first, or the last with `htk_compat`.
    pub use_energy: bool,
    /// Floor of that energy (not its log); 0 for none.
    pub energy_floor: f64,
    /// Whether that energy is taken before pre-emphasis and window.
    pub raw_energy: bool,
    /// Whether the energy comes last.
    pub htk_compat: bool,
    /// Whether the filters' logarithm is given.
    pub use_log_fbank: bool,
    /// Whether the filters weigh the power spectrum; else the magnitudes.
    pub use_power: bool,
}

impl Default for FbankOptions {
    fn default() -> Self {
        Self {
            sample_frequency: 16000.0,
            frame_length: 25.0,
            frame_shift: 10.0,
            dither: 1.0,
            seed: 0,
            preemphasis_coefficient: 0.97,
            remove_dc_offset: true,
            window_type: WindowType::Povey,
            blackman_coeff: 0.42,
            round_to_power_of_two: true,
            snip_edges: true,
            num_mel_bins: 23,
            low_freq: 20.0,
            high_freq: 0.0,
            use_energy: false,
            energy_floor: 0.0,
            raw_energy: true,
            htk_compat: false,
            use_log_fbank: true,
            use_power: true,
        }
    }
}

impl FbankOptions {
    /// Columns of the features.
    pub fn dim(&self) -> usize {
        self.num_mel_bins + usize::from(self.use_energy)
    }

    /// The frames' part of the options, in samples.
    ///
    /// # Errors
    /// [`Error::Option`] for values outside what each field documents.
    pub fn frame_options(&self) -> Result<FrameOptions> {
        let rate_hz = self.sample_frequency;
        in_range("sample_frequency", rate_hz, 100.0, 1e6)?;
        in_range("dither", self.dither, 0.0, 32768.0)?;
        let preemphasis_coefficient = self.preemphasis_coefficient;
        in_range("preemphasis_coefficient", preemphasis_coefficient, 0.0, 1.0)?;
        in_range("blackman_coeff", self.blackman_coeff, 0.0, 0.5)?;
        in_range("energy_floor", self.energy_floor, 0.0, f64::MAX)?;
        let length = ms_to_samples("frame_length", self.frame_length, rate_hz, 2)?;
        if !self.round_to_power_of_two && length % 2 == 1 {
            let expected = "an even number of samples where round_to_power_of_two is false";
            return Err(Error::option("frame_length", expected, length.to_string()));
        }
        Ok(FrameOptions {
            length,
            shift: ms_to_samples("frame_shift", self.frame_shift, rate_hz, 1)?,
            dither: self.dither,
            seed: self.seed,
            remove_dc_offset: self.remove_dc_offset,
            preemphasis_coefficient,
            window_type: self.window_type,
            blackman_coeff: self.blackman_coeff,
            round_to_power_of_two: self.round_to_power_of_two,
            snip_edges: self.snip_edges,
        })
    }
}

fn in_range(name: &str, value: f64, low: f64, high: f64) -> Result<()> {
    if value >= low && value <= high {
        return Ok(());
    }
    let expected = match high == f64::MAX {
        true => format!("a finite number from {low}"),
        false => format!("a number from {low} to {high}"),
    };
    Err(Error::option(name, expected, value.to_string()))
}

/// Computes features; made once, shared by threads.
///
/// The arithmetic is f64 and each value is rounded once, at the end; Kaldi's is f32 throughout. The two differ
/// by less than 1e-3 nats, but for bins 84 dB and more below the loudest of their frame, where f32's own
/// rounding is larger (tests/it/fbank_oracle.rs).
#[derive(Clone)]
pub struct FbankComputer {
    options: FbankOptions,
    cutter: FrameCutter,
    filters: SparseMelFilterbank,
    fft: Arc<dyn RealToComplex<f64>>,
}

impl std::fmt::Debug for FbankComputer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("FbankComputer").field(&self.options).finish()
    }
}

impl FbankComputer {
    /// Checks the options and prepares window, filters and FFT.
    ///
    /// # Errors
    /// [`Error::Option`] naming the option that is out of its range or contradicts another.
    pub fn new(options: &FbankOptions) -> Result<Self> {
        let cutter = FrameCutter::new(options.frame_options()?);
        let band = MelBand {
            bins: options.num_mel_bins,
            low_hz: options.low_freq,
            high_hz: options.high_freq,
        };
        let filters = kaldi_filters(&band, options.sample_frequency, cutter.padded_length())?;
        Ok(Self {
            options: options.clone(),
            fft: RealFftPlanner::new().plan_fft_forward(cutter.padded_length()),
            cutter,
            filters,
        })
    }

    /// The options it was made from.
    pub fn options(&self) -> &FbankOptions {
        &self.options
    }

    /// Columns of the features.
    pub fn dim(&self) -> usize {
        self.options.dim()
    }

    /// Frames that `samples` samples give.
    pub fn frames(&self, samples: usize) -> usize {
        self.cutter.frames(samples)
    }

    /// Features `[frames, dim]` of samples with full scale 1, which are brought to Kaldi's 16-bit scale
    /// here. Samples too few for one frame give 0 rows. The same samples give the same features always,
    /// dither included.
    pub fn compute(&self, samples: &[f32]) -> Array2<f32> {
        let mut feats = Array2::zeros((self.frames(samples.len()), self.dim()));
        let mut dither = self.cutter.dither();
        let mut scratch = Scratch::new(self);
        for (index, mut row) in feats.rows_mut().into_iter().enumerate() {
            let log_energy = self.frame(samples, index, &mut dither, &mut scratch);
            let first = usize::from(self.options.use_energy && !self.options.htk_compat);
            for (value, energy) in row.iter_mut().skip(first).zip(&scratch.mel) {
                *value = match self.options.use_log_fbank {
                    true => energy.max(EPSILON).ln() as f32,
                    false => *energy as f32,
                };
            }
            if self.options.use_energy {
                row[if first == 1 { 0 } else { self.dim() - 1 }] = log_energy as f32;
            }
        }
        feats
    }

    /// As [`FbankComputer::compute`], once the sample rate has been held against the options.
    ///
    /// # Errors
    /// [`Error::Option`] when the waveform has another rate, or too few samples for one frame.
    pub fn compute_waveform(&self, waveform: &Waveform) -> Result<Array2<f32>> {
        if f64::from(waveform.sample_rate_hz) != self.options.sample_frequency {
            let expected = format!("{} Hz", waveform.sample_rate_hz);
            let found = format!("{} Hz", self.options.sample_frequency);
            return Err(Error::option(
                "sample_frequency",
                format!("the audio's {expected} (or --resample)"),
                found,
            ));
        }
        if self.frames(waveform.samples.len()) == 0 {
            let expected = format!("audio of one frame of {} ms", self.options.frame_length);
            let found = format!("{} samples", waveform.samples.len());
            return Err(Error::option("frame_length", expected, found));
        }
        Ok(self.compute(&waveform.samples))
    }

    /// Leaves the mel energies of one frame in `scratch.mel`; returns its log energy.
    fn frame(
        &self,
        samples: &[f32],
        index: usize,
        dither: &mut Dither,
        scratch: &mut Scratch,
    ) -> f64 {
        let raw_energy = self.cutter.cut(samples, index, dither, &mut scratch.frame);
        let energy = match self.options.raw_energy {
            true => raw_energy,
            false => scratch.frame.iter().map(|x| x * x).sum(),
        };
        (self.fft)
            .process_with_scratch(&mut scratch.frame, &mut scratch.spectrum, &mut scratch.fft)
            .expect("the buffers were made by this FFT");
        for (power, bin) in scratch.power.iter_mut().zip(&scratch.spectrum) {
            *power = match self.options.use_power {
                true => bin.norm_sqr(),
                false => bin.norm(),
            };
        }
        (self.filters).project_power_f64(&scratch.power, &mut scratch.mel);
        energy.max(EPSILON).max(self.options.energy_floor).ln()
    }
}

/// The buffers of one utterance, used frame after frame.
struct Scratch {
    frame: Vec<f64>,
    spectrum: Vec<rustfft::num_complex::Complex<f64>>,
    fft: Vec<rustfft::num_complex::Complex<f64>>,
    /// Without the Nyquist bin.
    power: Vec<f64>,
    mel: Vec<f64>,
}

impl Scratch {
    fn new(computer: &FbankComputer) -> Self {
        Self {
            frame: computer.fft.make_input_vec(),
            spectrum: computer.fft.make_output_vec(),
            fft: computer.fft.make_scratch_vec(),
            power: vec![0.0; computer.filters.fft_bins()],
            mel: vec![0.0; computer.filters.n_mels()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(toml: &str) -> String {
        match toml::from_str::<FbankOptions>(toml) {
            Ok(options) => FbankComputer::new(&options).unwrap_err().to_string(),
            Err(error) => error.message().to_string(),
        }
    }

    #[test]
    fn contradictions_are_named() {
        for (toml, message) in [
            (
                "high_freq = 8001.0",
                "high_freq: expected up to the Nyquist frequency 8000 Hz, found 8001 Hz",
            ),
            ("high_freq = -8000.0", "high_freq: expected up to"),
            ("low_freq = 8000.0", "low_freq: expected from 0 to below"),
            ("low_freq = -1.0", "low_freq: expected from 0 to below"),
            ("high_freq = nan", "high_freq: expected up to"),
            ("num_mel_bins = 2", "num_mel_bins: expected at least 3"),
            (
                "num_mel_bins = 300",
                "num_mel_bins: expected filters that each hold",
            ),
            (
                "frame_shift = 0.0",
                "frame_shift: expected milliseconds that hold",
            ),
            (
                "frame_shift = -10.0",
                "frame_shift: expected milliseconds that hold",
            ),
            (
                "frame_length = 0.05",
                "frame_length: expected milliseconds that hold",
            ),
            (
                "frame_length = 25.1\nround_to_power_of_two = false",
                "frame_length: expected an even number of samples",
            ),
            (
                "sample_frequency = 0.0",
                "sample_frequency: expected a number",
            ),
            (
                "sample_frequency = nan",
                "sample_frequency: expected a number",
            ),
            ("dither = -1.0", "dither: expected a number from 0"),
            (
                "preemphasis_coefficient = 1.5",
                "preemphasis_coefficient: expected",
            ),
            (
                "energy_floor = inf",
                "energy_floor: expected a finite number",
            ),
            ("window_type = \"kaiser\"", "unknown variant `kaiser`"),
            ("num_mel_bin = 40", "unknown field `num_mel_bin`"),
            ("num_mel_bins = -1", "invalid value"),
        ] {
            let error = refused(toml);
            assert!(error.starts_with(message), "{toml}: {error}");
        }
    }

    #[test]
    fn rows_columns_and_too_little_audio() {
        let options = FbankOptions {
            use_energy: true,
            ..FbankOptions::default()
        };
        let computer = FbankComputer::new(&options).unwrap();
        assert_eq!(computer.compute(&[0.0; 560]).dim(), (2, 24));
        assert_eq!(computer.compute(&[0.0; 399]).dim(), (0, 24));
        let short = Waveform {
            samples: vec![0.0; 399],
            sample_rate_hz: 16000,
        };
        let error = computer.compute_waveform(&short).unwrap_err().to_string();
        assert!(error.ends_with("found 399 samples"), "{error}");
        let other = Waveform {
            samples: vec![0.0; 999],
            sample_rate_hz: 8000,
        };
        let error = computer.compute_waveform(&other).unwrap_err().to_string();
        assert_eq!(
            error,
            "sample_frequency: expected the audio's 8000 Hz (or --resample), found 16000 Hz"
        );
    }

    #[test]
    fn silence_is_floored_and_dither_repeats() {
        let mut options = FbankOptions {
            dither: 0.0,
            ..FbankOptions::default()
        };
        let silent = FbankComputer::new(&options).unwrap().compute(&[0.0; 400]);
        let floor = EPSILON.ln() as f32;
        assert!(silent.iter().all(|&value| value == floor));
        options.dither = 1.0;
        let computer = FbankComputer::new(&options).unwrap();
        let noisy = computer.compute(&[0.0; 4000]);
        assert!(noisy.iter().all(|&value| value > floor));
        assert_eq!(noisy, computer.compute(&[0.0; 4000]));
        options.seed = 1;
        let other = FbankComputer::new(&options).unwrap();
        assert_ne!(noisy, other.compute(&[0.0; 4000]));
    }
}
