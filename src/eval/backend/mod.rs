//! Backends, which score trials from speaker embeddings: centring, linear discriminant analysis, length normalisation,
//! then cosine or PLDA; unsupervised adaptation to a domain, score normalisation with a cohort, calibration. Everything is
//! trained in f64.

mod adapt;
mod calibration;
mod embeddings;
mod file;
mod lda;
mod logistic;
mod plda;
mod quality;
mod scoring;
mod sides;
mod snorm;
mod speakers;

use std::path::Path;

use ndarray::{Array1, Array2, Axis};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use adapt::AdaptOptions;
pub use calibration::Calibration;
pub use embeddings::{Embeddings, EnrolmentTable};
pub use lda::LdaOptions;
pub use plda::{Plda, PldaOptions};
pub use quality::{
    Quality, QualityCalibration, QualityMeasures, QualityTrials, TrialCalibration, is_table,
    write_table,
};
pub use scoring::{TrialScorer, score_trials};
pub use sides::{Models, Tests};
pub use snorm::{Cohort, SNorm};

use crate::dataset::Table;
use crate::error::{Error, Result};
use speakers::Speakers;

/// How two prepared embeddings are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ScoringKind {
    /// The log-likelihood ratio of probabilistic linear discriminant analysis.
    #[default]
    Plda,
    /// The cosine.
    Cosine,
}

/// The parts of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BackendOptions {
    /// Linear discriminant analysis, if any.
    pub lda: Option<LdaOptions>,
    /// Whether embeddings are then scaled to a length of the root of their dimension, as Kaldi's
    /// `ivector-normalize-length`.
    pub length_norm: bool,
    /// The comparison.
    pub scoring: ScoringKind,
    /// How PLDA is trained.
    pub plda: PldaOptions,
    /// How far the covariance within speakers is moved towards a multiple of the identity of the same trace (Ledoit and
    /// Wolf 2004), from 0 to 1. Above 0 there may be fewer utterances than dimensions.
    pub smoothing: f64,
}

/// What compares.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scoring {
    Cosine,
    Plda(Plda),
}

/// A trained backend.
#[derive(Debug, Clone, PartialEq)]
pub struct Backend {
    /// Subtracted first, `[dims]`.
    centre: Array1<f64>,
    /// Then multiplied with, `[kept, dims]`.
    lda: Option<Array2<f64>>,
    length_norm: bool,
    scoring: Scoring,
}

/// The training data of a backend, and its likelihood.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Training {
    /// Embeddings.
    pub utterances: usize,
    /// Their speakers.
    pub speakers: usize,
    /// Values of an embedding.
    pub dims: usize,
    /// Values that are compared.
    pub kept: usize,
    /// Log-likelihood per utterance after each iteration of PLDA, up to a constant; empty without PLDA.
    pub log_likelihoods: Vec<f64>,
}

impl Backend {
    /// The cosine of embeddings as they are.
    pub fn cosine(dims: usize) -> Self {
        Self {
            centre: Array1::zeros(dims),
            lda: None,
            length_norm: false,
            scoring: Scoring::Cosine,
        }
    }

    /// Trains on embeddings with the speakers of a table (`utt2spk`, which may have more utterances).
    ///
    /// # Errors
    /// [`Error::Key`] for an embedding without a speaker; [`Error::Format`] naming the embeddings for fewer than two
    /// speakers, for one utterance of each, for too few utterances for their dimension, and for a direction in which those
    /// of a speaker do not differ (see [`BackendOptions::smoothing`]); [`Error::Option`] for options out of range.
    pub fn train(
        embeddings: &Embeddings,
        utt2spk: &Table,
        options: &BackendOptions,
    ) -> Result<(Self, Training)> {
        if !(0.0..=1.0).contains(&options.smoothing) {
            let found = options.smoothing.to_string();
            return Err(Error::option("smoothing", "0 to 1", found));
        }
        let speakers = Speakers::of(embeddings, utt2spk)?;
        let centre = embeddings.mean();
        let mut backend = Self {
            centre,
            lda: None,
            length_norm: false,
            scoring: Scoring::Cosine,
        };
        let mut vectors = backend.prepare(embeddings)?;
        if let Some(lda) = options.lda {
            let stats = speakers.stats(&vectors, options.smoothing)?;
            stats.refuse_singular(true)?;
            let matrix = lda::train(&stats, lda)?;
            vectors = vectors.dot(&matrix.t());
            backend.lda = Some(matrix);
        }
        backend.length_norm = options.length_norm;
        if options.length_norm {
            scale_to_length(&mut vectors);
        }
        let mut log_likelihoods = Vec::new();
        if options.scoring == ScoringKind::Plda {
            let stats = speakers.stats(&vectors, options.smoothing)?;
            stats.refuse_singular(false)?;
            let (plda, found) = plda::train(&stats, options.plda)?;
            backend.scoring = Scoring::Plda(plda);
            log_likelihoods = found;
        }
        let training = Training {
            utterances: embeddings.len(),
            speakers: speakers.count(),
            dims: embeddings.dims(),
            kept: vectors.ncols(),
            log_likelihoods,
        };
        Ok((backend, training))
    }

