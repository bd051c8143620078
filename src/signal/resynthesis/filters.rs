//! A spectrum behind filter energies: the non-negative one whose energies come nearest, by multiplicative updates (Lee and
//! Seung 2001, eq. 4, with the filters held fast).

use mel_spec::mel::SparseMelFilterbank;
use ndarray::{Array1, Array2, ArrayView1, Axis};
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
