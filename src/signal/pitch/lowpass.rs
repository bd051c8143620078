//! The signal brought to a low rate by a sinc under a raised cosine, as Kaldi's `LinearResample` does it
//! (`resample.cc`): its few zeros on each side are part of the method.

use std::f64::consts::{PI, TAU};

use super::PitchOptions;

/// A filter for each place that an output sample can have between input samples.
#[derive(Debug, Clone)]
pub(super) struct Lowpass {
    rate_hz: u64,
    low_hz: u64,
    /// First input sample, counted from the beginning of the unit, and weights.
    phases: Vec<(i64, Vec<f64>)>,
    /// Input samples after which the phases repeat.
    unit: i64,
}

impl Lowpass {
    /// Prepares the filters for checked options.
    pub(super) fn new(options: &PitchOptions) -> Self {
        let (rate_hz, low_hz) = (
            options.sample_frequency as u64,
            options.resample_frequency as u64,
        );
        let shared = greatest_common_divisor(rate_hz, low_hz);
        let filter = Sinc {
            cutoff_hz: options.lowpass_cutoff,
            zeros: options.lowpass_filter_width as f64,
        };
        let phase = |index: u64| {
            let time = index as f64 / low_hz as f64;
            let rate = rate_hz as f64;
            let first = ((time - filter.reach_s()) * rate).ceil() as i64;
            let last = ((time + filter.reach_s()) * rate).floor() as i64;
            let weight = |at: i64| filter.at(at as f64 / rate - time) / rate;
            (first, (first..=last).map(weight).collect())
        };
        Self {
            rate_hz,
            low_hz,
            phases: (0..low_hz / shared).map(phase).collect(),
            unit: (rate_hz / shared) as i64,
        }
    }

    /// Samples that `samples` samples become: all within their time.
    pub(super) fn samples(&self, samples: usize) -> usize {
        let low = u128::from(self.low_hz) * samples as u128;
        low.div_ceil(u128::from(self.rate_hz)) as usize
    }

    /// The low signal of samples that come in blocks.
    pub(super) fn start(&self) -> LowSignal<'_> {
        LowSignal {
            lowpass: self,
            held: Vec::new(),
            held_at: 0,
            made: 0,
        }
    }

    /// Where the filter of an output sample begins, and its weights.
    fn filter(&self, index: usize) -> (i64, &[f64]) {
        let (first, weights) = &self.phases[index % self.phases.len()];
        let start = first + (index / self.phases.len()) as i64 * self.unit;
        (start, weights)
    }
}

/// A signal on its way to the low rate, and the input that is still to be filtered; beyond its ends it is 0.
#[derive(Debug)]
pub(super) struct LowSignal<'a> {
    lowpass: &'a Lowpass,
    held: Vec<f32>,
    /// The number of the first sample held.
    held_at: usize,
    /// Samples of the low signal so far.
    made: usize,
}

impl LowSignal<'_> {
    /// Input samples so far.
    pub(super) fn samples(&self) -> usize {
        self.held_at + self.held.len()
    }

    /// Takes the next samples, and appends those of the low signal that they decide.
    pub(super) fn accept(&mut self, samples: &[f32], low: &mut Vec<f64>) {
        self.held.extend_from_slice(samples);
        let end = self.samples() as i64;
        loop {
            let (start, weights) = self.lowpass.filter(self.made);
            if start + weights.len() as i64 > end {
                let from = usize::try_from(start).unwrap_or(0).max(self.held_at);
                self.held
                    .drain(..(from - self.held_at).min(self.held.len()));
                self.held_at = from.min(end as usize);
                return;
            }
            low.push(self.next());
        }
    }

    /// Appends the rest of the low signal.
    pub(super) fn finish(&mut self, low: &mut Vec<f64>) {
        for _ in self.made..self.lowpass.samples(self.samples()) {
            low.push(self.next());
        }
    }

    fn next(&mut self) -> f64 {
        let (start, weights) = self.lowpass.filter(self.made);
        let skipped = usize::try_from(-start).unwrap_or(0).min(weights.len());
        let from = usize::try_from(start).unwrap_or(0);
        let from = from.saturating_sub(self.held_at).min(self.held.len());
        let pairs = weights[skipped..].iter().zip(&self.held[from..]);
        self.made += 1;
        pairs.map(|(weight, &x)| weight * f64::from(x)).sum()
    }
}

/// A sinc, cut off by a raised cosine that ends at its `zeros`-th zero.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sinc {
    pub cutoff_hz: f64,
    pub zeros: f64,
}

impl Sinc {
    /// Where it ends, in seconds from its middle.
    pub(super) fn reach_s(&self) -> f64 {
        self.zeros / (2.0 * self.cutoff_hz)
    }

    /// Its value; it integrates to about 1.
    pub(super) fn at(&self, time_s: f64) -> f64 {
        if time_s.abs() >= self.reach_s() {
            return 0.0;
        }
        let window = 0.5 * (1.0 + (TAU * self.cutoff_hz / self.zeros * time_s).cos());
        let sinc = match time_s == 0.0 {
            true => 2.0 * self.cutoff_hz,
            false => (TAU * self.cutoff_hz * time_s).sin() / (PI * time_s),
        };
        window * sinc
    }
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    match b {
        0 => a,
        b => greatest_common_divisor(b, a % b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_low_passes_and_length_follows_the_rates() {
        for (rate_hz, samples, low) in
            [(16000, 16000, 4000), (44100, 44100, 4000), (8000, 801, 401)]
        {
            let options = PitchOptions {
                sample_frequency: f64::from(rate_hz),
                lowpass_filter_width: 8,
                ..PitchOptions::default()
            };
            let lowpass = Lowpass::new(&options);
            let tone = |hz: f64, i: usize, rate: f64| (TAU * hz * i as f64 / rate).sin();
            let input: Vec<f32> = (0..samples)
                .map(|i| tone(200.0, i, f64::from(rate_hz)) as f32)
                .collect();
            let (mut signal, mut output) = (lowpass.start(), Vec::new());
            signal.accept(&input, &mut output);
            signal.finish(&mut output);
            assert_eq!(output.len(), low);
            let (mut signal, mut in_blocks) = (lowpass.start(), Vec::new());
            for block in input.chunks(97) {
                signal.accept(block, &mut in_blocks);
                assert!(signal.held.len() < 97 + 400, "{}", signal.held.len());
            }
            signal.finish(&mut in_blocks);
            assert!(in_blocks == output);
            for (i, value) in output.iter().enumerate().skip(40).take(low - 80) {
                assert!(
                    (value - tone(200.0, i, 4000.0)).abs() < 5e-3,
                    "{i}: {value}"
                );
            }
        }
    }
}
