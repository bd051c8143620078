//! The computation of all front-ends: samples to features, as a whole or as a stream.

use std::sync::Arc;

use ndarray::Array2;

use super::frames::{Stretch, check_samples};
use super::mel::empty_filters;
use super::options::FrontEndOptions;
use super::plan::{FrontEndPlan, Layout, Scratch, Signal, Stages, Whole};
use crate::error::{Error, Result};
use crate::io::audio::Waveform;
use crate::signal::front_end::frames::FrameGrid;

/// Computes features; built once, cheap to clone, shared by threads.
///
/// ```
/// use unbraid::signal::{FbankOptions, FrontEnd};
///
/// let options = FbankOptions { num_mel_bins: 80, ..FbankOptions::default() };
/// let fbank = FrontEnd::new(options)?;
/// let samples = vec![0.1f32; 16000]; // 1 s, full scale at 1
/// let feats = fbank.compute(&samples)?;
/// assert_eq!(feats.dim(), (98, 80));
/// # Ok::<(), unbraid::Error>(())
/// ```
///
/// Kaldi's and Whisper's front-ends work in f32, as the originals do: the two differ by less than 1e-3 nats, but for
/// bins far below the loudest of their frame, where f32's own rounding is larger (`tests/front_ends/kaldi.rs`).
#[derive(Clone)]
pub struct FrontEnd {
    inner: Arc<Inner>,
}

struct Inner {
    options: FrontEndOptions,
    rate_hz: f64,
    grid: FrameGrid,
    padding: usize,
    layout: Layout,
    whole: Whole,
    empty_filters: Vec<usize>,
    engine: Engine,
}

/// The two precisions.
enum Engine {
    Single(Box<Stages<f32>>),
    Double(Box<Stages<f64>>),
}

/// The engine's buffers.
enum Buffers {
    Single(Scratch<f32>),
    Double(Scratch<f64>),
}

impl std::fmt::Debug for FrontEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (f.debug_tuple("FrontEnd").field(&self.inner.options)).finish()
    }
}

