//! Pitch and voicing: samples to `[frames, 2]`, the normalised correlation at the pitch period, from -1 to 1, and
//! the pitch in Hz, also where nothing is voiced.
//!
//! The method is that of Ghahremani, BabaAli, Povey, Riedhammer, Trmal and Khudanpur, "A pitch extraction algorithm
//! tuned for automatic speech recognition" (ICASSP 2014), as Kaldi's `compute-kaldi-pitch-feats` computes it for
//! whole files (`pitch-functions.cc`): the signal is brought to 4 kHz (`lowpass`), correlated with itself frame by
//! frame and brought to lags in geometric progression (`correlation`), and the best path through the lags of all
//! frames is the pitch (`track`). An utterance is taken in blocks, but nothing comes before its end. What speech recognition makes of it, [`post`] gives: warped voicing, normalised log pitch and its slope.

mod contour;
mod correlation;
mod frame_pitch;
mod lowpass;
pub mod post;
mod shelved;
mod track;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use self::correlation::Correlator;
use self::lowpass::{LowSignal, Lowpass};
use self::shelved::Shelf;
use self::track::Tracker;
use crate::error::{Error, Result};

pub use contour::{F0Contour, LogF0Statistics};
pub use frame_pitch::FramePitch;
pub use post::PitchPostOptions;

/// Frames after which the path is looked at for what is settled.
const SETTLING_FRAMES: usize = 1 << 10;
/// The most states: back pointers of paths have no more values.
const MOST_LAGS: f64 = 65_535.0;

/// Kaldi's options by Kaldi's names and defaults. Left out are those of processing in chunks and the deprecated
/// pre-emphasis.
///
/// ```toml
/// sample_frequency = 16000.0
/// min_f0 = 60.0
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PitchOptions {
    /// Sample rate of the audio in Hz, a whole number; audio of another rate is refused.
    pub sample_frequency: f64,
    /// Length in ms of the window that is correlated.
    pub frame_length: f64,
    /// Frame shift in ms.
    pub frame_shift: f64,
    /// Lowest pitch in Hz.
    pub min_f0: f64,
    /// Highest pitch in Hz.
    pub max_f0: f64,
    /// Makes long lags dearer: a lag of this many Hz gets nothing for its correlation. At most `min_f0`.
    pub soft_min_f0: f64,
    /// How dear a change of pitch is.
    pub penalty_factor: f64,
    /// Where the low pass ends, in Hz.
    pub lowpass_cutoff: f64,
    /// Sample rate in Hz to which the signal is brought, a whole number.
    pub resample_frequency: f64,
    /// Relative distance of neighbouring pitches.
    pub delta_pitch: f64,
    /// Holds the correlation of quiet frames down, for a pitch that goes smoothly through them.
    pub nccf_ballast: f64,
    /// Zeros of the low pass on each side.
    pub lowpass_filter_width: usize,
    /// Zeros, on each side, of the filter that interpolates the correlation.
    pub upsample_filter_width: usize,
    /// Whether only whole frames are given.
    pub snip_edges: bool,
    /// What [`PitchComputer::features`] makes of it.
    pub post: PitchPostOptions,
}

impl Default for PitchOptions {
    fn default() -> Self {
        Self {
            sample_frequency: 16000.0,
            frame_length: 25.0,
            frame_shift: 10.0,
            min_f0: 50.0,
            max_f0: 400.0,
            soft_min_f0: 10.0,
            penalty_factor: 0.1,
            lowpass_cutoff: 1000.0,
            resample_frequency: 4000.0,
            delta_pitch: 0.005,
            nccf_ballast: 7000.0,
            lowpass_filter_width: 1,
            upsample_filter_width: 5,
            snip_edges: true,
            post: PitchPostOptions::default(),
        }
    }
}