    /// Adapts PLDA to a domain by embeddings of unknown speakers. With `recentre` the mean that is subtracted first becomes
    /// their mean.
    ///
    /// # Errors
    /// [`Error::Option`] for a backend that compares by cosine and for options out of range; as [`Backend::prepare`].
    pub fn adapt(
        &mut self,
        embeddings: &Embeddings,
        options: AdaptOptions,
        recentre: bool,
    ) -> Result<()> {
        self.check_dims(embeddings)?;
        if recentre {
            self.centre = embeddings.mean();
        }
        let vectors = self.prepare(embeddings)?;
        match &mut self.scoring {
            Scoring::Plda(plda) => plda.adapt(&vectors, options),
            Scoring::Cosine => {
                let expected = "a backend with PLDA, which can be adapted";
                Err(Error::option("backend", expected, "one of cosines"))
            }
        }
    }

    /// Values of the embeddings that it takes.
    pub fn dims(&self) -> usize {
        self.centre.len()
    }

    /// Values that it compares.
    pub fn kept(&self) -> usize {
        self.lda.as_ref().map_or(self.dims(), Array2::nrows)
    }

    /// Its PLDA, if that compares.
    pub fn plda(&self) -> Option<&Plda> {
        match &self.scoring {
            Scoring::Cosine => None,
            Scoring::Plda(plda) => Some(plda),
        }
    }

    /// Embeddings centred, projected and scaled, `[utterances, kept]`.
    ///
    /// # Errors
    /// [`Error::Format`] for embeddings of another dimension.
    pub fn prepare(&self, embeddings: &Embeddings) -> Result<Array2<f64>> {
        self.check_dims(embeddings)?;
        let kept = self.kept();
        let mut prepared = Array2::zeros((embeddings.len(), kept));
        // In blocks, so that there is no second copy of all embeddings in f64.
        for (from, mut to) in embeddings
            .vectors()
            .axis_chunks_iter(Axis(0), 1024)
            .zip(prepared.axis_chunks_iter_mut(Axis(0), 1024))
        {
            let centred = from.mapv(f64::from) - &self.centre;
            match &self.lda {
                Some(matrix) => to.assign(&centred.dot(&matrix.t())),
                None => to.assign(&centred),
            }
        }
        if self.length_norm {
            scale_to_length(&mut prepared);
        }
        Ok(prepared)
    }

    fn check_dims(&self, embeddings: &Embeddings) -> Result<()> {
        if embeddings.dims() == self.dims() {
            return Ok(());
        }
        let expected = format!(
            "embeddings of {} values, as the backend or the other side",
            self.dims()
        );
        let found = embeddings.dims().to_string();
        Err(Error::format(embeddings.source(), expected, found))
    }