impl FrontEnd {
    /// Checks the options and prepares window, filters and FFT.
    ///
    /// # Errors
    /// [`Error::Option`] naming the option that is out of its range or contradicts another.
    pub fn new(options: impl Into<FrontEndOptions>) -> Result<Self> {
        let options = options.into();
        let plan: FrontEndPlan = options.plan()?;
        let engine = match plan.double {
            false => Engine::Single(Box::new(Stages::new(&plan))),
            true => Engine::Double(Box::new(Stages::new(&plan))),
        };
        let inner = Inner {
            options,
            rate_hz: plan.rate_hz,
            grid: plan.grid,
            padding: plan.padding,
            layout: plan.layout,
            whole: plan.whole,
            empty_filters: plan.filters.as_ref().map_or(Vec::new(), empty_filters),
            engine,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Its options.
    pub fn options(&self) -> &FrontEndOptions {
        &self.inner.options
    }

    /// The mel filters, from 0, that are so narrow that no bin of the FFT falls into them: their energy is always 0.
    pub fn empty_filters(&self) -> &[usize] {
        &self.inner.empty_filters
    }

    /// Columns of the features.
    pub fn dim(&self) -> usize {
        self.inner.layout.columns
    }

    /// The sample rate it takes, in Hz.
    pub fn sample_rate_hz(&self) -> f64 {
        self.inner.rate_hz
    }

    /// Frame shift in seconds.
    pub fn frame_shift_s(&self) -> f64 {
        self.inner.grid.shift as f64 / self.inner.rate_hz
    }

    /// Length of a frame in seconds.
    pub fn frame_length_s(&self) -> f64 {
        self.inner.grid.length as f64 / self.inner.rate_hz
    }

    /// The fewest samples for one frame.
    pub fn least_samples(&self) -> usize {
        (self.inner.grid.least_samples()).saturating_sub(self.inner.padding)
    }

    /// The number of frames of `samples` samples.
    pub fn frames(&self, samples: usize) -> usize {
        self.inner.grid.frames(samples + self.inner.padding)
    }

    /// Features `[frames, dim]` of samples with full scale 1. Samples too few for one frame give 0 rows. The same
    /// samples give the same features always, dither included.
    ///
    /// # Errors
    /// [`Error::Option`] `samples` for one that is NaN, infinite or beyond 1e9, naming the first.
    pub fn compute(&self, samples: &[f32]) -> Result<Array2<f32>> {
        check_samples(samples, 0)?;
        let inner = &*self.inner;
        let padded;
        let samples = match inner.padding {
            0 => samples,
            padding => {
                padded = [samples, &vec![0.0; padding]].concat();
                &padded
            }
        };
        let mut feats = Array2::zeros((inner.grid.frames(samples.len()), self.dim()));
        let signal = Signal {
            at_hand: Stretch { samples, base: 0 },
            total: samples.len(),
        };
        if let Some(rows) = feats.as_slice_mut() {
            (inner.engine).rows(signal, 0, rows, &mut inner.engine.buffers());
            inner.whole.apply(rows, self.dim());
        }
        Ok(feats)
    }

    /// As [`FrontEnd::compute`], after checking sample rate and length against the options.
    ///
    /// # Errors
    /// As [`FrontEnd::compute`], [`FrontEnd::check_rate`] and [`FrontEnd::check_length`].
    pub fn compute_waveform(&self, waveform: &Waveform) -> Result<Array2<f32>> {
        self.check_rate(waveform.sample_rate_hz)?;
        self.check_length(waveform.samples.len())?;
        self.compute(&waveform.samples)
    }

    /// Refuses audio of another sample rate, in Hz.
    ///
    /// # Errors
    /// [`Error::Option`] `audio`, naming the option that holds the rate.
    pub fn check_rate(&self, audio_hz: u32) -> Result<()> {
        let rate_hz = self.inner.rate_hz;
        if f64::from(audio_hz) == rate_hz {
            return Ok(());
        }
        let name = match self.inner.options {
            FrontEndOptions::Mel(_) => "sr",
            _ => "sample_frequency",
        };
        let expected = format!("the {rate_hz} Hz of {name} (or --resample)");
        Err(Error::option("audio", expected, format!("{audio_hz} Hz")))
    }

    /// Refuses audio of too few samples for one frame.
    ///
    /// # Errors
    /// [`Error::Option`] `audio`.
    pub fn check_length(&self, samples: usize) -> Result<()> {
        if self.frames(samples) > 0 {
            return Ok(());
        }
        let least = self.inner.grid.least_samples();
        let expected = format!("audio of one frame, {least} samples or more");
        Err(Error::option(
            "audio",
            expected,
            format!("{samples} samples"),
        ))
    }

    /// A stream, which takes samples in blocks of any size and returns the features that are complete, bit for bit those of
    /// [`FrontEnd::compute`] on all samples.
    ///
    /// ```
    /// use unbraid::signal::{FrontEnd, MfccOptions};
    ///
    /// let mut stream = FrontEnd::new(MfccOptions::default())?.stream();
    /// let first = stream.accept(&[0.1; 1000])?; // the frames that are ready: [4, 13]
    /// let second = stream.accept(&[0.2; 1000])?;
    /// let rest = stream.finish()?; // mirrored or padded ones, if there are any
    /// assert_eq!(first.nrows() + second.nrows() + rest.nrows(), 11);
    /// # Ok::<(), unbraid::Error>(())
    /// ```
    ///
    /// Some options need the whole signal (Whisper's floor below the maximum, librosa's `top_db`, Kaldi's `subtract_mean`):
    /// then the stream still computes as samples arrive, but returns its frames at the end.
    pub fn stream(&self) -> FrontEndStream {
        FrontEndStream {
            buffers: self.inner.engine.buffers(),
            front_end: self.clone(),
            kept: Vec::new(),
            base: 0,
            next: 0,
            held: Vec::new(),
        }
    }
}

impl Engine {
    fn buffers(&self) -> Buffers {
        match self {
            Self::Single(stages) => Buffers::Single(stages.scratch()),
            Self::Double(stages) => Buffers::Double(stages.scratch()),
        }
    }

    fn rows(&self, signal: Signal<'_>, first: usize, rows: &mut [f32], buffers: &mut Buffers) {
        match (self, buffers) {
            (Self::Single(stages), Buffers::Single(scratch)) => {
                stages.rows(signal, first, rows, scratch);
            }
            (Self::Double(stages), Buffers::Double(scratch)) => {
                stages.rows(signal, first, rows, scratch);
            }
            _ => unreachable!("buffers are made by the engine that uses them"),
        }
    }
}

/// A stream; see [`FrontEnd::stream`]. Keeps about one frame of samples.
pub struct FrontEndStream {
    front_end: FrontEnd,
    buffers: Buffers,
    /// Samples that later frames need, the first of which has index `base`.
    kept: Vec<f32>,
    base: usize,
    /// The first frame that has not been computed.
    next: usize,
    /// Frames that are returned at the end, with options that need the whole signal.
    held: Vec<f32>,
}

impl std::fmt::Debug for FrontEndStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (f.debug_struct("FrontEndStream")
            .field("front_end", &self.front_end))
        .field("frames", &self.next)
        .finish_non_exhaustive()
    }
}

