//! Embeddings in memory, and which of them make a model.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::error::{Error, Result};
use crate::io::kaldi::TableReader;
use crate::io::lines::read_table;

/// Embeddings of one dimension under keys, in the order of their archive; at least one, all finite.
#[derive(Debug, Clone)]
pub struct Embeddings {
    source: PathBuf,
    keys: Vec<String>,
    index: HashMap<String, usize>,
    vectors: Array2<f32>,
}

impl Embeddings {
    /// Reads what a read specifier names.
    ///
    /// # Errors
    /// As [`TableReader`]; [`Error::Key`] for a key that occurs twice, another dimension than the first's or numbers
    /// that are not finite; [`Error::Format`] for none.
    pub fn read(specifier: &str) -> Result<Self> {
        let entries = TableReader::<Array1<f32>>::open(specifier)?;
        Self::of_entries(Path::new(specifier), entries)
    }

    /// Of the entries of a place.
    ///
    /// # Errors
    /// As [`Embeddings::read`].
    pub(super) fn of_entries(
        source: &Path,
        entries: impl Iterator<Item = Result<(String, Array1<f32>)>>,
    ) -> Result<Self> {
        let mut keys = Vec::new();
        let mut index = HashMap::new();
        let mut vectors = Array2::zeros((0, 0));
        for entry in entries {
            let (key, vector) = entry?;
            let fault =
                |expected: String, found: String| Err(Error::key(source, &key, expected, found));
            if keys.is_empty() {
                vectors = Array2::zeros((0, vector.len()));
            }
            if vector.is_empty() || vector.len() != vectors.ncols() {
                let expected = format!("{} values, as others have", vectors.ncols().max(1));
                return fault(expected, vector.len().to_string());
            }
            if let Some(odd) = vector.iter().find(|value| !value.is_finite()) {
                return fault("finite numbers".into(), odd.to_string());
            }
            if index.insert(key.clone(), keys.len()).is_some() {
                return fault("each key once".into(), "it again".into());
            }
            vectors
                .push(Axis(0), vector.view())
                .expect("of as many columns, as checked above");
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(Error::format(source, "embeddings", "none"));
        }
        Ok(Self {
            source: source.to_path_buf(),
            keys,
            index,
            vectors,
        })
    }

    #[cfg(feature = "torch")]
    /// Of rows that are at hand: `keys`, each once, and finite `vectors`, `[keys, dims]`, at least one.
    pub(crate) fn of_rows(source: &Path, keys: Vec<String>, vectors: Array2<f32>) -> Self {
        Self {
            source: source.to_path_buf(),
            index: keys.iter().cloned().zip(0..).collect(),
            keys,
            vectors,
        }
    }

    /// What they were read from.
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Always false: there is at least one.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Dimension of an embedding.
    pub fn dims(&self) -> usize {
        self.vectors.ncols()
    }

    /// Their keys, in order.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// The number of a key.
    pub fn position(&self, key: &str) -> Option<usize> {
        self.index.get(key).copied()
    }

    /// `[utterances, dims]`.
    pub fn vectors(&self) -> ArrayView2<'_, f32> {
        self.vectors.view()
    }

    /// Their mean.
    pub fn mean(&self) -> Array1<f64> {
        let mut sum = Array1::zeros(self.dims());
        for row in self.vectors.rows() {
            sum.zip_mut_with(&row, |sum, &value| *sum += f64::from(value));
        }
        sum / self.len() as f64
    }

    pub(super) fn index(&self) -> &HashMap<String, usize> {
        &self.index
    }
}

/// Models and the utterances that each is enrolled with.
#[derive(Debug, Clone)]
pub struct EnrolmentTable {
    path: PathBuf,
    models: Vec<(String, Vec<String>)>,
}

impl EnrolmentTable {
    /// Reads `model utterance utterance ...` lines, as of `spk2utt`.
    ///
    /// # Errors
    /// As [`read_table`]; [`Error::Line`] for a model without utterances.
    pub fn read(path: &Path) -> Result<Self> {
        let models = read_table(path)?
            .into_iter()
            .map(|entry| {
                let utterances = entry.value.split_ascii_whitespace();
                let utterances: Vec<String> = utterances.map(str::to_string).collect();
                if utterances.is_empty() {
                    let expected = "a model and its utterances";
                    let found = format!("'{}' without any", entry.key);
                    return Err(Error::line(path, entry.line, expected, found));
                }
                Ok((entry.key, utterances))
            })
            .collect::<Result<Vec<_>>>()?;
        if models.is_empty() {
            return Err(Error::format(path, "models and their utterances", "none"));
        }
        Ok(Self {
            path: path.to_path_buf(),
            models,
        })
    }

    /// Each model with the indices of its utterances in `embeddings`, in the file's order.
    pub(super) fn places(&self, embeddings: &Embeddings) -> Result<Vec<(&str, Vec<usize>)>> {
        let place = |line: usize, utterance: &str| {
            embeddings.position(utterance).ok_or_else(|| {
                let source = embeddings.source().display();
                let expected = format!("utterances with an embedding in {source}");
                Error::line(&self.path, line, expected, format!("'{utterance}'"))
            })
        };
        // A table has one line per model, none of them empty.
        (1..)
            .zip(&self.models)
            .map(|(line, (model, utterances))| {
                let places = utterances.iter().map(|utterance| place(line, utterance));
                Ok((model.as_str(), places.collect::<Result<_>>()?))
            })
            .collect()
    }
}
