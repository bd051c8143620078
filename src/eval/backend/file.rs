//! Models as files: JSON with the kind of model, so that one kind is not read as another.

use std::path::Path;

use ndarray::{Array1, Array2};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use super::plda::Plda;
use super::{Backend, Scoring};
use crate::error::{Error, Result};
use crate::io::lines::read_text;
use crate::io::{atomic, json};

/// No model of ours is larger: two square matrices of 4096 values take 700 MB.
const MOST_BYTES: u64 = 1 << 30;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<T> {
    kind: String,
    model: T,
}

/// Writes a model of this kind, atomically.
pub(super) fn write(path: &Path, kind: &str, model: &impl Serialize) -> Result<()> {
    let kind = kind.to_string();
    let json = serde_json::to_string(&Envelope { kind, model })
        .map_err(|e| Error::format(path, "a model that JSON can hold", e.to_string()))?;
    atomic::write(path, json + "\n")
}

/// Whether a file holds a model of this kind.
pub(super) fn is_of_kind(path: &Path, kind: &str) -> bool {
    let head: Result<Envelope<IgnoredAny>> = json::read(path, "a model");
    head.is_ok_and(|head| head.kind == kind)
}

/// Reads a model of this kind.
pub(super) fn read<T: DeserializeOwned>(path: &Path, kind: &str) -> Result<T> {
    let expected = format!("the {kind} that unbraid wrote");
    if std::fs::metadata(path).map_err(Error::io(path))?.len() > MOST_BYTES {
        let found = format!("more than {MOST_BYTES} bytes");
        return Err(Error::format(path, expected, found));
    }
    let text = read_text(path)?;
    let head: Envelope<IgnoredAny> = json::parse(&text, path, 1, &expected)?;
    if head.kind != kind {
        let found = format!("a {}", head.kind);
        return Err(Error::format(path, expected, found));
    }
    let whole: Envelope<T> = json::parse(&text, path, 1, &expected)?;
    Ok(whole.model)
}

/// The kind of model in a backend's file.
pub(super) const BACKEND: &str = "backend";

/// A backend in the form of its file: matrices by rows.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BackendFile {
    dims: usize,
    kept: usize,
    centre: Vec<f64>,
    lda: Option<Vec<Vec<f64>>>,
    length_norm: bool,
    /// Cosine without it.
    plda: Option<PldaFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PldaFile {
    mean: Vec<f64>,
    transform: Vec<Vec<f64>>,
    psi: Vec<f64>,
    length_norm: bool,
}

impl From<&Backend> for BackendFile {
    fn from(backend: &Backend) -> Self {
        Self {
            dims: backend.dims(),
            kept: backend.kept(),
            centre: backend.centre.to_vec(),
            lda: backend.lda.as_ref().map(rows),
            length_norm: backend.length_norm,
            plda: backend.plda().map(|plda| PldaFile {
                mean: plda.mean.to_vec(),
                transform: rows(&plda.transform),
                psi: plda.psi.to_vec(),
                length_norm: plda.length_norm,
            }),
        }
    }
}

impl BackendFile {
    /// The backend, when its parts fit together.
    pub(super) fn checked(self, path: &Path) -> Result<Backend> {
        let (dims, kept) = (self.dims, self.kept);
        if dims == 0 || kept == 0 || kept > dims || (self.lda.is_none() && kept != dims) {
            let found = format!("dims {dims} and kept {kept}");
            return Err(Error::format(path, "dims of at least kept, above 0", found));
        }
        let scoring = match self.plda {
            None => Scoring::Cosine,
            Some(plda) => {
                let psi = vector(path, "psi", plda.psi, kept)?;
                if let Some(odd) = psi.iter().find(|psi| **psi < 0.0) {
                    return Err(Error::key(path, "psi", "variances from 0", odd.to_string()));
                }
                Scoring::Plda(Plda {
                    mean: vector(path, "mean", plda.mean, kept)?,
                    transform: matrix(path, "transform", plda.transform, (kept, kept))?,
                    psi,
                    length_norm: plda.length_norm,
                })
            }
        };
        let lda = self.lda.map(|rows| matrix(path, "lda", rows, (kept, dims)));
        Ok(Backend {
            centre: vector(path, "centre", self.centre, dims)?,
            lda: lda.transpose()?,
            length_norm: self.length_norm,
            scoring,
        })
    }
}

fn rows(matrix: &Array2<f64>) -> Vec<Vec<f64>> {
    matrix.rows().into_iter().map(|row| row.to_vec()).collect()
}

/// A vector of `dims` numbers.
fn vector(path: &Path, name: &str, values: Vec<f64>, dims: usize) -> Result<Array1<f64>> {
    if values.len() != dims {
        let expected = format!("{dims} values");
        return Err(Error::key(path, name, expected, values.len().to_string()));
    }
    moderate(path, name, &values)?;
    Ok(Array1::from(values))
}

/// Refuses numbers whose products with embeddings may overflow: a score that is not finite would be reported as an error of its trial.
pub(super) fn moderate(path: &Path, name: &str, values: &[f64]) -> Result<()> {
    match values.iter().find(|value| value.abs() >= 1e60) {
        Some(odd) => {
            let (expected, found) = ("numbers of a size below 1e60", format!("{odd:e}"));
            Err(Error::key(path, name, expected, found))
        }
        None => Ok(()),
    }
}

fn matrix(
    path: &Path,
    name: &str,
    rows: Vec<Vec<f64>>,
    (count, dims): (usize, usize),
) -> Result<Array2<f64>> {
    if rows.len() != count {
        let expected = format!("{count} rows");
        return Err(Error::key(path, name, expected, rows.len().to_string()));
    }
    let mut matrix = Array2::zeros((count, dims));
    for (mut to, row) in matrix.rows_mut().into_iter().zip(rows) {
        to.assign(&vector(path, name, row, dims)?);
    }
    Ok(matrix)
}