impl FrontEndStream {
    /// Takes the next samples; returns the features `[frames, dim]` of the frames that are complete, perhaps none.
    ///
    /// # Errors
    /// As [`FrontEnd::compute`]; the samples have not been taken then.
    pub fn accept(&mut self, samples: &[f32]) -> Result<Array2<f32>> {
        let received = self.base + self.kept.len();
        check_samples(samples, received)?;
        self.kept.extend_from_slice(samples);
        let grid = self.front_end.inner.grid;
        let feats = self.advance(grid.complete(self.base + self.kept.len()));
        let received = self.base + self.kept.len();
        let wanted = grid.wanted_from(self.next, received);
        self.kept.drain(..wanted - self.base);
        self.base = wanted;
        Ok(match self.front_end.inner.whole {
            Whole::Nothing => feats,
            _ => {
                self.held.extend(feats.iter());
                Array2::zeros((0, self.front_end.dim()))
            }
        })
    }

    /// Ends the signal; returns the remaining features `[frames, dim]`.
    ///
    /// # Errors
    /// None at present; samples are checked as they arrive.
    pub fn finish(mut self) -> Result<Array2<f32>> {
        let inner = Arc::clone(&self.front_end.inner);
        self.kept.extend(std::iter::repeat_n(0.0, inner.padding));
        let frames = inner.grid.frames(self.base + self.kept.len());
        let rest = self.advance(frames);
        if inner.whole == Whole::Nothing {
            return Ok(rest);
        }
        self.held.extend(rest.iter());
        inner.whole.apply(&mut self.held, inner.layout.columns);
        let rows = self.held.len() / inner.layout.columns;
        Array2::from_shape_vec((rows, inner.layout.columns), self.held)
            .map_err(|error| Error::option("stream", "whole rows", error.to_string()))
    }

    /// The frames from the next one up to `end`.
    fn advance(&mut self, end: usize) -> Array2<f32> {
        let inner = Arc::clone(&self.front_end.inner);
        let frames = end.saturating_sub(self.next);
        let mut feats = Array2::zeros((frames, inner.layout.columns));
        let signal = Signal {
            total: self.base + self.kept.len(),
            at_hand: Stretch {
                samples: &self.kept,
                base: self.base,
            },
        };
        if let Some(rows) = feats.as_slice_mut() {
            (inner.engine).rows(signal, self.next, rows, &mut self.buffers);
        }
        self.next += frames;
        feats
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::concatenate;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn front_end(toml: &str) -> FrontEnd {
        let options: FrontEndOptions = toml::from_str(toml).unwrap();
        FrontEnd::new(options).unwrap()
    }

    fn refused(toml: &str) -> String {
        match toml::from_str::<FrontEndOptions>(toml) {
            Ok(options) => FrontEnd::new(options).unwrap_err().to_string(),
            Err(error) => error.message().to_string(),
        }
    }

    fn noise(length: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
        (0..length).map(|_| rng.random_range(-0.5..0.5)).collect()
    }

    /// Front-ends of every kind, with every way of treating the ends and of waiting for them.
    const STREAMED: [&str; 14] = [
        "kind = 'fbank'",
        "kind = 'fbank'\nsnip_edges = false\nnum_mel_bins = 80",
        "kind = 'fbank'\nsnip_edges = false\nframe_shift = 40.0\nuse_energy = true",
        "kind = 'fbank'\ndither = 0.0\nsubtract_mean = true",
        "kind = 'mfcc'\nsnip_edges = false\nhtk_compat = true",
        "kind = 'mfcc'\nround_to_power_of_two = false\nraw_energy = false",
        "kind = 'spectrogram'",
        "kind = 'spectrogram'\noutput = 'magnitude'\nsnip_edges = false\ndither = 0.0",
        "kind = 'mel'\nsr = 16000.0\nn_fft = 512\nhop_length = 160\nn_mels = 40",
        "kind = 'mel'\nn_fft = 512\nhop_length = 100\nn_mels = 20\npad_mode = 'reflect'\npower = 1.0",
        "kind = 'mel'\nn_fft = 512\nhop_length = 100\nn_mels = 20\ncenter = false\noutput = 'db'",
        "kind = 'mel'\nn_fft = 512\nn_mels = 20\npad_mode = 'edge'\noutput = 'db'\ntop_db = 0.0",
        "kind = 'whisper'",
        "kind = 'whisper'\nnum_mel_bins = 128\npadding = 777",
    ];

    #[test]
    fn a_stream_gives_what_the_whole_gives_bit_for_bit() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        for toml in STREAMED {
            let front_end = front_end(toml);
            for length in [0, 1, 60, 150, 399, 400, 401, 1000, 5003] {
                let samples = noise(length, &mut rng);
                let whole = front_end.compute(&samples).unwrap();
                assert_eq!(whole.nrows(), front_end.frames(length));
                for largest in [1, 7, 160, 1000, 6000] {
                    let mut stream = front_end.stream();
                    let (mut rest, mut parts) = (&samples[..], Vec::new());
                    while !rest.is_empty() {
                        let size = rng.random_range(0..=largest).min(rest.len());
                        parts.push(stream.accept(&rest[..size]).unwrap());
                        rest = &rest[size..];
                    }
                    parts.push(stream.finish().unwrap());
                    let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
                    let streamed = concatenate(ndarray::Axis(0), &views).unwrap();
                    assert_eq!(streamed, whole, "{toml}: {length} samples by {largest}");
                }
            }
        }
    }

