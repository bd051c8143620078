//! Kaldi's mel filters (`mel-computations.cc`): triangles that are linear on the mel scale, without area
//! normalisation and without the Nyquist bin. mel_spec applies them; its own filters are other ones.

use mel_spec::mel::SparseMelFilterbank;
use ndarray::Array2;

use crate::error::{Error, Result};

/// Frequency in Hz to mel: `1127 ln(1 + f/700)`.
pub fn hz_to_mel(hz: f64) -> f64 {
    1127.0 * (1.0 + hz / 700.0).ln()
}

/// The band that the filters share out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MelBand {
    /// How many filters; at least 3.
    pub bins: usize,
    /// Lower edge of the first, in Hz.
    pub low_hz: f64,
    /// Upper edge of the last, in Hz; 0 or below counts from the Nyquist frequency.
    pub high_hz: f64,
}

/// Builds the filters for spectra of `fft_length / 2` bins, without the Nyquist bin.
///
/// # Errors
/// [`Error::Option`] for fewer than 3 filters, edges that are not `0 <= low < high <= Nyquist`, or filters
/// so narrow that no bin of the spectrum falls into one.
pub fn kaldi_filters(
    band: &MelBand,
    rate_hz: f64,
    fft_length: usize,
) -> Result<SparseMelFilterbank> {
    let high_hz = band.check(rate_hz)?;
    let (low, high) = (hz_to_mel(band.low_hz), hz_to_mel(high_hz));
    let step = (high - low) / (band.bins + 1) as f64;
    let bin_hz = rate_hz / fft_length as f64;
    let filters = Array2::from_shape_fn((band.bins, fft_length / 2), |(filter, bin)| {
        let left = low + filter as f64 * step;
        triangle(hz_to_mel(bin_hz * bin as f64), left, step)
    });
    let empty = (filters.rows().into_iter()).position(|row| row.iter().all(|&w| w == 0.0));
    if let Some(filter) = empty {
        return Err(Error::option(
            "num_mel_bins",
            format!("filters that each hold a bin of the {fft_length}-point FFT"),
            format!("{} filters, of which filter {filter} holds none", band.bins),
        ));
    }
    Ok(SparseMelFilterbank::from_dense(&filters))
}

/// The weight at `mel` of a triangle that rises from `left` over `step` and falls over another.
fn triangle(mel: f64, left: f64, step: f64) -> f64 {
    (1.0 - ((mel - left) / step - 1.0).abs()).max(0.0)
}

impl MelBand {
    /// Gives the upper edge in Hz once everything is in order.
    fn check(&self, rate_hz: f64) -> Result<f64> {
        if self.bins < 3 {
            let found = self.bins.to_string();
            return Err(Error::option("num_mel_bins", "at least 3", found));
        }
        let nyquist = rate_hz / 2.0;
        let high_hz = match self.high_hz > 0.0 {
            true => self.high_hz,
            false => nyquist + self.high_hz,
        };
        if !(high_hz > 0.0 && high_hz <= nyquist) {
            let expected = format!("up to the Nyquist frequency {nyquist} Hz");
            let found = format!("{} Hz", self.high_hz);
            return Err(Error::option("high_freq", expected, found));
        }
        if !(self.low_hz >= 0.0 && self.low_hz < high_hz) {
            let expected = format!("from 0 to below high_freq at {high_hz} Hz");
            let found = format!("{} Hz", self.low_hz);
            return Err(Error::option("low_freq", expected, found));
        }
        Ok(high_hz)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn band(bins: usize) -> MelBand {
        MelBand {
            bins,
            low_hz: 20.0,
            high_hz: 0.0,
        }
    }

    #[test]
    fn a_thousand_hz_are_a_thousand_mel() {
        assert!((hz_to_mel(1000.0) - 1000.0).abs() < 0.01);
        assert_eq!(hz_to_mel(0.0), 0.0);
    }

    #[test]
    fn neighbours_add_to_one_between_their_centres() {
        let filters = kaldi_filters(&band(23), 16000.0, 512).unwrap();
        let mut sums = vec![0.0; 256];
        for filter in 0..filters.n_mels() {
            for weight in filters.weights_for_mel(filter) {
                sums[weight.bin] += weight.weight;
            }
        }
        let step = (hz_to_mel(8000.0) - hz_to_mel(20.0)) / 24.0;
        for (bin, sum) in sums.iter().enumerate() {
            let mel = hz_to_mel(bin as f64 * 31.25) - hz_to_mel(20.0);
            if mel >= step && mel <= 23.0 * step {
                assert!((sum - 1.0).abs() < 1e-12, "bin {bin}: {sum}");
            }
        }
    }

    #[test]
    fn a_filter_without_a_bin_is_named() {
        assert!(kaldi_filters(&band(80), 16000.0, 512).is_ok());
        let error = kaldi_filters(&band(200), 16000.0, 512).unwrap_err();
        assert!(error.to_string().ends_with("holds none"), "{error}");
    }
}