impl PitchOptions {
    fn check(&self) -> Result<()> {
        whole_hz("sample_frequency", self.sample_frequency)?;
        whole_hz("resample_frequency", self.resample_frequency)?;
        let nyquist = self.sample_frequency.min(self.resample_frequency) / 2.0;
        within("lowpass_cutoff", self.lowpass_cutoff, 1.0, nyquist)?;
        within("max_f0", self.max_f0, 1.0, self.resample_frequency / 2.0)?;
        within("min_f0", self.min_f0, 1.0, self.max_f0 / 1.01)?;
        within("soft_min_f0", self.soft_min_f0, 0.0, self.min_f0)?;
        within("penalty_factor", self.penalty_factor, 1e-6, 1e6)?;
        within("delta_pitch", self.delta_pitch, 1e-4, 0.1)?;
        within("nccf_ballast", self.nccf_ballast, 0.0, 1e9)?;
        let lags = (self.max_f0 / self.min_f0).ln() / self.delta_pitch.ln_1p();
        if lags >= MOST_LAGS {
            let expected =
                format!("steps of which fewer than {MOST_LAGS} lead from min_f0 to max_f0");
            return Err(Error::option(
                "delta_pitch",
                expected,
                self.delta_pitch.to_string(),
            ));
        }
        for (name, width) in [
            ("lowpass_filter_width", self.lowpass_filter_width),
            ("upsample_filter_width", self.upsample_filter_width),
        ] {
            if !(1..=100).contains(&width) {
                return Err(Error::option(name, "1 to 100 zeros", width.to_string()));
            }
        }
        self.post.check()
    }

    /// Samples at `resample_frequency` in so many milliseconds, cut off as Kaldi does.
    fn samples(&self, name: &str, ms: f64) -> Result<usize> {
        super::front_end::frames::ms_to_samples(name, ms, self.resample_frequency, 1)
    }
}

fn within(name: &str, value: f64, low: f64, high: f64) -> Result<()> {
    if value >= low && value <= high {
        return Ok(());
    }
    let expected = format!("a number from {low} to {high}");
    Err(Error::option(name, expected, value.to_string()))
}

fn whole_hz(name: &str, value: f64) -> Result<()> {
    if (100.0..=1e6).contains(&value) && value.fract() == 0.0 {
        return Ok(());
    }
    let expected = "a whole number of Hz from 100 to 1000000";
    Err(Error::option(name, expected, value.to_string()))
}

/// Computes pitch; built once, shared by threads.
///
/// Arithmetic is f64, Kaldi's is f32: pitches are the same but for ties that rounding breaks (tests/it/pitch.rs).
/// The energy that weighs the ballast is that of all of the signal, where Kaldi leaves out its last 0.5 ms in all
/// but the last frames.
///
/// ```
/// use unbraid::signal::pitch::{PitchComputer, PitchOptions};
///
/// let tone: Vec<f32> = (0..16000).map(|i| (i as f32 / 16000.0 * 200.0 * std::f32::consts::TAU).sin()).collect();
/// let pitch = PitchComputer::new(&PitchOptions::default())?.compute(&tone)?;
/// assert_eq!(pitch.dim(), (98, 2));
/// assert!(pitch[[50, 0]] > 0.99 && (pitch[[50, 1]] - 200.0).abs() < 2.0);
/// # Ok::<(), unbraid::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct PitchComputer {
    options: PitchOptions,
    lowpass: Lowpass,
    correlator: Correlator,
    tracker: Tracker,
    frame_shift: usize,
}

impl PitchComputer {
    /// Checks the options and prepares filters and lags.
    ///
    /// # Errors
    /// [`Error::Option`] naming the option that is out of its range or contradicts another.
    pub fn new(options: &PitchOptions) -> Result<Self> {
        options.check()?;
        let correlator = Correlator::new(options)?;
        Ok(Self {
            lowpass: Lowpass::new(options),
            tracker: Tracker::new(options, correlator.lags()),
            correlator,
            frame_shift: options.samples("frame_shift", options.frame_shift)?,
            options: options.clone(),
        })
    }

    /// Its options.
    pub fn options(&self) -> &PitchOptions {
        &self.options
    }