    #[test]
    fn a_stream_gives_frames_as_they_settle_and_keeps_little() {
        let mut stream = front_end("kind = 'fbank'").stream();
        assert_eq!(stream.accept(&[0.1; 399]).unwrap().nrows(), 0);
        assert_eq!(stream.accept(&[0.1; 1]).unwrap().nrows(), 1);
        assert_eq!(stream.accept(&[0.1; 160]).unwrap().nrows(), 1);
        for _ in 0..100 {
            stream.accept(&[0.1; 1600]).unwrap();
            assert!(stream.kept.len() <= 402, "{}", stream.kept.len());
        }
        assert!(stream.accept(&[0.0, f32::NAN]).is_err());
        assert_eq!(
            stream.accept(&[0.1; 160]).unwrap().nrows(),
            1,
            "nothing was taken"
        );
    }

    #[test]
    fn a_frames_numbers_do_not_depend_on_its_neighbours() {
        let fbank = front_end("kind = 'fbank'\ndither = 0.0\nframe_shift = 25.0");
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let samples = noise(400 * 11, &mut rng);
        let all = fbank.compute(&samples).unwrap();
        for frame in 0..11 {
            let alone = fbank
                .compute(&samples[400 * frame..400 * (frame + 1)])
                .unwrap();
            assert_eq!(alone.row(0), all.row(frame));
        }
    }

    #[test]
    fn samples_that_no_front_end_can_take_are_refused() {
        for toml in STREAMED {
            let front_end = front_end(toml);
            for bad in [f32::NAN, f32::INFINITY, -f32::INFINITY, 1e30] {
                let mut samples = vec![0.1; 1000];
                samples[321] = bad;
                let error = front_end.compute(&samples).unwrap_err().to_string();
                assert!(
                    error.starts_with("samples: expected finite numbers"),
                    "{error}"
                );
                assert!(
                    error.ends_with(&format!("found {bad} at sample 321")),
                    "{error}"
                );
            }
            let loud = front_end.compute(&[1e9; 1000]).unwrap();
            assert!(loud.iter().all(|value| value.is_finite()), "{toml}");
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
            ("full_scale = 0.0", "full_scale: expected a number"),
            ("dither = -1.0", "dither: expected a number from 0"),
            (
                "preemphasis_coefficient = 1.5",
                "preemphasis_coefficient: expected",
            ),
            ("blackman_coeff = 0.6", "blackman_coeff: expected"),
            (
                "energy_floor = inf",
                "energy_floor: expected a finite number",
            ),
            (
                "vtln_warp = 1.1\nvtln_low = 10.0",
                "vtln_low: expected a bend between",
            ),
            (
                "vtln_warp = 0.9\nvtln_high = 8000.0",
                "vtln_high: expected a bend between",
            ),
            ("vtln_warp = 0.0", "vtln_warp: expected a factor"),
            ("window_type = \"kaiser\"", "unknown variant `kaiser`"),
            ("num_mel_bin = 40", "unknown field `num_mel_bin`"),
            ("num_mel_bins = -1", "invalid value"),
        ] {
            for kind in ["fbank", "mfcc"] {
                let error = refused(&format!("kind = '{kind}'\n{toml}"));
                assert!(error.starts_with(message), "{kind} {toml}: {error}");
            }
        }
    }

