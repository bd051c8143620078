//! How alike a frame is to what follows it a lag later: the normalised cross-correlation, measured at whole lags
//! and interpolated at lags in geometric progression.

use std::ops::Range;

use super::PitchOptions;
use super::lowpass::Sinc;
use crate::error::Result;

/// What the lags are and how they are interpolated.
#[derive(Debug, Clone)]
pub(super) struct Correlator {
    /// Seconds, each longer than the last by `delta_pitch`.
    lags: Vec<f64>,
    /// For each lag, the first measured lag that counts, and weights.
    filters: Vec<(usize, Vec<f64>)>,
    /// Measured lags, in samples.
    first: usize,
    last: usize,
    /// Samples that are correlated.
    length: usize,
    nccf_ballast: f64,
}

impl Correlator {
    /// Prepares lags and filters for checked options.
    ///
    /// # Errors
    /// [`crate::Error::Option`] for a frame length that holds no sample.
    pub(super) fn new(options: &PitchOptions) -> Result<Self> {
        let rate = options.resample_frequency;
        let (shortest, longest) = (options.max_f0.recip(), options.min_f0.recip());
        let reach = options.upsample_filter_width as f64 / (2.0 * rate);
        let first = (rate * (shortest - reach)).ceil().max(0.0) as usize;
        let last = (rate * (longest + reach)).floor() as usize;
        let lags: Vec<f64> = (0..)
            .map(|index| shortest * (1.0 + options.delta_pitch).powi(index))
            .take_while(|lag| *lag <= longest)
            .collect();
        // The Nyquist frequency of the correlation, which holds nothing above the low pass's.
        let sinc = Sinc {
            cutoff_hz: rate / 2.0,
            zeros: options.upsample_filter_width as f64,
        };
        let filter = |lag: &f64| {
            let from = ((lag - sinc.reach_s()) * rate).ceil().max(first as f64) as usize;
            let to = (((lag + sinc.reach_s()) * rate).floor() as usize).min(last);
            let weight = |at: usize| sinc.at(lag - at as f64 / rate) / rate;
            (from - first, (from..=to).map(weight).collect())
        };
        Ok(Self {
            filters: lags.iter().map(filter).collect(),
            lags,
            first,
            last,
            length: options.samples("frame_length", options.frame_length)?,
            nccf_ballast: options.nccf_ballast,
        })
    }

    /// The lags in seconds.
    pub(super) fn lags(&self) -> &[f64] {
        &self.lags
    }

    /// Samples that are correlated.
    pub(super) fn frame_length(&self) -> usize {
        self.length
    }

    /// Samples that a frame looks at, its longest lag included.
    pub(super) fn full_length(&self) -> usize {
        self.length + self.last
    }

    /// What is added to the product of two energies: `nccf_ballast` times that of two average frames of a signal, whose
    /// variance is given.
    pub(super) fn ballast(&self, variance: f64) -> f64 {
        self.nccf_ballast * (variance * self.length as f64).powi(2)
    }

    /// The value at lag number `state` of what was measured at whole lags.
    fn interpolate(&self, measured: &[f32], state: usize) -> f64 {
        let (from, weights) = &self.filters[state];
        let pairs = weights.iter().zip(&measured[*from..]);
        pairs
            .map(|(weight, &value)| weight * f64::from(value))
            .sum()
    }

    /// Buffers for one frame after the other.
    pub(super) fn frame(&self) -> Frame<'_> {
        Frame {
            correlator: self,
            window: vec![0.0; self.full_length()],
            measured: vec![0.0; self.last + 1 - self.first],
            at_lags: vec![0.0; self.lags.len()],
        }
    }
}

/// One frame's correlations.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    correlator: &'a Correlator,
    window: Vec<f64>,
    measured: Vec<f32>,
    at_lags: Vec<f64>,
}

impl Frame<'_> {
    /// The correlation at each lag, with ballast, of the frame that begins at sample `start`; beyond its ends the signal
    /// is 0. By these the path is found.
    pub(super) fn at_lags(&mut self, samples: &[f64], start: isize, ballast: f64) -> &[f64] {
        let Correlator { first, last, .. } = *self.correlator;
        self.measure(samples, start, first..last + 1, ballast);
        for (state, value) in self.at_lags.iter_mut().enumerate() {
            *value = self.correlator.interpolate(&self.measured, state);
        }
        &self.at_lags
    }

    /// The correlation at lag number `state`, without ballast: how voiced the frame is.
    pub(super) fn voicing(&mut self, samples: &[f64], start: isize, state: usize) -> f64 {
        let (from, weights) = &self.correlator.filters[state];
        let from = self.correlator.first + from;
        self.measure(samples, start, from..from + weights.len(), 0.0);
        self.correlator.interpolate(&self.measured, state)
    }

    /// Correlates at these whole lags.
    fn measure(&mut self, samples: &[f64], start: isize, lags: Range<usize>, ballast: f64) {
        self.gather(samples, start);
        let length = self.correlator.length;
        // Of the frame alone, as the reference has it: what follows keeps an offset of its own.
        let mean = self.window[..length].iter().sum::<f64>() / length as f64;
        self.window.iter_mut().for_each(|x| *x -= mean);
        let energy = dot(&self.window[..length], &self.window[..length]);
        for lag in lags {
            let later = &self.window[lag..lag + length];
            let product = dot(&self.window[..length], later);
            let denominator = energy * dot(later, later) + ballast;
            self.measured[lag - self.correlator.first] = match denominator > 0.0 {
                true => (product / denominator.sqrt()) as f32,
                false => 0.0,
            };
        }
    }

    fn gather(&mut self, samples: &[f64], start: isize) {
        self.window.fill(0.0);
        let skipped = usize::try_from(-start).unwrap_or(0).min(self.window.len());
        let from = usize::try_from(start).unwrap_or(0).min(samples.len());
        for (x, sample) in self.window[skipped..].iter_mut().zip(&samples[from..]) {
            *x = *sample;
        }
    }
}

/// Four sums side by side, which the compiler can keep in vectors.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a, a_rest) = a.as_chunks::<4>();
    let (b, b_rest) = b.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for (x, y) in a.iter().zip(b) {
        for lane in 0..4 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f64>() + rest
}