    /// Frames that `samples` samples give.
    pub fn frames(&self, samples: usize) -> usize {
        let low = self.lowpass.samples(samples);
        let length = self.correlator.frame_length();
        match self.options.snip_edges {
            _ if low < length => 0,
            true => 1 + (low - length) / self.frame_shift,
            false => (low + self.frame_shift / 2) / self.frame_shift,
        }
    }

    /// Correlation and pitch in Hz, `[frames, 2]`, of samples on any scale. Samples too few for a frame give 0 rows;
    /// silence has correlation 0 and the highest pitch.
    ///
    /// # Errors
    /// As [`PitchSignal::accept`].
    pub fn compute(&self, samples: &[f32]) -> Result<Array2<f32>> {
        let mut signal = self.signal();
        signal.accept(samples)?;
        signal.finish()
    }

    /// The features of [`post`], `[frames, features]`, of correlation and pitch.
    pub fn features(&self, pitch: &Array2<f32>) -> Array2<f32> {
        self.options.post.features(pitch.view())
    }

    /// An utterance that comes in blocks. Its low signal is held, beyond half a minute in a temporary file.
    pub fn signal(&self) -> PitchSignal<'_> {
        PitchSignal {
            computer: self,
            low: self.lowpass.start(),
            shelf: Shelf::new(),
            block: Vec::new(),
        }
    }

    /// Refuses audio of another sample rate, in Hz.
    ///
    /// # Errors
    /// [`Error::Option`] `audio`.
    pub fn check_rate(&self, audio_hz: u32) -> Result<()> {
        let rate_hz = self.options.sample_frequency;
        if f64::from(audio_hz) == rate_hz {
            return Ok(());
        }
        let expected = format!("the {rate_hz} Hz of sample_frequency (or --resample)");
        Err(Error::option("audio", expected, format!("{audio_hz} Hz")))
    }

    /// Refuses audio of too few samples for one frame.
    ///
    /// # Errors
    /// [`Error::Option`] `frame_length`.
    pub fn check_length(&self, samples: usize) -> Result<()> {
        if self.frames(samples) > 0 {
            return Ok(());
        }
        let expected = format!("audio of one frame of {} ms", self.options.frame_length);
        let found = format!("{samples} samples");
        Err(Error::option("frame_length", expected, found))
    }

    /// First sample, at the low rate, of a frame; without `snip_edges` perhaps before the signal.
    fn start(&self, frame: usize) -> isize {
        match self.options.snip_edges {
            true => (frame * self.frame_shift) as isize,
            false => {
                let centre = frame * self.frame_shift + self.frame_shift / 2;
                centre as isize - (self.correlator.full_length() / 2) as isize
            }
        }
    }
}

/// The samples of one utterance, block after block. Pitch comes at its end, since the mean energy of all of it is needed for
/// the first frame. In memory are the result and what the path has not settled: a few seconds, or a beginning of digital
/// silence.
#[derive(Debug)]
pub struct PitchSignal<'a> {
    computer: &'a PitchComputer,
    low: LowSignal<'a>,
    shelf: Shelf,
    block: Vec<f64>,
}