    #[test]
    fn contradictions_of_the_other_kinds_are_named() {
        for (toml, message) in [
            (
                "kind = 'mfcc'\nnum_ceps = 24",
                "num_ceps: expected 1 to 23, as many as num_mel_bins",
            ),
            ("kind = 'mfcc'\nnum_ceps = 0", "num_ceps: expected 1 to 23"),
            (
                "kind = 'mfcc'\ncepstral_lifter = -1.0",
                "cepstral_lifter: expected",
            ),
            ("kind = 'spectrogram'\noutput = 'x'", "unknown variant `x`"),
            (
                "kind = 'spectrogram'\nframe_shift = 0.0",
                "frame_shift: expected",
            ),
            (
                "kind = 'whisper'\nnum_mel_bins = 40",
                "num_mel_bins: expected 80 or 128, found 40",
            ),
            (
                "kind = 'whisper'\npadding = 999999999",
                "padding: expected up to",
            ),
            (
                "kind = 'mel'\nwin_length = 4096",
                "win_length: expected 0 to 2048 samples",
            ),
            (
                "kind = 'mel'\nn_fft = 401",
                "n_fft: expected an even number, found 401",
            ),
            ("kind = 'mel'\nn_fft = 0", "n_fft: expected 2 to"),
            ("kind = 'mel'\nhop_length = 0", "hop_length: expected 1 to"),
            ("kind = 'mel'\nn_mels = 0", "n_mels: expected 1 to 4096"),
            ("kind = 'mel'\nn_mels = 5000", "n_mels: expected 1 to 4096"),
            (
                "kind = 'mel'\nfmax = 12000.0",
                "fmax: expected up to the Nyquist frequency 11025",
            ),
            (
                "kind = 'mel'\nfmin = 500.0\nfmax = 400.0",
                "fmin: expected from 0 to below fmax",
            ),
            ("kind = 'mel'\nsr = 0.0", "sr: expected a number"),
            ("kind = 'mel'\npower = 0.0", "power: expected a number"),
            ("kind = 'mel'\namin = 0.0", "amin: expected"),
            ("kind = 'mel'\nref = -1.0", "ref: expected"),
            ("kind = 'mel'\ntop_db = nan", "top_db: expected"),
            ("kind = 'plp'", "unknown variant `plp`"),
            ("num_mel_bins = 40", "missing field `kind`"),
        ] {
            let error = refused(toml);
            assert!(error.starts_with(message), "{toml}: {error}");
        }
    }

    #[test]
    fn rows_columns_and_too_little_audio() {
        let fbank = front_end("kind = 'fbank'\nuse_energy = true");
        assert_eq!(fbank.compute(&[0.0; 560]).unwrap().dim(), (2, 24));
        assert_eq!(fbank.compute(&[0.0; 399]).unwrap().dim(), (0, 24));
        assert_eq!(
            (fbank.frame_shift_s(), fbank.sample_rate_hz()),
            (0.01, 16000.0)
        );
        let outcome = |front_end: &FrontEnd, length: usize, rate: u32| {
            let waveform = Waveform {
                samples: vec![0.0; length],
                sample_rate_hz: rate,
            };
            (front_end.compute_waveform(&waveform))
                .map(|feats| feats.nrows())
                .map_err(|error| error.to_string())
        };
        assert_eq!(
            outcome(&fbank, 399, 16000).unwrap_err(),
            "audio: expected audio of one frame, 400 samples or more, found 399 samples"
        );
        assert_eq!(
            outcome(&fbank, 999, 8000).unwrap_err(),
            "audio: expected the 16000 Hz of sample_frequency (or --resample), found 8000 Hz"
        );
        let mel = front_end("kind = 'mel'");
        assert!(
            outcome(&mel, 999, 8000)
                .unwrap_err()
                .starts_with("audio: expected the 22050 Hz of sr (or --resample), found 8000")
        );
        for toml in STREAMED.iter().filter(|toml| !toml.contains("padding")) {
            let front_end = front_end(toml);
            let (least, rate) = (
                front_end.inner.grid.least_samples(),
                front_end.inner.rate_hz,
            );
            assert_eq!(outcome(&front_end, least, rate as u32), Ok(1), "{toml}");
            assert!(
                outcome(&front_end, least - 1, rate as u32).is_err(),
                "{toml}"
            );
        }
    }

