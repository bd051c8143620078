//! A spectrum behind filter energies: the non-negative one whose energies come nearest, by multiplicative updates (Lee and
//! Seung 2001, eq. 4, with the filters held fast).

use mel_spec::mel::SparseMelFilterbank;
use ndarray::{Array1, Array2, ArrayView1, Axis, Zip};
use rayon::prelude::*;

/// Filters, to be undone.
#[derive(Debug)]
pub(super) struct FilterInverse {
    /// `[filters, bins]`.
    filters: Array2<f64>,
    iterations: usize,
}

/// Keeps quotients finite.
const TINY: f64 = 1e-20;
/// A ratio of energies beyond this (17 dB) is taken as this: what is missing in a band cannot be made louder at will.
const MOST_LOG_RATIO: f64 = 4.0;

impl FilterInverse {
    /// Undoes `filters` in so many steps a frame.
    pub(super) fn new(filters: &SparseMelFilterbank, iterations: usize) -> Self {
        let mut dense = Array2::zeros((filters.n_mels(), filters.fft_bins()));
        for filter in 0..filters.n_mels() {
            for entry in filters.weights_for_mel(filter) {
                dense[[filter, entry.bin]] = entry.weight;
            }
        }
        Self {
            filters: dense,
            iterations,
        }
    }

    /// Bins of a spectrum.
    pub(super) fn bins(&self) -> usize {
        self.filters.ncols()
    }

    /// Energies `[frames, filters]` to spectra `[frames, bins]`; bins that no filter reads are 0.
    pub(super) fn spectrum(&self, energies: &Array2<f64>) -> Array2<f64> {
        let mut spectra = Array2::zeros((energies.nrows(), self.filters.ncols()));
        spectra
            .axis_iter_mut(Axis(0))
            .into_par_iter()
            .zip(energies.axis_iter(Axis(0)))
            .for_each(|(mut spectrum, energies)| spectrum.assign(&self.frame(energies)));
        spectra
    }

    /// What spectra `[frames, bins]` have to be multiplied by so that their energies come nearer to those wanted,
    /// `[frames, filters]`: of the filters that read a bin, the geometric mean of the ratios of energies, by their weights.
    pub(super) fn ratios(&self, spectra: &Array2<f64>, wanted: &Array2<f64>) -> Array2<f64> {
        let found = spectra.dot(&self.filters.t());
        let logs = Zip::from(&found).and(wanted).map_collect(|found, wanted| {
            let ratio = (wanted + TINY) / (found + TINY);
            ratio.ln().clamp(-MOST_LOG_RATIO, MOST_LOG_RATIO)
        });
        let weights = self.filters.sum_axis(Axis(0)) + TINY;
        (logs.dot(&self.filters) / &weights).mapv(f64::exp)
    }

    fn frame(&self, energies: ArrayView1<f64>) -> Array1<f64> {
        let wanted = self.filters.t().dot(&energies);
        // Each bin begins at the mean of the energies a weight of which it takes.
        let mut spectrum =
            &wanted / &(self.filters.t().dot(&self.filters.sum_axis(Axis(1))) + TINY);
        for _ in 0..self.iterations {
            let found = self.filters.t().dot(&self.filters.dot(&spectrum));
            spectrum = spectrum * (&wanted / &(found + TINY));
        }
        spectrum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_energies_are_met() {
        let dense = ndarray::array![[1.0, 0.5, 0.0, 0.0], [0.0, 0.5, 1.0, 0.0]];
        let inverse = FilterInverse::new(&SparseMelFilterbank::from_dense(&dense), 200);
        let energies = ndarray::array![[2.0, 3.0], [0.0, 1.0]];
        let spectra = inverse.spectrum(&energies);
        let gap = (spectra.dot(&dense.t()) - &energies).mapv(f64::abs);
        assert!(gap.iter().all(|&gap| gap < 1e-2), "{gap}");
        assert!(spectra.iter().all(|&x| x >= 0.0));
        assert_eq!(spectra[[0, 3]], 0.0);
    }

    #[test]
    fn ratios_lead_to_the_energies() {
        let dense = ndarray::array![[1.0, 0.5, 0.0, 0.0], [0.0, 0.5, 1.0, 0.0]];
        let inverse = FilterInverse::new(&SparseMelFilterbank::from_dense(&dense), 1);
        let wanted = ndarray::array![[2.0, 3.0]];
        let mut spectra = ndarray::array![[1.0, 1.0, 1.0, 1.0]];
        for _ in 0..20 {
            spectra = &spectra * &inverse.ratios(&spectra, &wanted);
        }
        let gap = (spectra.dot(&dense.t()) - &wanted).mapv(f64::abs);
        assert!(gap.iter().all(|&gap| gap < 1e-2), "{gap}");
        assert_eq!(spectra[[0, 3]], 1.0);
    }

    #[test]
    fn what_a_filter_without_bins_holds_changes_nothing() {
        let with = ndarray::array![[1.0, 0.5, 0.0], [0.0, 0.0, 0.0], [0.0, 0.5, 1.0]];
        let without = ndarray::array![[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]];
        let invert = |filters: &Array2<f64>, energies: &Array2<f64>| {
            FilterInverse::new(&SparseMelFilterbank::from_dense(filters), 50).spectrum(energies)
        };
        let found = invert(&with, &ndarray::array![[2.0, 1e-7, 3.0]]);
        assert_eq!(found, invert(&without, &ndarray::array![[2.0, 3.0]]));
    }
}
