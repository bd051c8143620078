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
