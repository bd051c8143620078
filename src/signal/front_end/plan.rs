//! From samples to features, one chain for every front-end: cut, dither, mean, pre-emphasis, window, power
//! spectrum, filters, logarithm, cosine transform, columns. The options of a front-end write a [`FrontEndPlan`];
//! [`Stages`] carry it out in one of two precisions.

use mel_spec::mel::SparseMelFilterbank;

use super::dither::Dither;
use super::frames::{FrameGrid, Stretch};
use super::lanes::{Bands, LANES, Lanes, Real};
use super::spectrum::{PowerSpectrum, SpectrumBuffers};

/// What a front-end does, step by step.
pub(crate) struct FrontEndPlan {
    pub rate_hz: f64,
    pub grid: FrameGrid,
    /// Zeros put behind the signal.
    pub padding: usize,
    pub cut: Cut,
    /// Length of the FFT; even, and not below the frame's.
    pub fft_length: usize,
    /// The power of the magnitudes: 1, 2 or another.
    pub exponent: f64,
    /// None for a spectrogram.
    pub filters: Option<SparseMelFilterbank>,
    pub scale: Scale,
    /// Rows of a cosine transform.
    pub transform: Option<Vec<Vec<f64>>>,
    pub layout: Layout,
    pub whole: Whole,
    /// Whether the arithmetic is f64.
    pub double: bool,
}

/// What happens to the samples of a frame.
pub(crate) struct Cut {
    /// What full scale becomes.
    pub gain: f64,
    /// Deviation of the noise, after the gain, and its seed.
    pub dither: f64,
    pub seed: u64,
    pub remove_mean: bool,
    /// `a` of `y[i] = x[i] - a x[i-1]`, with `y[0] = x[0] - a x[0]`.
    pub preemphasis: f64,
    /// As long as the frame.
    pub window: Vec<f64>,
    pub energy: Energy,
}

/// The energy of a frame, whose logarithm may be a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Energy {
    None,
    /// Before pre-emphasis and window, floored (the energy, not its logarithm).
    Raw {
        floor: f64,
    },
    /// After them.
    Windowed {
        floor: f64,
    },
}

/// What becomes of a filter's energy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scale {
    Linear,
    /// `factor * ln(max(x, floor)) - offset`.
    Log {
        floor: f64,
        factor: f64,
        offset: f64,
    },
}

/// Where values go in a row of features.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Layout {
    pub columns: usize,
    /// Column of the first value.
    pub first: usize,
    /// Column that the log energy takes, over a value if one is there.
    pub energy: Option<usize>,
    /// Whether the first column comes last in the end.
    pub first_last: bool,
}

/// What is done once all frames are there, because it needs all of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Whole {
    Nothing,
    /// Every column loses its mean.
    SubtractMean,
    /// Values are optionally taken relative to the largest, and floored at `range` below it.
    Floor {
        from_largest: bool,
        range: f32,
    },
    /// `(max(x, largest - 8) + 4) / 4`.
    Whisper,
}

impl Whole {
    /// Changes the features `[frames, columns]` in place.
    pub(crate) fn apply(self, feats: &mut [f32], columns: usize) {
        let largest = feats.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        match self {
            Self::Nothing => {}
            Self::SubtractMean => subtract_mean(feats, columns),
            Self::Floor {
                from_largest,
                range,
            } => {
                let reference = if from_largest { largest } else { 0.0 };
                let floor = largest - reference - range;
                feats
                    .iter_mut()
                    .for_each(|x| *x = (*x - reference).max(floor));
            }
            Self::Whisper => {
                let floor = largest - 8.0;
                feats
                    .iter_mut()
                    .for_each(|x| *x = (x.max(floor) + 4.0) / 4.0);
            }
        }
    }
}

fn subtract_mean(feats: &mut [f32], columns: usize) {
    let mut means = vec![0f64; columns];
    for row in feats.chunks_exact(columns) {
        for (mean, &value) in means.iter_mut().zip(row) {
            *mean += f64::from(value);
        }
    }
    let frames = (feats.len() / columns) as f64;
    for row in feats.chunks_exact_mut(columns) {
        for (value, mean) in row.iter_mut().zip(&means) {
            *value = (f64::from(*value) - mean / frames) as f32;
        }
    }
}