impl PitchSignal<'_> {
    /// Takes the next samples.
    ///
    /// # Errors
    /// [`Error::Io`] where the temporary file of a long signal cannot be written.
    pub fn accept(&mut self, samples: &[f32]) -> Result<()> {
        self.low.accept(samples, &mut self.block);
        self.shelve()
    }

    fn shelve(&mut self) -> Result<()> {
        let shelved = self.shelf.push(&self.block);
        self.block.clear();
        shelved
    }

    /// Samples so far.
    pub fn samples(&self) -> usize {
        self.low.samples()
    }

    /// What [`PitchComputer::compute`] gives for all samples, bit for bit.
    ///
    /// # Errors
    /// As [`PitchSignal::accept`].
    pub fn finish(mut self) -> Result<Array2<f32>> {
        self.low.finish(&mut self.block);
        self.shelve()?;
        let computer = self.computer;
        let correlator = &computer.correlator;
        let ballast = correlator.ballast(self.shelf.variance());
        let frames = computer.frames(self.samples());
        let mut low = self.shelf.read()?;
        let (mut frame, mut path) = (correlator.frame(), computer.tracker.start());
        let mut pitch = Array2::zeros((frames, 2));
        let (mut given, mut look_at) = (0, SETTLING_FRAMES);
        for index in 0..frames {
            let start = computer.start(index);
            low.reach(
                start
                    .saturating_add_unsigned(correlator.full_length())
                    .max(0) as usize,
            )?;
            let (samples, at) = low.at(start);
            path.step(frame.at_lags(samples, at, ballast));
            let states = match index + 1 == frames {
                true => std::mem::replace(&mut path, computer.tracker.start()).finish(),
                false if path.frames() == look_at => path.settled(),
                false => continue,
            };
            look_at = SETTLING_FRAMES.max(2 * path.frames());
            // What voicing takes is measured again, at the one lag that it is wanted for.
            for state in states.into_iter().map(usize::from) {
                let (samples, at) = low.at(computer.start(given));
                pitch[[given, 0]] = frame.voicing(samples, at, state) as f32;
                pitch[[given, 1]] = correlator.lags()[state].recip() as f32;
                given += 1;
            }
            low.forget(computer.start(given).max(0) as usize);
        }
        Ok(pitch)
    }
}

