//! Arithmetic of eight frames abreast. What follows a frame's FFT is the same for every frame, so eight of them
//! lie side by side, value by value, and each operation is one or two vector instructions on any processor.
//! A frame never sees its neighbours: its numbers do not depend on who stands beside it.

use bytemuck::Pod;
use mel_spec::mel::SparseMelFilterbank;
use rustfft::FftNum;
use rustfft::num_traits::Float;

/// Frames side by side.
pub(super) const LANES: usize = 8;
/// One value of each of the frames.
pub(super) type Lanes<T> = [T; LANES];

/// The two precisions. Kaldi, PyTorch and Whisper work in f32 and we do so beside them; librosa works in f64.
pub(crate) trait Real: FftNum + Float + Pod {
    fn of(value: f64) -> Self;
    fn of_sample(sample: f32) -> Self;
    fn to_feature(self) -> f32;
    /// `ln(max(x, floor))` in place, for a floor that is a normal positive number.
    fn ln_floored(values: &mut [Lanes<Self>], floor: Self);
}

impl Real for f32 {
    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f32
    }

    #[inline(always)]
    fn of_sample(sample: f32) -> Self {
        sample
    }

    #[inline(always)]
    fn to_feature(self) -> f32 {
        self
    }

    #[inline(always)]
    fn ln_floored(values: &mut [Lanes<Self>], floor: Self) {
        for lanes in values {
            for value in lanes {
                *value = ln(if *value > floor { *value } else { floor });
            }
        }
    }
}

impl Real for f64 {
    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn of_sample(sample: f32) -> Self {
        f64::from(sample)
    }

    #[inline(always)]
    fn to_feature(self) -> f32 {
        self as f32
    }

    #[inline(always)]
    fn ln_floored(values: &mut [Lanes<Self>], floor: Self) {
        for value in values.iter_mut().flatten() {
            *value = value.max(floor).ln();
        }
    }
}

/// Natural logarithm of a normal positive number, without a branch, so that it works on vectors. Within 2 units
/// in the last place of the exact one, or 1.2e-7 where it is near zero.
///
/// `x = 2^e m` with `m` in `[sqrt(1/2), sqrt(2))`, and `ln m` by the polynomial of Cephes' `logf`
/// (S. Moshier, netlib.org/cephes).
#[inline(always)]
pub(super) fn ln(x: f32) -> f32 {
    /// sqrt(1/2), as bits.
    const HALF_ROOT: u32 = 0x3f35_04f3;
    const POLYNOMIAL: [f32; 8] = [
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ];
    /// ln 2 as a number of few bits, whose multiples are exact, and the rest.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    let bits = x.to_bits();
    let exponent = (bits.wrapping_sub(HALF_ROOT) as i32) >> 23;
    let mantissa = f32::from_bits(bits.wrapping_sub((exponent << 23) as u32));
    let (f, exponent) = (mantissa - 1.0, exponent as f32);
    let mut sum = 7.037_683_6e-2f32;
    for coefficient in POLYNOMIAL {
        sum = sum * f + coefficient;
    }
    let square = f * f;
    let small = sum * f * square + exponent * LN_2[1] - 0.5 * square;
    f + small + exponent * LN_2[0]
}

/// A matrix whose rows are zero outside one run of columns each: mel filters; and a cosine transform, whose
/// runs are whole.
#[derive(Debug, Clone)]
pub(super) struct Bands<T> {
    rows: Vec<Band>,
    weights: Vec<T>,
}

#[derive(Debug, Clone, Copy)]
struct Band {
    first_column: usize,
    columns: usize,
}

impl<T: Real> Bands<T> {
    /// The runs of mel_spec's filters.
    pub(super) fn of_filters(filters: &SparseMelFilterbank) -> Self {
        let (mut rows, mut weights) = (Vec::new(), Vec::new());
        for filter in 0..filters.n_mels() {
            let entries = filters.weights_for_mel(filter);
            let first_column = entries.first().map_or(0, |entry| entry.bin);
            let columns = entries.last().map_or(0, |last| last.bin + 1 - first_column);
            let start = weights.len();
            weights.resize(start + columns, T::zero());
            for entry in entries {
                weights[start + entry.bin - first_column] = T::of(entry.weight);
            }
            rows.push(Band {
                first_column,
                columns,
            });
        }
        Self { rows, weights }
    }

    /// A matrix without zeros to leave out.
    pub(super) fn dense(rows: &[Vec<f64>]) -> Self {
        let band = |row: &Vec<f64>| Band {
            first_column: 0,
            columns: row.len(),
        };
        Self {
            rows: rows.iter().map(band).collect(),
            weights: rows.iter().flatten().map(|&weight| T::of(weight)).collect(),
        }
    }

    /// Rows of the matrix.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The matrix times the column `input` of each lane, summed in the order of the columns.
    #[inline(always)]
    pub(super) fn project(&self, input: &[Lanes<T>], output: &mut [Lanes<T>]) {
        let mut weights = &self.weights[..];
        for (band, output) in self.rows.iter().zip(output) {
            let (row, rest) = weights.split_at(band.columns);
            let input = &input[band.first_column..][..band.columns];
            let mut sums = [T::zero(); LANES];
            for (&weight, input) in row.iter().zip(input) {
                for (sum, &value) in sums.iter_mut().zip(input) {
                    *sum = *sum + weight * value;
                }
            }
            *output = sums;
            weights = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_keeps_its_promise() {
        let mut worst = 0f64;
        // Every 97th of the normal numbers up to 1e30.
        let range = f32::MIN_POSITIVE.to_bits()..1e30f32.to_bits();
        for bits in range.step_by(97) {
            let x = f32::from_bits(bits);
            let exact = f64::from(x).ln();
            let unit = f64::from(f32::EPSILON) * (exact.abs() / 2.0).max(0.5);
            worst = worst.max((f64::from(ln(x)) - exact).abs() / unit);
        }
        assert!(worst <= 2.0, "{worst} units in the last place");
        assert_eq!(ln(1.0), 0.0);
    }

    #[test]
    fn bands_are_the_matrix() {
        let dense = ndarray::array![[0.0, 1.0, 0.0, 2.0], [0.0; 4], [0.5, 0.0, 0.0, 0.0]];
        let bands = Bands::<f64>::of_filters(&SparseMelFilterbank::from_dense(&dense));
        let input: Vec<Lanes<f64>> = (0..4).map(|bin| [f64::from(bin) + 1.0; LANES]).collect();
        let mut output = vec![[9.0; LANES]; 3];
        bands.project(&input, &mut output);
        assert_eq!(output, [[10.0; LANES], [0.0; LANES], [0.5; LANES]]);
    }
}