/// A plan prepared in one precision.
pub(crate) struct Stages<T> {
    grid: FrameGrid,
    gain: T,
    dither: Option<Dither>,
    remove_mean: bool,
    preemphasis: T,
    window: Vec<T>,
    energy: Energy,
    exponent: f64,
    spectrum: PowerSpectrum<T>,
    filters: Option<Bands<T>>,
    scale: Scale,
    transform: Option<Bands<T>>,
    layout: Layout,
    fft_length: usize,
}

/// The buffers of one run, used frame after frame.
pub(crate) struct Scratch<T> {
    gathered: Vec<f32>,
    noisy: Vec<f32>,
    /// As long as the FFT; beyond the frame it stays zero.
    frame: Vec<T>,
    spectrum: SpectrumBuffers<T>,
    power: Vec<Lanes<T>>,
    mel: Vec<Lanes<T>>,
    transformed: Vec<Lanes<T>>,
    log_energies: Lanes<T>,
}

/// A signal as far as it is at hand, and its length as far as it is known.
#[derive(Clone, Copy)]
pub(super) struct Signal<'a> {
    pub(super) at_hand: Stretch<'a>,
    pub total: usize,
}

impl<T: Real> Stages<T> {
    pub(crate) fn new(plan: &FrontEndPlan) -> Self {
        let cut = &plan.cut;
        Self {
            grid: plan.grid,
            gain: T::of(cut.gain),
            dither: Dither::new((cut.dither / cut.gain) as f32, cut.seed),
            remove_mean: cut.remove_mean,
            preemphasis: T::of(cut.preemphasis),
            window: cut.window.iter().map(|&weight| T::of(weight)).collect(),
            energy: cut.energy,
            exponent: plan.exponent,
            spectrum: PowerSpectrum::new(plan.fft_length),
            filters: plan.filters.as_ref().map(Bands::of_filters),
            scale: plan.scale,
            transform: plan.transform.as_deref().map(Bands::dense),
            layout: plan.layout,
            fft_length: plan.fft_length,
        }
    }

    pub(crate) fn scratch(&self) -> Scratch<T> {
        let lanes = |count: usize| vec![[T::zero(); LANES]; count];
        let rows = |bands: &Option<Bands<T>>| lanes(bands.as_ref().map_or(0, Bands::len));
        Scratch {
            gathered: vec![0.0; self.grid.length],
            noisy: vec![0.0; self.grid.length],
            frame: vec![T::zero(); self.fft_length],
            spectrum: self.spectrum.buffers(),
            power: lanes(self.fft_length / 2 + 1),
            mel: rows(&self.filters),
            transformed: rows(&self.transform),
            log_energies: [T::zero(); LANES],
        }
    }

    /// Writes the features of frames `first`, `first + 1`, ... into the rows `feats`.
    pub(super) fn rows(
        &self,
        signal: Signal<'_>,
        first: usize,
        feats: &mut [f32],
        scratch: &mut Scratch<T>,
    ) {
        let group = LANES * self.layout.columns;
        for (number, rows) in feats.chunks_mut(group).enumerate() {
            let first = first + number * LANES;
            #[cfg(target_arch = "x86_64")]
            if std::arch::is_x86_feature_detected!("avx2") {
                // SAFETY: the processor's features were just checked.
                unsafe { self.group_avx2(signal, first, rows, scratch) };
                continue;
            }
            self.group(signal, first, rows, scratch);
        }
    }

