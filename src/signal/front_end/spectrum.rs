//! Power spectra of real frames by a complex FFT of half their length.

use std::sync::Arc;

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

use super::lanes::{LANES, Lanes, Real};

/// Spectra of frames of one even length `N`, taken as `M = N/2` complex numbers `z[n] = x[2n] + i x[2n+1]`.
pub(super) struct PowerSpectrum<T> {
    fft: Arc<dyn Fft<T>>,
    /// `exp(-2 pi i k/N)` for `k` up to `M/2`.
    twiddles: Vec<Complex<T>>,
}

/// Buffers for the spectra of frames side by side.
pub(super) struct SpectrumBuffers<T> {
    bins: Vec<Complex<T>>,
    fft: Vec<Complex<T>>,
    re: Vec<Lanes<T>>,
    im: Vec<Lanes<T>>,
}

impl<T: Real> PowerSpectrum<T> {
    /// Plans for frames of `length` samples, an even number.
    pub(super) fn new(length: usize) -> Self {
        let step = -std::f64::consts::TAU / length as f64;
        let twiddle = |k: usize| {
            let (sin, cos) = (step * k as f64).sin_cos();
            Complex::new(T::of(cos), T::of(sin))
        };
        Self {
            fft: FftPlanner::new().plan_fft_forward(length / 2),
            twiddles: (0..=length / 4).map(twiddle).collect(),
        }
    }

    pub(super) fn buffers(&self) -> SpectrumBuffers<T> {
        let zero = Complex::new(T::zero(), T::zero());
        let length = self.fft.len();
        SpectrumBuffers {
            bins: vec![zero; length],
            fft: vec![zero; self.fft.get_immutable_scratch_len()],
            re: vec![[T::zero(); LANES]; length],
            im: vec![[T::zero(); LANES]; length],
        }
    }

    /// Takes in the frame `[N]` of one lane.
    #[inline(always)]
    pub(super) fn transform(&self, frame: &[T], lane: usize, buffers: &mut SpectrumBuffers<T>) {
        let SpectrumBuffers { bins, fft, re, im } = buffers;
        let pairs: &[Complex<T>] = bytemuck::cast_slice(frame);
        (self.fft).process_immutable_with_scratch(pairs, bins, fft);
        for ((re, im), bin) in re.iter_mut().zip(im).zip(bins) {
            re[lane] = bin.re;
            im[lane] = bin.im;
        }
    }

    /// Writes `|X[k]|^2` for `k` from 0 to `M` of the frames that were taken in.
    ///
    /// With `Z` the FFT of `z`, the even and odd samples have `E[k] = (Z[k] + conj Z[M-k])/2` and
    /// `O[k] = (Z[k] - conj Z[M-k])/2i`, and with `w = exp(-2 pi i k/N)` it is `X[k] = E[k] + w O[k]` and
    /// `X[M-k] = conj(E[k] - w O[k])` (W. Press et al., Numerical Recipes, section 12.3).
    #[inline(always)]
    pub(super) fn power(&self, buffers: &SpectrumBuffers<T>, power: &mut [Lanes<T>]) {
        let SpectrumBuffers { re, im, .. } = buffers;
        let last = re.len();
        for lane in 0..LANES {
            let (sum, difference) = (re[0][lane] + im[0][lane], re[0][lane] - im[0][lane]);
            power[0][lane] = sum * sum;
            power[last][lane] = difference * difference;
        }
        let quarter = T::of(0.25);
        for (k, w) in self.twiddles.iter().enumerate().skip(1) {
            let (a_re, a_im, b_re, b_im) = (&re[k], &im[k], &re[last - k], &im[last - k]);
            let (mut low, mut high) = ([T::zero(); LANES], [T::zero(); LANES]);
            for lane in 0..LANES {
                let (even_re, even_im) = (a_re[lane] + b_re[lane], a_im[lane] - b_im[lane]);
                let (odd_re, odd_im) = (a_im[lane] + b_im[lane], b_re[lane] - a_re[lane]);
                let turned_re = w.re * odd_re - w.im * odd_im;
                let turned_im = w.re * odd_im + w.im * odd_re;
                let (re, im) = (even_re + turned_re, even_im + turned_im);
                low[lane] = quarter * (re * re + im * im);
                let (re, im) = (even_re - turned_re, even_im - turned_im);
                high[lane] = quarter * (re * re + im * im);
            }
            power[k] = low;
            power[last - k] = high;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Real>(length: usize, tolerance: f64) {
        let spectrum = PowerSpectrum::<T>::new(length);
        let mut buffers = spectrum.buffers();
        let signal = |lane: usize, n: usize| ((n * n) as f64 * 0.37 + lane as f64).sin();
        for lane in 0..LANES {
            let frame: Vec<T> = (0..length).map(|n| T::of(signal(lane, n))).collect();
            spectrum.transform(&frame, lane, &mut buffers);
        }
        let mut power = vec![[T::zero(); LANES]; length / 2 + 1];
        spectrum.power(&buffers, &mut power);
        for (k, lanes) in power.iter().enumerate() {
            for (lane, found) in lanes.iter().enumerate() {
                let (mut re, mut im) = (0.0, 0.0);
                for n in 0..length {
                    let angle = std::f64::consts::TAU * (k * n % length) as f64 / length as f64;
                    re += signal(lane, n) * angle.cos();
                    im -= signal(lane, n) * angle.sin();
                }
                let error = (found.to_f64().unwrap() - (re * re + im * im)).abs();
                assert!(
                    error < tolerance * length as f64,
                    "{length} {k} {lane}: {error}"
                );
            }
        }
    }

    #[test]
    fn it_is_the_discrete_fourier_transform() {
        for length in [2, 4, 6, 10, 50, 400, 512] {
            check::<f32>(length, 1e-5);
            check::<f64>(length, 1e-12);
        }
    }
}