/// How probable it is that a frame of this correlation is voiced, from 0 to 1: the paper's fit on the Keele corpus
/// (Ghahremani et al. 2014, section 3.2; Kaldi, `pitch-functions.cc`, `NccfToPov`).
///
/// ```
/// use unbraid::signal::pitch::probability_of_voicing;
/// assert!(probability_of_voicing(0.95) > 0.9 && probability_of_voicing(0.1) < 0.1);
/// ```
pub fn probability_of_voicing(correlation: f64) -> f64 {
    let n = correlation.abs().min(1.0);
    let log_odds = -5.2 + 5.4 * (7.5 * (n - 1.0)).exp() + 4.8 * n - 2.0 * (-10.0 * n).exp()
        + 4.2 * (20.0 * (n - 1.0)).exp();
    1.0 / (1.0 + (-log_odds).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    /// Three harmonics of a pitch that `hz` gives for each moment, for a second.
    pub(super) fn harmonics(hz: impl Fn(f64) -> f64, rate_hz: usize) -> Vec<f32> {
        let mut phase = 0.0;
        (0..rate_hz)
            .map(|i| {
                phase += TAU * hz(i as f64 / rate_hz as f64) / rate_hz as f64;
                let harmonics = [(1.0, 0.5), (2.0, 0.3), (3.0, 0.2)];
                let sum: f64 = harmonics.iter().map(|(k, a)| a * (k * phase).sin()).sum();
                sum as f32 * 0.3
            })
            .collect()
    }

    fn computer(rate_hz: usize, snip_edges: bool) -> PitchComputer {
        PitchComputer::new(&PitchOptions {
            sample_frequency: rate_hz as f64,
            snip_edges,
            ..PitchOptions::default()
        })
        .unwrap()
    }

    #[test]
    fn tones_have_their_pitch() {
        for rate_hz in [8000, 16000, 44100] {
            for hz in [60.0, 110.0, 233.0, 380.0] {
                let pitch = computer(rate_hz, true)
                    .compute(&harmonics(|_| hz, rate_hz))
                    .unwrap();
                for row in pitch.rows().into_iter().skip(3).take(90) {
                    let off = (f64::from(row[1]) / hz - 1.0).abs();
                    assert!(off < 0.011 && row[0] > 0.95, "{rate_hz} {hz}: {row}");
                }
            }
        }
    }

    #[test]
    fn a_glide_is_followed() {
        let glide = |t: f64| 100.0 * 2.5f64.powf(t);
        let pitch = computer(16000, false)
            .compute(&harmonics(glide, 16000))
            .unwrap();
        assert_eq!(pitch.nrows(), 100);
        for (frame, row) in pitch.rows().into_iter().enumerate().skip(5).take(90) {
            // A window and its echo lie around the frame, so the pitch is that of the frame's centre.
            let hz = glide((frame as f64 + 0.5) / 100.0);
            assert!(
                (f64::from(row[1]) / hz - 1.0).abs() < 0.03,
                "{frame}: {row} for {hz}"
            );
        }
    }

    #[test]
    fn blocks_are_the_whole() {
        let samples = harmonics(|t| 150.0 + 40.0 * t, 44100);
        let computer = computer(44100, false);
        let mut signal = computer.signal();
        samples
            .chunks(1000)
            .for_each(|block| signal.accept(block).unwrap());
        assert_eq!(signal.samples(), 44100);
        assert_eq!(
            signal.finish().unwrap(),
            computer.compute(&samples).unwrap()
        );
    }

    #[test]
    fn loudness_changes_nothing_and_silence_is_not_voiced() {
        let computer = computer(16000, true);
        let samples = harmonics(|t| 150.0 + 40.0 * t, 16000);
        let quiet: Vec<f32> = samples.iter().map(|x| x / 1024.0).collect();
        assert_eq!(
            computer.compute(&samples).unwrap(),
            computer.compute(&quiet).unwrap()
        );
        let silent = computer.compute(&[0.0; 16000]).unwrap();
        assert!(silent.column(0).iter().all(|x| *x == 0.0));
        assert!(silent.iter().all(|x| x.is_finite()));
        assert!(probability_of_voicing(0.0) < 0.01);
    }

    #[test]
    fn short_audio_and_other_rates_are_refused() {
        let computer = computer(16000, true);
        assert_eq!(computer.compute(&[0.1; 396]).unwrap().dim(), (0, 2));
        for (samples, sample_rate_hz, message) in [
            (
                396,
                16000,
                "frame_length: expected audio of one frame of 25 ms, found 396 samples",
            ),
            (
                9999,
                8000,
                "audio: expected the 16000 Hz of sample_frequency (or --resample), found 8000 Hz",
            ),
        ] {
            let checked = computer.check_rate(sample_rate_hz);
            let checked = checked.and_then(|()| computer.check_length(samples));
            assert_eq!(checked.unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn contradictions_are_named() {
        for (toml, message) in [
            ("min_f0 = 500.0", "min_f0: expected a number from 1 to 396"),
            (
                "max_f0 = 3000.0",
                "max_f0: expected a number from 1 to 2000",
            ),
            (
                "soft_min_f0 = 60.0",
                "soft_min_f0: expected a number from 0 to 50",
            ),
            (
                "lowpass_cutoff = 2001.0",
                "lowpass_cutoff: expected a number from 1 to 2000",
            ),
            (
                "sample_frequency = 8000.5",
                "sample_frequency: expected a whole number",
            ),
            (
                "resample_frequency = nan",
                "resample_frequency: expected a whole number",
            ),
            ("delta_pitch = 0.0", "delta_pitch: expected a number"),
            (
                "delta_pitch = 1e-4\nmin_f0 = 1.0\nsoft_min_f0 = 0.0\nmax_f0 = 20000.0\nresample_frequency = 48000.0",
                "delta_pitch: expected steps of which fewer than 65535",
            ),
            ("penalty_factor = 0.0", "penalty_factor: expected a number"),
            ("nccf_ballast = -1.0", "nccf_ballast: expected a number"),
            ("frame_shift = 0.0", "frame_shift: expected milliseconds"),
            ("frame_length = 0.1", "frame_length: expected milliseconds"),
            (
                "upsample_filter_width = 0",
                "upsample_filter_width: expected 1 to 100",
            ),
            (
                "post = { delta_window = 0 }",
                "delta_window: expected 1 to 1000",
            ),
            ("max_fo = 400.0", "unknown field `max_fo`"),
        ] {
            let error = match toml::from_str::<PitchOptions>(toml) {
                Ok(options) => PitchComputer::new(&options).unwrap_err().to_string(),
                Err(error) => error.message().to_string(),
            };
            assert!(error.starts_with(message), "{toml}: {error}");
        }
    }
}
