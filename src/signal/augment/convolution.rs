//! Convolution by FFT, block by block (overlap-add).

use realfft::RealFftPlanner;
use realfft::num_complex::Complex;

/// The linear convolution of two sequences, `a.len() + b.len() - 1` numbers; none when one is empty. In double
/// precision, so that it is the direct sum's to the last bit of a sample or two.
pub fn convolve(a: &[f32], b: &[f32]) -> Vec<f32> {
    let (signal, kernel) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    if kernel.is_empty() {
        return Vec::new();
    }
    // Blocks about as long as the kernel cost the least, and none is longer than all there is.
    let total = signal.len() + kernel.len() - 1;
    let size = (4 * kernel.len()).min(2 * total).next_power_of_two().max(2);
    let block = size - kernel.len() + 1;
    let mut planner = RealFftPlanner::<f64>::new();
    let (forward, inverse) = (
        planner.plan_fft_forward(size),
        planner.plan_fft_inverse(size),
    );
    // The lengths are the planner's own, and the only thing that realfft can refuse.
    let transform = |samples: &[f32]| -> Vec<Complex<f64>> {
        let mut padded: Vec<f64> = samples.iter().map(|&x| f64::from(x)).collect();
        padded.resize(size, 0.0);
        let mut spectrum = forward.make_output_vec();
        forward
            .process(&mut padded, &mut spectrum)
            .expect("vectors of the planned length");
        spectrum
    };
    let kernel_spectrum = transform(kernel);
    let scale = 1.0 / size as f64;
    // The part that later blocks still add to.
    let mut sum = vec![0.0; size];
    let mut out = Vec::with_capacity(total);
    let mut part = inverse.make_output_vec();
    for samples in signal.chunks(block) {
        let mut spectrum = transform(samples);
        spectrum
            .iter_mut()
            .zip(&kernel_spectrum)
            .for_each(|(x, k)| *x *= k);
        // The product of two real spectra is real at both ends, but for rounding, which realfft would refuse.
        for end in [0, size / 2] {
            spectrum[end].im = 0.0;
        }
        inverse
            .process(&mut spectrum, &mut part)
            .expect("vectors of the planned length");
        sum.iter_mut().zip(&part).for_each(|(s, p)| *s += p);
        let ready = block.min(total - out.len());
        out.extend(sum[..ready].iter().map(|x| (x * scale) as f32));
        sum.copy_within(block.., 0);
        sum[size - block..].fill(0.0);
    }
    let rest = total - out.len();
    out.extend(sum[..rest].iter().map(|x| (x * scale) as f32));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direct(a: &[f32], b: &[f32]) -> Vec<f32> {
        let mut sum = vec![0.0f64; a.len() + b.len() - 1];
        for (i, &x) in a.iter().enumerate() {
            for (j, &y) in b.iter().enumerate() {
                sum[i + j] += f64::from(x) * f64::from(y);
            }
        }
        sum.into_iter().map(|x| x as f32).collect()
    }

    fn noise(length: usize) -> Vec<f32> {
        (0..length)
            .map(|i| ((i * i * 31 + i * 7919) % 2003) as f32 / 1001.0 - 1.0)
            .collect()
    }

    #[test]
    fn it_is_the_direct_sum() {
        for (a, b) in [
            (1, 1),
            (1, 5),
            (7, 7),
            (1000, 3),
            (3, 1000),
            (5000, 700),
            (4096, 1024),
            (513, 512),
        ] {
            let (x, h) = (noise(a), noise(b + 1)[1..].to_vec());
            let (fast, slow) = (convolve(&x, &h), direct(&x, &h));
            assert_eq!(fast.len(), slow.len());
            for (f, s) in fast.iter().zip(&slow) {
                assert!(
                    (f - s).abs() <= 1e-6 * s.abs().max(1.0),
                    "{a} and {b}: {f} and {s}"
                );
            }
        }
        assert!(convolve(&[], &[1.0]).is_empty());
    }
}
