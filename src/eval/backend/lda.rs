//! Linear discriminant analysis: the directions with the largest ratio of the variance between speakers to that within
//! speakers, as Kaldi's `ivector-compute-lda`.

use ndarray::{Array2, s};

use super::speakers::SpeakerStats;
use crate::error::{Error, Result};
use crate::eval::algebra::eigen;

/// How many directions are kept, and how they are scaled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LdaOptions {
    /// Directions; below the number of speakers, beyond which means do not differ.
    pub dims: usize,
    /// The covariance that is normalised to the identity: at 0 that within speakers, at 1 the total, else a mixture.
    pub total_covariance_factor: f64,
    /// Least eigenvalue of it, over the greatest.
    pub covariance_floor: f64,
}

impl LdaOptions {
    /// Kaldi's defaults, for `dims` directions.
    pub fn new(dims: usize) -> Self {
        Self {
            dims,
            total_covariance_factor: 0.0,
            covariance_floor: 1e-6,
        }
    }

    fn check(&self, stats: &SpeakerStats) -> Result<()> {
        let most = stats.means.ncols().min(stats.counts.len() - 1);
        if !(1..=most).contains(&self.dims) {
            let expected = format!(
                "1 to {most}, for {} dimensions and {} speakers in {}",
                stats.means.ncols(),
                stats.counts.len(),
                stats.source().display()
            );
            return Err(Error::option("lda-dim", expected, self.dims.to_string()));
        }
        for (name, value) in [
            ("total-covariance-factor", self.total_covariance_factor),
            ("covariance-floor", self.covariance_floor),
        ] {
            if !(0.0..=1.0).contains(&value) {
                return Err(Error::option(name, "0 to 1", value.to_string()));
            }
        }
        Ok(())
    }
}

/// The matrix `[kept, dims]`, for vectors whose mean was subtracted.
pub(super) fn train(stats: &SpeakerStats, options: LdaOptions) -> Result<Array2<f64>> {
    options.check(stats)?;
    let within = &stats.within / stats.utterances() as f64;
    let between = stats.between();
    // factor * total + (1 - factor) * within, with total = within + between.
    let normalised = &within + &(&between * options.total_covariance_factor);
    let (values, vectors) = eigen(&normalised)?;
    let floor = (options.covariance_floor * values[0]).max(f64::MIN_POSITIVE);
    let scales = values.mapv(|value| value.max(floor).powf(-0.5));
    let whiten = (&vectors * &scales).reversed_axes();
    let (_, directions) = eigen(&whiten.dot(&between).dot(&whiten.t()))?;
    Ok(directions.slice(s![.., ..options.dims]).t().dot(&whiten))
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::super::speakers::Speakers;
    use super::super::tests::{draw, labelled};
    use super::*;

    fn stats(counts: &[usize]) -> SpeakerStats {
        let between = array![[2.0, 0.0, 0.3], [0.5, 1.5, 0.0], [0.0, -0.4, 0.1]];
        let within = array![[0.6, 0.2, 0.0], [0.0, 0.4, 0.1], [0.1, 0.0, 1.5]];
        let (vectors, speakers) = draw(2, counts, &between, &within);
        let (embeddings, utt2spk) = labelled(&vectors, &speakers);
        let speakers = Speakers::of(&embeddings, &utt2spk).unwrap();
        speakers.stats(&vectors, 0.0).unwrap()
    }

    fn is_identity(matrix: &Array2<f64>) -> bool {
        let gap = matrix - &Array2::<f64>::eye(matrix.nrows());
        gap.iter().all(|gap| gap.abs() < 1e-9)
    }

    #[test]
    fn what_is_normalised_becomes_the_identity() {
        let stats = stats(&[4, 7, 2, 5, 6]);
        let within = &stats.within / 24.0;
        for (factor, covariance) in [(0.0, within.clone()), (1.0, within + stats.between())] {
            let options = LdaOptions {
                total_covariance_factor: factor,
                ..LdaOptions::new(2)
            };
            let matrix = train(&stats, options).unwrap();
            assert_eq!(matrix.dim(), (2, 3));
            assert!(is_identity(&matrix.dot(&covariance).dot(&matrix.t())));
            let spread = matrix.dot(&stats.between()).dot(&matrix.t());
            assert!(spread[[0, 1]].abs() < 1e-9 && spread[[0, 0]] > spread[[1, 1]]);
        }
    }

    /// Of two speakers the one direction is Fisher's: `within^-1` times the difference of their means.
    #[test]
    fn two_speakers_have_fishers_direction() {
        let stats = stats(&[6, 6]);
        let matrix = train(&stats, LdaOptions::new(1)).unwrap();
        let fisher = stats.within.dot(&matrix.row(0));
        let difference = &stats.means.row(0) - &stats.means.row(1);
        let cosine =
            fisher.dot(&difference) / (fisher.dot(&fisher) * difference.dot(&difference)).sqrt();
        assert!((cosine.abs() - 1.0).abs() < 1e-9, "{cosine}");
    }

    #[test]
    fn more_directions_than_speakers_allow_are_refused() {
        let error = train(&stats(&[6, 6, 6]), LdaOptions::new(3)).unwrap_err();
        let expected = "lda-dim: expected 1 to 2, for 3 dimensions and 3 speakers in ";
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}