    /// The same compiled for vectors of 32 bytes; the arithmetic is the same, step for step.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn group_avx2(
        &self,
        signal: Signal<'_>,
        first: usize,
        rows: &mut [f32],
        scratch: &mut Scratch<T>,
    ) {
        self.group(signal, first, rows, scratch);
    }

    /// Up to eight frames.
    #[inline(always)]
    fn group(&self, signal: Signal<'_>, first: usize, rows: &mut [f32], scratch: &mut Scratch<T>) {
        let Scratch {
            gathered,
            noisy,
            frame,
            spectrum,
            power,
            mel,
            transformed,
            log_energies,
        } = scratch;
        let frames = rows.len() / self.layout.columns;
        for (lane, log_energy) in log_energies.iter_mut().enumerate().take(frames) {
            let Signal { at_hand, total } = signal;
            let mut samples = (self.grid).frame(at_hand, total, first + lane, gathered);
            if let Some(dither) = &self.dither {
                dither.add(first + lane, samples, noisy);
                samples = noisy;
            }
            *log_energy = self.cut(samples, &mut frame[..self.window.len()]);
            self.spectrum.transform(frame, lane, spectrum);
        }
        self.spectrum.power(spectrum, power);
        self.raise(power);
        let mut values = power;
        if let Some(filters) = &self.filters {
            filters.project(values, mel);
            values = mel;
        }
        self.compress(values);
        if let Some(transform) = &self.transform {
            transform.project(values, transformed);
            values = transformed;
        }
        self.arrange(values, log_energies, rows);
    }

    /// Writes a frame's samples, windowed, into `out` of the same length; returns the log energy.
    #[inline(always)]
    fn cut(&self, samples: &[f32], out: &mut [T]) -> T {
        let (gain, a) = (self.gain, self.preemphasis);
        let mean = match self.remove_mean {
            true => sum(samples, |x| T::of_sample(x) * gain) / T::of_sample(samples.len() as f32),
            false => T::zero(),
        };
        let centred = |x: f32| T::of_sample(x) * gain - mean;
        let energy = match self.energy {
            Energy::Raw { .. } => sum(samples, |x| centred(x) * centred(x)),
            _ => T::zero(),
        };
        let [first, ..] = samples else {
            return T::zero();
        };
        out[0] = (centred(*first) - a * centred(*first)) * self.window[0];
        let neighbours = samples[1..].iter().zip(samples);
        for ((out, (&x, &before)), &weight) in
            out[1..].iter_mut().zip(neighbours).zip(&self.window[1..])
        {
            *out = (centred(x) - a * centred(before)) * weight;
        }
        match self.energy {
            Energy::None => T::zero(),
            Energy::Raw { floor } => log_energy(energy, floor),
            Energy::Windowed { floor } => log_energy(sum(out, |x| x * x), floor),
        }
    }

    /// Raises power spectra to the exponent of the options.
    #[inline(always)]
    fn raise(&self, power: &mut [Lanes<T>]) {
        if self.exponent == 2.0 {
            return;
        }
        let exponent = T::of(self.exponent / 2.0);
        for value in power.iter_mut().flatten() {
            *value = match self.exponent == 1.0 {
                true => value.sqrt(),
                false => value.powf(exponent),
            };
        }
    }

    #[inline(always)]
    fn compress(&self, values: &mut [Lanes<T>]) {
        let Scale::Log {
            floor,
            factor,
            offset,
        } = self.scale
        else {
            return;
        };
        T::ln_floored(values, T::of(floor));
        if (factor, offset) != (1.0, 0.0) {
            let (factor, offset) = (T::of(factor), T::of(offset));
            for value in values.iter_mut().flatten() {
                *value = *value * factor - offset;
            }
        }
    }

    #[inline(always)]
    fn arrange(&self, values: &[Lanes<T>], log_energies: &Lanes<T>, rows: &mut [f32]) {
        let layout = &self.layout;
        for (lane, row) in rows.chunks_exact_mut(layout.columns).enumerate() {
            for (to, lanes) in row[layout.first..].iter_mut().zip(values) {
                *to = lanes[lane].to_feature();
            }
            if let Some(column) = layout.energy {
                row[column] = log_energies[lane].to_feature();
            }
            if layout.first_last {
                row.rotate_left(1);
            }
        }
    }
}

/// Kaldi floors energies at f32's epsilon before the floor of the options.
fn log_energy<T: Real>(energy: T, floor: f64) -> T {
    energy.max(T::of(floor.max(f64::from(f32::EPSILON)))).ln()
}

/// A sum in sixteen parts, so that it runs on vectors; of 16-bit samples it is exact in f32, too, up to frames
/// of 512.
#[inline(always)]
fn sum<X: Copy, T: Real>(values: &[X], term: impl Fn(X) -> T) -> T {
    let mut parts = [T::zero(); 16];
    let chunks = values.chunks_exact(16);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (part, &value) in parts.iter_mut().zip(chunk) {
            *part = *part + term(value);
        }
    }
    for (part, &value) in parts.iter_mut().zip(rest) {
        *part = *part + term(value);
    }
    parts.iter().fold(T::zero(), |total, &part| total + part)
}