    /// torchaudio: the logarithm of f32's epsilon. librosa: 0, and `amin` in decibels. All others have what they have
    /// without the empty ones.
    #[test]
    fn empty_filters_hold_the_floor() {
        let samples = noise(6400, &mut ChaCha8Rng::seed_from_u64(1));
        for (toml, floor, few) in [
            (
                "kind = 'fbank'\nnum_mel_bins = 128\nfull_scale = 1.0\ndither = 0.0\nallow_empty_filters = true",
                -15.942385,
                1..20,
            ),
            (
                "kind = 'fbank'\nnum_mel_bins = 128\nuse_log_fbank = false\nallow_empty_filters = true",
                0.0,
                1..20,
            ),
            (
                "kind = 'mel'\nsr = 16000.0\nn_fft = 512\nhop_length = 160\nn_mels = 256",
                0.0,
                1..130,
            ),
            (
                "kind = 'mel'\nsr = 16000.0\nn_fft = 512\nn_mels = 256\noutput = 'db'\ntop_db = 0.0",
                -100.0,
                1..130,
            ),
        ] {
            let front_end = front_end(toml);
            let (feats, empty) = (
                front_end.compute(&samples).unwrap(),
                front_end.empty_filters(),
            );
            assert!(few.contains(&empty.len()), "{toml}: {empty:?}");
            for (filter, column) in feats.columns().into_iter().enumerate() {
                let floored = column.iter().all(|&x| (f64::from(x) - floor).abs() < 2e-6);
                assert_eq!(
                    floored,
                    empty.contains(&filter),
                    "{toml}: {filter}: {column}"
                );
            }
        }
        let plain: FrontEndOptions = toml::from_str("kind = 'fbank'\nnum_mel_bins = 128").unwrap();
        let error = FrontEnd::new(plain).unwrap_err().to_string();
        let expected = "(or allow_empty_filters), found 128 filters, of which filter ";
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn silence_is_floored_and_dither_repeats() {
        let silent = front_end("kind = 'fbank'\ndither = 0.0")
            .compute(&[0.0; 400])
            .unwrap();
        let floor = f32::EPSILON.ln();
        assert!(
            silent.iter().all(|&value| (value - floor).abs() < 2e-6),
            "{silent}"
        );
        let computer = front_end("kind = 'fbank'");
        let noisy = computer.compute(&[0.0; 4000]).unwrap();
        assert!(noisy.iter().all(|&value| value > floor + 1.0));
        assert_eq!(noisy, computer.compute(&[0.0; 4000]).unwrap());
        assert_ne!(
            noisy,
            front_end("kind = 'fbank'\nseed = 1")
                .compute(&[0.0; 4000])
                .unwrap()
        );
    }

    #[test]
    fn means_are_taken_out_at_the_end() {
        let feats = front_end("kind = 'mfcc'\nsubtract_mean = true")
            .compute(&noise(8000, &mut ChaCha8Rng::seed_from_u64(2)))
            .unwrap();
        for column in feats.columns() {
            assert!(column.sum().abs() < 1e-3);
        }
    }

    #[test]
    fn a_warp_is_for_kaldis_filters() {
        let options: FrontEndOptions = toml::from_str("kind = 'mfcc'").unwrap();
        let warped = FrontEnd::new(options.with_vtln_warp(1.1).unwrap()).unwrap();
        let samples = noise(1000, &mut ChaCha8Rng::seed_from_u64(3));
        let plain = FrontEnd::new(options).unwrap();
        assert_ne!(
            warped.compute(&samples).unwrap(),
            plain.compute(&samples).unwrap()
        );
        let whisper: FrontEndOptions = toml::from_str("kind = 'whisper'").unwrap();
        let error = whisper.with_vtln_warp(1.1).unwrap_err().to_string();
        assert_eq!(
            error,
            "vtln_warp: expected kind fbank or mfcc, found whisper"
        );
    }
}
