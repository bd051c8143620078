//! Mel filters: Kaldi's (`mel-computations.cc`), triangles that are linear on the mel scale, without area
//! normalisation and without the Nyquist bin, warped for a speaker by option; and librosa's, which mel_spec makes.

use mel_spec::mel::SparseMelFilterbank;
use ndarray::Array2;

use crate::error::{Error, Result};

/// Frequency in Hz to mel: `1127 ln(1 + f/700)`.
pub fn hz_to_mel(hz: f64) -> f64 {
    1127.0 * (1.0 + hz / 700.0).ln()
}

/// Mel to frequency in Hz.
pub fn mel_to_hz(mel: f64) -> f64 {
    700.0 * ((mel / 1127.0).exp() - 1.0)
}

/// The band that Kaldi's filters share out. An edge of 0 or below counts from the Nyquist frequency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MelBand {
    /// How many filters; at least 3.
    pub bins: usize,
    /// Lower edge of the first, in Hz.
    pub low_hz: f64,
    /// Upper edge of the last, in Hz, or counted from Nyquist.
    pub high_hz: f64,
    /// Where the warp of vocal tract lengths bends first, in Hz.
    pub vtln_low_hz: f64,
    /// Where it bends last, in Hz, or counted from Nyquist.
    pub vtln_high_hz: f64,
    /// The warp factor; 1 for none.
    pub vtln_warp: f64,
    /// Whether a filter may be so narrow that no bin of the spectrum falls into it; its energy is 0 then.
    pub empty: bool,
}

/// Builds Kaldi's filters for spectra of `fft_length / 2` bins, without the Nyquist bin.
///
/// # Errors
/// [`Error::Option`] for fewer than 3 filters, edges that are not `0 <= low < high <= Nyquist`, a warp whose
/// bends do not lie between them, or filters so narrow that no bin of the spectrum falls into one where `empty` does not
/// allow it.
pub fn kaldi_filters(
    band: &MelBand,
    rate_hz: f64,
    fft_length: usize,
) -> Result<SparseMelFilterbank> {
    let high_hz = band.check(rate_hz)?;
    let warp = Warp::new(band, rate_hz, high_hz)?;
    let (low, high) = (hz_to_mel(band.low_hz), hz_to_mel(high_hz));
    let step = (high - low) / (band.bins + 1) as f64;
    let bin_hz = rate_hz / fft_length as f64;
    let filters = Array2::from_shape_fn((band.bins, fft_length / 2), |(filter, bin)| {
        let corner = |offset: usize| warp.mel(low + (filter + offset) as f64 * step);
        triangle(hz_to_mel(bin_hz * bin as f64), [0, 1, 2].map(corner))
    });
    let filters = SparseMelFilterbank::from_dense(&filters);
    match empty_filters(&filters).first() {
        Some(filter) if !band.empty => {
            let expected = format!(
                "filters that each hold a bin of the {fft_length}-point FFT (or allow_empty_filters)"
            );
            let found = format!("{} filters, of which filter {filter} holds none", band.bins);
            Err(Error::option("num_mel_bins", expected, found))
        }
        _ => Ok(filters),
    }
}

/// The filters, from 0, into which no bin of the spectrum falls.
pub fn empty_filters(filters: &SparseMelFilterbank) -> Vec<usize> {
    let holds_none = |&filter: &usize| {
        let mut weights = filters.weights_for_mel(filter).iter();
        weights.all(|entry| entry.weight == 0.0)
    };
    (0..filters.n_mels()).filter(holds_none).collect()
}

/// The weight at `mel` of a triangle with these corners.
fn triangle(mel: f64, [left, centre, right]: [f64; 3]) -> f64 {
    match mel <= centre {
        true => ((mel - left) / (centre - left)).max(0.0),
        false => ((right - mel) / (right - centre)).max(0.0),
    }
}

/// Kaldi's piecewise linear warp of frequencies (`MelBanks::VtlnWarpFreq`): by `1/factor` in the middle, bent
/// so that both edges stay in place.
#[derive(Debug, Clone, Copy)]
struct Warp {
    factor: f64,
    edges: [f64; 2],
    bends: [f64; 2],
}