    /// Writes it to a file, atomically.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        file::write(path, file::BACKEND, &file::BackendFile::from(self))
    }

    /// Reads a file of [`Backend::write`].
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Format`] for another kind of file, a truncated one, or parts of different dimensions.
    pub fn read(path: &Path) -> Result<Self> {
        file::read::<file::BackendFile>(path, file::BACKEND)?.checked(path)
    }
}

/// Scales rows to the root of their dimension; a row of zeros stays.
fn scale_to_length(vectors: &mut Array2<f64>) {
    let target = (vectors.ncols() as f64).sqrt();
    for mut row in vectors.rows_mut() {
        let length = row.dot(&row).sqrt();
        if length > 0.0 {
            row *= target / length;
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::eval::trials::probit;

    /// `speakers` of `count` utterances each: normal means and normal offsets, through a matrix each.
    pub(super) fn draw(
        seed: u64,
        counts: &[usize],
        between: &Array2<f64>,
        within: &Array2<f64>,
    ) -> (Array2<f64>, Vec<usize>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let dims = between.nrows();
        let mut normal =
            || Array1::from_shape_fn(dims, |_| probit(rng.random_range(1e-9..1.0 - 1e-9)));
        let mut vectors = Array2::zeros((0, dims));
        let mut speakers = Vec::new();
        for (speaker, &count) in counts.iter().enumerate() {
            let place = between.dot(&normal());
            for _ in 0..count {
                let vector = &place + &within.dot(&normal());
                vectors.push(Axis(0), vector.view()).unwrap();
                speakers.push(speaker);
            }
        }
        (vectors, speakers)
    }

    /// Embeddings `u0`, `u1`, ... and the table of their speakers.
    pub(super) fn labelled(vectors: &Array2<f64>, speakers: &[usize]) -> (Embeddings, Table) {
        use crate::io::kaldi::TableWriter;
        let dir = tempfile::tempdir().unwrap();
        let ark = format!("ark:{}", dir.path().join("e.ark").display());
        let mut writer = TableWriter::<Array1<f32>>::create(&ark).unwrap();
        let mut lines = String::new();
        for (index, (row, speaker)) in vectors.rows().into_iter().zip(speakers).enumerate() {
            let row = row.mapv(|value| value as f32);
            writer.write(&format!("u{index}"), &row).unwrap();
            lines += &format!("u{index} s{speaker}\n");
        }
        writer.finish().unwrap();
        let utt2spk = dir.path().join("utt2spk");
        std::fs::write(&utt2spk, lines).unwrap();
        (
            Embeddings::read(&ark).unwrap(),
            Table::read(&utt2spk).unwrap(),
        )
    }

    fn trained(options: &BackendOptions) -> (Backend, Embeddings) {
        let (vectors, speakers) = draw(
            3,
            &[3, 4, 2, 5, 4],
            &array![[1.0, 0.2, 0.0], [0.0, 0.7, 0.1], [0.3, 0.0, 0.2]],
            &(Array2::eye(3) * 0.5),
        );
        let (embeddings, utt2spk) = labelled(&(vectors + 2.0), &speakers);
        let (backend, training) = Backend::train(&embeddings, &utt2spk, options).unwrap();
        assert_eq!((training.utterances, training.speakers), (18, 5));
        (backend, embeddings)
    }

    #[test]
    fn parts_come_in_their_order() {
        let (backend, embeddings) = trained(&BackendOptions {
            lda: Some(LdaOptions::new(2)),
            length_norm: true,
            ..BackendOptions::default()
        });
        assert_eq!((backend.dims(), backend.kept()), (3, 2));
        let prepared = backend.prepare(&embeddings).unwrap();
        for row in prepared.rows() {
            assert!((row.dot(&row) - 2.0).abs() < 1e-12);
        }
        assert!(backend.plda().unwrap().psi().iter().all(|psi| *psi >= 0.0));
    }

    #[test]
    fn a_written_backend_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("b.json");
        for scoring in [ScoringKind::Cosine, ScoringKind::Plda] {
            let (backend, _) = trained(&BackendOptions {
                lda: Some(LdaOptions::new(2)),
                scoring,
                ..BackendOptions::default()
            });
            backend.write(&path).unwrap();
            assert_eq!(Backend::read(&path).unwrap(), backend);
        }
        let bytes = std::fs::read(&path).unwrap();
        for end in 0..bytes.len() - 1 {
            std::fs::write(&path, &bytes[..end]).unwrap();
            if let Ok(read) = Backend::read(&path) {
                panic!("{end} bytes are enough for {read:?}");
            }
        }
    }

    #[test]
    fn parts_that_do_not_fit_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("b.json");
        let plda = |mean: &str, psi: &str| {
            format!(
                r#"{{"mean":{mean},"transform":[[1,0],[0,1]],"psi":{psi},"length_norm":false}}"#
            )
        };
        for (kind, kept, lda, plda, expected) in [
            (
                "calibration",
                2,
                "null",
                "null".into(),
                "the backend that unbraid wrote, found a calibration",
            ),
            ("backend", 3, "null", "null".into(), "dims of at least kept"),
            ("backend", 1, "null", "null".into(), "dims of at least kept"),
            (
                "backend",
                1,
                "[[1]]",
                "null".into(),
                "lda: expected 2 values, found 1",
            ),
            (
                "backend",
                1,
                "[[1,2],[3,4]]",
                "null".into(),
                "lda: expected 1 rows, found 2",
            ),
            (
                "backend",
                2,
                "null",
                plda("[1]", "[1,1]"),
                "mean: expected 2 values, found 1",
            ),
            (
                "backend",
                2,
                "null",
                plda("[1,NaN]", "[1,1]"),
                "b.json:2: expected the backend that unbraid wrote as JSON, found 'NaN' in column",
            ),
            (
                "backend",
                2,
                "null",
                plda("[1,1]", "[1e300,1]"),
                "psi: expected numbers of a size below 1e60, found 1e300",
            ),
            (
                "backend",
                2,
                "null",
                plda("[1,1]", "[1,-1]"),
                "psi: expected variances from 0, found -1",
            ),
            (
                "backend",
                2,
                "null",
                plda("[1,1e999]", "[1,1]"),
                "number out of range",
            ),
            (
                "backend",
                2,
                "null",
                plda("[1,null]", "[1,1]"),
                "b.json:2: expected a number as model.plda.mean, found null",
            ),
        ] {
            let json = format!(
                r#"{{"kind":"{kind}","model":{{"dims":2,"kept":{kept},"centre":[0,0],"lda":{lda},"length_norm":false,
                "plda":{plda}}}}}"#
            );
            std::fs::write(&path, json).unwrap();
            let error = Backend::read(&path).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn adaptation_with_a_new_centre_centres() {
        let (mut backend, embeddings) = trained(&BackendOptions::default());
        let shifted = &embeddings.vectors().mapv(f64::from) + 7.0;
        let (shifted, _) = labelled(&shifted, &[0; 18]);
        backend
            .adapt(&shifted, AdaptOptions::default(), true)
            .unwrap();
        let mean = backend.prepare(&shifted).unwrap().sum_axis(Axis(0)) / 18.0;
        assert!(mean.iter().all(|value| value.abs() < 1e-9));
        let mut cosine = Backend::cosine(3);
        assert!(
            cosine
                .adapt(&shifted, AdaptOptions::default(), true)
                .is_err()
        );
    }

    #[test]
    fn fewer_utterances_than_dimensions_are_refused_with_a_remedy() {
        let (vectors, speakers) = draw(1, &[2, 2, 2], &Array2::eye(5), &Array2::eye(5));
        let (embeddings, utt2spk) = labelled(&vectors, &speakers);
        let options = BackendOptions::default();
        let error = Backend::train(&embeddings, &utt2spk, &options).unwrap_err();
        let expected = "at least 8 utterances of 3 speakers for 5 dimensions, or --smoothing above 0 (as 0.1), found 6";
        assert!(error.to_string().contains(expected), "{error}");
        for dims in [None, Some(1), Some(2)] {
            let options = BackendOptions {
                smoothing: 0.1,
                lda: dims.map(LdaOptions::new),
                ..options
            };
            Backend::train(&embeddings, &utt2spk, &options).unwrap();
        }
    }

    #[test]
    fn directions_without_variance_within_speakers_are_refused_with_a_remedy() {
        let (vectors, speakers) = draw(1, &[4, 3, 5, 4], &Array2::eye(4), &Array2::eye(4));
        let train = |vectors: &Array2<f64>, dims: Option<usize>, smoothing: f64| {
            let (embeddings, utt2spk) = labelled(vectors, &speakers);
            let options = BackendOptions {
                lda: dims.map(LdaOptions::new),
                smoothing,
                plda: PldaOptions {
                    iterations: 50,
                    ..PldaOptions::default()
                },
                ..BackendOptions::default()
            };
            let (backend, _) = Backend::train(&embeddings, &utt2spk, &options)?;
            Ok::<_, Error>(
                backend
                    .plda()
                    .unwrap()
                    .transform
                    .iter()
                    .fold(0.0, |a: f64, b| a.max(b.abs())),
            )
        };
        let (mut dead, mut twin, mut named) = (vectors.clone(), vectors.clone(), vectors.clone());
        dead.column_mut(2).fill(3.0);
        twin.column_mut(2).assign(&vectors.column(1));
        named
            .column_mut(2)
            .assign(&speakers.iter().map(|&s| s as f64).collect::<Array1<_>>());
        for vectors in [&dead, &twin] {
            let error = train(vectors, None, 0.0).unwrap_err().to_string();
            let expected = "utterances of a speaker that differ in all 4 dimensions, or --smoothing above 0 (as 0.1), or \
                            --lda-dim of at most 3, found 1 directions in which they do not";
            assert!(error.contains(expected), "{error}");
            // The suggested options work, and small differences in that direction do not decide.
            for (dims, smoothing) in [(Some(3), 0.0), (None, 0.1), (Some(2), 0.1)] {
                let steepest = train(vectors, dims, smoothing).unwrap();
                assert!(steepest < 1e3, "{steepest}");
            }
        }
        for dims in [None, Some(2)] {
            let error = train(&named, dims, 0.0).unwrap_err().to_string();
            assert!(
                error.contains("or --smoothing above 0 (as 0.1), found 1 directions"),
                "{error}"
            );
        }
        assert!(train(&named, Some(2), 0.1).unwrap() < 1e3);
    }
}
