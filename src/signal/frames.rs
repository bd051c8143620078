//! Samples cut into windowed frames as Kaldi's `feature-window.cc` does it; every front-end that follows
//! Kaldi stands on this.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Kaldi works on the scale of 16-bit integers; a [`crate::io::audio::Waveform`] has full scale at 1.
pub const INT16_SCALE: f64 = 32768.0;
/// Frames of more samples than this are a slip of units (10 s at 48 kHz).
const MAX_FRAME: f64 = 480_000.0;

/// Window shapes, by Kaldi's names. `n` is the frame length, `i` counts from 0 to `n-1`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WindowType {
    /// `(0.5 - 0.5 cos(2 pi i/(n-1)))^0.85`: near Hamming, but falling to zero at the edges.
    #[default]
    Povey,
    /// `0.54 - 0.46 cos(2 pi i/(n-1))`.
    Hamming,
    /// `0.5 - 0.5 cos(2 pi i/(n-1))`.
    Hanning,
    /// `sin(pi i/(n-1))`.
    Sine,
    /// `c - 0.5 cos(2 pi i/(n-1)) + (0.5-c) cos(4 pi i/(n-1))` with `c` the `blackman_coeff`.
    Blackman,
    /// 1.
    Rectangular,
}

/// How samples become frames. Lengths are in samples, amplitudes on Kaldi's 16-bit scale.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameOptions {
    /// Samples in a frame; at least 2.
    pub length: usize,
    /// Samples from one frame to the next; at least 1.
    pub shift: usize,
    /// Standard deviation of the noise added to each sample; 0 for none.
    pub dither: f64,
    /// Seed of that noise.
    pub seed: u64,
    /// Whether each frame loses its mean.
    pub remove_dc_offset: bool,
    /// `a` of `y[i] = x[i] - a x[i-1]`, with `y[0] = x[0] - a x[0]`.
    pub preemphasis_coefficient: f64,
    pub window_type: WindowType,
    /// `c` of the Blackman window.
    pub blackman_coeff: f64,
    /// Whether frames are padded with zeros to a power of two.
    pub round_to_power_of_two: bool,
    /// Whether only whole frames are given; else `samples/shift` of them, mirrored at both ends.
    pub snip_edges: bool,
}

/// Turns the milliseconds of option `name` into samples, cut off to whole ones as Kaldi does.
///
/// # Errors
/// [`Error::Option`] when that is fewer than `least` samples, beyond ten seconds or not a number.
pub fn ms_to_samples(name: &str, ms: f64, rate_hz: f64, least: usize) -> Result<usize> {
    let samples = (rate_hz * 0.001 * ms).floor();
    if samples >= least as f64 && samples <= MAX_FRAME {
        return Ok(samples as usize);
    }
    let expected = format!("milliseconds that hold {least} to {MAX_FRAME} samples at {rate_hz} Hz");
    Err(Error::option(name, expected, format!("{ms}")))
}

/// Cuts and windows frames; made once, used for every utterance.
#[derive(Debug, Clone)]
pub struct FrameCutter {
    options: FrameOptions,
    window: Vec<f64>,
}

/// The noise and scratch of one utterance.
#[derive(Debug)]
pub struct Dither {
    noise: Option<(f64, ChaCha8Rng)>,
}

impl FrameCutter {
    /// Takes options that [`FrameOptions`] documents as valid; the front-ends check what users gave.
    pub fn new(options: FrameOptions) -> Self {
        let window = window(options.window_type, options.length, options.blackman_coeff);
        Self { options, window }
    }

    /// Samples in a frame after padding: the length of the FFT.
    pub fn padded_length(&self) -> usize {
        match self.options.round_to_power_of_two {
            true => self.options.length.next_power_of_two(),
            false => self.options.length,
        }
    }

    /// Frames that `samples` samples give.
    pub fn frames(&self, samples: usize) -> usize {
        let FrameOptions { length, shift, .. } = self.options;
        match self.options.snip_edges {
            true if samples < length => 0,
            true => 1 + (samples - length) / shift,
            false => (samples + shift / 2) / shift,
        }
    }

    /// The noise source of one utterance: each begins anew from the seed, so that an utterance's features
    /// do not depend on what was computed before it.
    pub fn dither(&self) -> Dither {
        let seeded = || ChaCha8Rng::seed_from_u64(self.options.seed);
        Dither {
            noise: (self.options.dither > 0.0).then(|| (self.options.dither, seeded())),
        }
    }

    /// Writes frame `index` of `samples` (full scale 1) into `frame` (`padded_length`): scaled to 16 bits,
    /// dithered, freed of its mean, pre-emphasised, windowed, padded. Returns its energy before
    /// pre-emphasis and window, Kaldi's "raw" energy.
    pub fn cut(
        &self,
        samples: &[f32],
        index: usize,
        dither: &mut Dither,
        frame: &mut [f64],
    ) -> f64 {
        let (frame, padding) = frame.split_at_mut(self.options.length);
        padding.fill(0.0);
        self.gather(samples, index, frame);
        dither.add(frame);
        if self.options.remove_dc_offset {
            let mean = frame.iter().sum::<f64>() / frame.len() as f64;
            frame.iter_mut().for_each(|x| *x -= mean);
        }
        let raw_energy = frame.iter().map(|x| x * x).sum();
        preemphasise(frame, self.options.preemphasis_coefficient);
        for (x, weight) in frame.iter_mut().zip(&self.window) {
            *x *= weight;
        }
        raw_energy
    }