impl Warp {
    fn new(band: &MelBand, rate_hz: f64, high_hz: f64) -> Result<Self> {
        let factor = band.vtln_warp;
        if !(0.1..=10.0).contains(&factor) {
            let found = factor.to_string();
            return Err(Error::option("vtln_warp", "a factor from 0.1 to 10", found));
        }
        let (low, high) = (band.vtln_low_hz, from_nyquist(band.vtln_high_hz, rate_hz));
        let warp = Self {
            factor,
            edges: [band.low_hz, high_hz],
            bends: [low * factor.max(1.0), high * factor.min(1.0)],
        };
        if factor == 1.0 {
            return Ok(warp);
        }
        if !(low > band.low_hz && warp.bends[0] < high_hz) {
            let expected = format!("a bend between low_freq and high_freq with vtln_warp {factor}");
            let found = format!("{low} Hz");
            return Err(Error::option("vtln_low", expected, found));
        }
        if !(high < high_hz && high > low && warp.bends[1] > warp.bends[0]) {
            let expected = format!("a bend between vtln_low and high_freq with vtln_warp {factor}");
            let found = format!("{} Hz", band.vtln_high_hz);
            return Err(Error::option("vtln_high", expected, found));
        }
        Ok(warp)
    }

    fn mel(&self, mel: f64) -> f64 {
        match self.factor == 1.0 {
            true => mel,
            false => hz_to_mel(self.hz(mel_to_hz(mel))),
        }
    }

    fn hz(&self, hz: f64) -> f64 {
        let ([low_edge, high_edge], [low, high]) = (self.edges, self.bends);
        if hz < low_edge || hz > high_edge {
            hz
        } else if hz < low {
            let slope = (low / self.factor - low_edge) / (low - low_edge);
            low_edge + slope * (hz - low_edge)
        } else if hz < high {
            hz / self.factor
        } else {
            let slope = (high_edge - high / self.factor) / (high_edge - high);
            high_edge + slope * (hz - high_edge)
        }
    }
}

fn from_nyquist(hz: f64, rate_hz: f64) -> f64 {
    match hz > 0.0 {
        true => hz,
        false => rate_hz / 2.0 + hz,
    }
}

impl MelBand {
    /// Gives the upper edge in Hz once the edges are in order.
    fn check(&self, rate_hz: f64) -> Result<f64> {
        if self.bins < 3 {
            let found = self.bins.to_string();
            return Err(Error::option("num_mel_bins", "at least 3", found));
        }
        let nyquist = rate_hz / 2.0;
        let high_hz = from_nyquist(self.high_hz, rate_hz);
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
            vtln_low_hz: 100.0,
            vtln_high_hz: -500.0,
            vtln_warp: 1.0,
            empty: false,
        }
    }

    #[test]
    fn a_thousand_hz_are_a_thousand_mel() {
        assert!((hz_to_mel(1000.0) - 1000.0).abs() < 0.01);
        assert_eq!(hz_to_mel(0.0), 0.0);
        assert!((mel_to_hz(hz_to_mel(345.6)) - 345.6).abs() < 1e-9);
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
        let band = MelBand {
            empty: true,
            ..band(200)
        };
        let filters = kaldi_filters(&band, 16000.0, 512).unwrap();
        let empty = empty_filters(&filters);
        assert!(
            error
                .to_string()
                .contains(&format!("filter {} holds", empty[0]))
        );
        assert!(
            empty.len() < 100 && empty.iter().all(|&filter| filter < 120),
            "{empty:?}"
        );
    }

    #[test]
    fn a_warp_keeps_the_edges_and_stretches_the_middle() {
        for factor in [0.8, 0.95, 1.1, 1.25] {
            let band = MelBand {
                vtln_warp: factor,
                ..band(23)
            };
            let warp = Warp::new(&band, 16000.0, 8000.0).unwrap();
            assert!((warp.hz(20.0) - 20.0).abs() < 1e-9);
            assert!((warp.hz(8000.0) - 8000.0).abs() < 1e-9);
            assert!((warp.hz(1000.0) - 1000.0 / factor).abs() < 1e-9);
            for bend in warp.bends {
                assert!(
                    (warp.hz(bend - 1e-7) - warp.hz(bend)).abs() < 1e-6,
                    "no jump"
                );
            }
        }
    }

    #[test]
    fn bends_that_do_not_fit_are_named() {
        for (low, high, factor, name) in [
            (10.0, -500.0, 1.1, "vtln_low: expected a bend"),
            (7900.0, -50.0, 1.1, "vtln_low: expected a bend"),
            (100.0, 8000.0, 1.1, "vtln_high: expected a bend"),
            (100.0, 90.0, 0.9, "vtln_high: expected a bend"),
            (100.0, 0.0, 0.9, "vtln_high: expected a bend"),
            (100.0, -500.0, 0.0, "vtln_warp: expected a factor"),
            (100.0, -500.0, f64::NAN, "vtln_warp: expected a factor"),
        ] {
            let band = MelBand {
                vtln_low_hz: low,
                vtln_high_hz: high,
                vtln_warp: factor,
                ..band(23)
            };
            let error = kaldi_filters(&band, 16000.0, 512).unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }
}
