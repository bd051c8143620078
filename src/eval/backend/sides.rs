//! The two sides of trials, ready to be compared: every score is an offset, a product and perhaps a weighted square.

use std::collections::HashMap;

use ndarray::{Array1, Array2, ArrayView1, Axis, s};

use super::embeddings::{Embeddings, EnrolmentTable};
use super::{Backend, Scoring};
use crate::error::Result;

/// Enrolled models by key.
#[derive(Debug, Clone)]
pub struct Models {
    index: HashMap<String, usize>,
    /// `[models, kept]`.
    weights: Array2<f64>,
    offsets: Vec<f64>,
    /// The index of the curvature of each model; empty for cosines.
    bent: Vec<usize>,
    curvatures: Vec<Array1<f64>>,
}

/// Which models or test vectors, by index.
type Indices = std::ops::Range<usize>;

/// Test vectors by key.
#[derive(Debug, Clone)]
pub struct Tests {
    index: HashMap<String, usize>,
    /// `[utterances, kept]`.
    vectors: Array2<f64>,
}

impl Backend {
    /// Enrols every embedding by itself, or the models of a table: each by the mean of its utterances, which are prepared one
    /// by one. PLDA takes their number into account.
    ///
    /// # Errors
    /// As [`Backend::prepare`]; [`crate::Error::Line`] for a table's utterance without an embedding.
    pub fn models(
        &self,
        embeddings: &Embeddings,
        table: Option<&EnrolmentTable>,
    ) -> Result<Models> {
        let prepared = self.prepare(embeddings)?;
        let Some(table) = table else {
            let counts = vec![1; embeddings.len()];
            return Ok(self.enrol(prepared, &counts, embeddings.index().clone()));
        };
        let places = table.places(embeddings)?;
        let mut means = Array2::zeros((places.len(), prepared.ncols()));
        for ((_, places), mut mean) in places.iter().zip(means.rows_mut()) {
            for &place in places {
                mean += &prepared.row(place);
            }
            mean /= places.len() as f64;
        }
        let counts: Vec<usize> = places.iter().map(|(_, places)| places.len()).collect();
        let names = places.iter().map(|(model, _)| model.to_string());
        Ok(self.enrol(means, &counts, names.zip(0..).collect()))
    }

    fn enrol(&self, means: Array2<f64>, counts: &[usize], index: HashMap<String, usize>) -> Models {
        let mut models = Models {
            index,
            weights: Array2::zeros((0, 0)),
            offsets: vec![0.0; counts.len()],
            bent: Vec::new(),
            curvatures: Vec::new(),
        };
        match &self.scoring {
            Scoring::Cosine => models.weights = of_unit_length(means),
            Scoring::Plda(plda) => {
                models.weights = plda.project(&means, |index| counts[index]);
                let mut curvatures: HashMap<usize, usize> = HashMap::new();
                for (index, &count) in counts.iter().enumerate() {
                    let enrolled = plda.enrol(models.weights.row(index), count);
                    models.weights.row_mut(index).assign(&enrolled.weights);
                    models.offsets[index] = enrolled.offset;
                    models
                        .bent
                        .push(*curvatures.entry(count).or_insert_with(|| {
                            models.curvatures.push(plda.curvature(count));
                            models.curvatures.len() - 1
                        }));
                }
            }
        }
        models
    }

    /// Prepares embeddings as test vectors.
    ///
    /// # Errors
    /// As [`Backend::prepare`].
    pub fn tests(&self, embeddings: &Embeddings) -> Result<Tests> {
        let prepared = self.prepare(embeddings)?;
        let vectors = match &self.scoring {
            Scoring::Cosine => of_unit_length(prepared),
            Scoring::Plda(plda) => plda.project(&prepared, |_| 1),
        };
        Ok(Tests {
            index: embeddings.index().clone(),
            vectors,
        })
    }
}

impl Models {
    /// The index of a model.
    pub fn position(&self, key: &str) -> Option<usize> {
        self.index.get(key).copied()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.weights.nrows()
    }

    /// Always false: there is at least one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The score of a model and a test vector.
    pub fn score(&self, model: usize, tests: &Tests, test: usize) -> f64 {
        let (weights, vector) = (self.weights.row(model), tests.vectors.row(test));
        let bent = self.bent.get(model);
        self.offsets[model]
            + match bent.map(|&bent| self.curvatures[bent].view()) {
                None => weights.dot(&vector),
                Some(curvature) => bent_product(weights, curvature, vector),
            }
    }

    /// The scores of some models and some test vectors, `[models, tests]`: those of [`Models::score`] within rounding, by a
    /// product of matrices.
    pub(super) fn scores(&self, models: Indices, tests: &Tests, chosen: Indices) -> Array2<f64> {
        let weights = self.weights.slice(s![models.clone(), ..]);
        let vectors = tests.vectors.slice(s![chosen, ..]);
        let mut scores = weights.dot(&vectors.t());
        let squares = vectors.mapv(|value| value * value);
        let bends: Vec<_> = self.curvatures.iter().map(|c| squares.dot(c)).collect();
        for (model, mut row) in models.zip(scores.rows_mut()) {
            row += self.offsets[model];
            if let Some(&bent) = self.bent.get(model) {
                row += &bends[bent];
            }
        }
        scores
    }

    /// Whether every score against `tests` is the same with sides exchanged: cosines of the same vectors.
    pub(super) fn is_mirrored_by(&self, tests: &Tests) -> bool {
        self.bent.is_empty() && self.weights == tests.vectors
    }
}

impl Tests {
    /// The index of an utterance.
    pub fn position(&self, key: &str) -> Option<usize> {
        self.index.get(key).copied()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.vectors.nrows()
    }

    /// Always false: there is at least one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// `sum t (weight + curvature t)`, in eight partial sums, for vector instructions.
fn bent_product(
    weights: ArrayView1<f64>,
    curvature: ArrayView1<f64>,
    vector: ArrayView1<f64>,
) -> f64 {
    let term = |w: f64, c: f64, t: f64| t * (w + c * t);
    let (Some(w), Some(c), Some(t)) = (weights.to_slice(), curvature.to_slice(), vector.to_slice())
    else {
        let rows = weights.iter().zip(&curvature).zip(&vector);
        return rows.map(|((&w, &c), &t)| term(w, c, t)).sum();
    };
    let (w, w_rest) = w.as_chunks::<8>();
    let (c, c_rest) = c.as_chunks::<8>();
    let (t, t_rest) = t.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for ((w, c), t) in w.iter().zip(c).zip(t) {
        for lane in 0..8 {
            sums[lane] += term(w[lane], c[lane], t[lane]);
        }
    }
    let rest = w_rest.iter().zip(c_rest).zip(t_rest);
    sums.iter().sum::<f64>() + rest.map(|((&w, &c), &t)| term(w, c, t)).sum::<f64>()
}

/// Rows over their length; a row of zeros stays, and its cosines are 0.
fn of_unit_length(mut vectors: Array2<f64>) -> Array2<f64> {
    for mut row in vectors.axis_iter_mut(Axis(0)) {
        let length = row.dot(&row).sqrt();
        if length > 0.0 {
            row /= length;
        }
    }
    vectors
}