    fn gather(&self, samples: &[f32], index: usize, frame: &mut [f64]) {
        let FrameOptions { length, shift, .. } = self.options;
        let start = match self.options.snip_edges {
            true => (index * shift) as isize,
            false => (index * shift + shift / 2) as isize - (length / 2) as isize,
        };
        for (offset, x) in frame.iter_mut().enumerate() {
            let at = mirror(start + offset as isize, samples.len() as isize);
            *x = f64::from(samples[at]) * INT16_SCALE;
        }
    }
}

impl Dither {
    /// Adds Gaussian noise by Box and Muller's transform.
    fn add(&mut self, frame: &mut [f64]) {
        let Some((deviation, rng)) = &mut self.noise else {
            return;
        };
        for x in frame {
            let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
            let angle = std::f64::consts::TAU * rng.random::<f64>();
            *x += *deviation * radius * angle.cos();
        }
    }
}

/// The sample that stands for sample `at` of `length` when the signal is mirrored at both ends, as often as
/// it takes.
fn mirror(mut at: isize, length: isize) -> usize {
    while at < 0 || at >= length {
        at = if at < 0 { -at - 1 } else { 2 * length - 1 - at };
    }
    at as usize
}

fn preemphasise(frame: &mut [f64], coefficient: f64) {
    for i in (1..frame.len()).rev() {
        frame[i] -= coefficient * frame[i - 1];
    }
    frame[0] -= coefficient * frame[0];
}

fn window(kind: WindowType, length: usize, blackman_coeff: f64) -> Vec<f64> {
    let step = std::f64::consts::TAU / (length - 1) as f64;
    let shape = |i: usize| {
        let angle = step * i as f64;
        match kind {
            WindowType::Povey => (0.5 - 0.5 * angle.cos()).powf(0.85),
            WindowType::Hamming => 0.54 - 0.46 * angle.cos(),
            WindowType::Hanning => 0.5 - 0.5 * angle.cos(),
            WindowType::Sine => (0.5 * angle).sin(),
            WindowType::Blackman => {
                blackman_coeff - 0.5 * angle.cos() + (0.5 - blackman_coeff) * (2.0 * angle).cos()
            }
            WindowType::Rectangular => 1.0,
        }
    };
    (0..length).map(shape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cutter(snip_edges: bool, dither: f64) -> FrameCutter {
        FrameCutter::new(FrameOptions {
            length: 4,
            shift: 2,
            dither,
            seed: 0,
            remove_dc_offset: false,
            preemphasis_coefficient: 0.0,
            window_type: WindowType::Rectangular,
            blackman_coeff: 0.42,
            round_to_power_of_two: true,
            snip_edges,
        })
    }

    #[test]
    fn whole_frames_or_mirrored_ones() {
        let samples: Vec<f32> = (0..7).map(|i| i as f32 / 32768.0).collect();
        let frame = |snip_edges, index| {
            let mut frame = [0.0; 4];
            let cutter = cutter(snip_edges, 0.0);
            cutter.cut(&samples, index, &mut cutter.dither(), &mut frame);
            frame
        };
        assert_eq!(frame(true, 1), [2.0, 3.0, 4.0, 5.0]);
        assert_eq!(frame(false, 0), [0.0, 0.0, 1.0, 2.0]);
        assert_eq!(frame(false, 3), [5.0, 6.0, 6.0, 5.0]);
        let counts = |snip_edges| [0, 3, 4, 5, 6, 7].map(|n| cutter(snip_edges, 0.0).frames(n));
        assert_eq!(counts(true), [0, 0, 1, 1, 2, 2]);
        assert_eq!(counts(false), [0, 2, 2, 3, 3, 4]);
    }

    #[test]
    fn a_signal_shorter_than_its_mirror_is_folded_again() {
        assert_eq!([-3, -2, -1, 0, 1, 2].map(|at| mirror(at, 1)), [0; 6]);
        assert_eq!([-3, -1, 2, 4].map(|at| mirror(at, 2)), [1, 0, 1, 0]);
    }

    #[test]
    fn dither_has_its_deviation_and_begins_anew() {
        let cutter = cutter(true, 2.0);
        let noise = |dither: &mut Dither| {
            let mut frame = vec![0.0; 20_000];
            dither.add(&mut frame);
            frame
        };
        let first = noise(&mut cutter.dither());
        assert_eq!(first, noise(&mut cutter.dither()));
        let variance = first.iter().map(|x| x * x).sum::<f64>() / first.len() as f64;
        assert!((variance - 4.0).abs() < 0.2, "{variance}");
    }

    #[test]
    fn milliseconds_are_checked() {
        assert_eq!(
            ms_to_samples("frame_length", 25.0, 11025.0, 2).unwrap(),
            275
        );
        for ms in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
            let error = ms_to_samples("frame_shift", ms, 8000.0, 1).unwrap_err();
            assert!(error.to_string().starts_with("frame_shift: expected"));
        }
    }
}
