//! The items of a map: one vector per utterance, the mean of its frames where it has several; of many utterances a random subset.

use std::path::Path;

use ndarray::{Array1, Array2, Axis};
use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

use crate::dataset::Table;
use crate::dataset::feats::Feats;
use crate::error::{Error, Result};
use crate::io::kaldi::{KaldiObject, ReadSpecifier, ScpTable, TableReader};

/// The label of an utterance in a table of two columns.
///
/// # Errors
/// [`Error::Key`] for an utterance without one.
pub fn label<'a>(labels: &'a Table, id: &str) -> Result<&'a str> {
    match labels.get(id) {
        Some(label) if !label.is_empty() => Ok(label),
        found => {
            let found = found.map_or("no line for it", |_| "none");
            let expected = "a label of this utterance";
            Err(Error::key(labels.path(), id, expected, found))
        }
    }
}

/// The fewest items of a map.
pub const LEAST_ITEMS: usize = 5;

/// The choice of utterances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// The most utterances; of more, a uniform random subset.
    pub most: usize,
    /// Seed of the subset.
    pub seed: u64,
}

/// Utterances with their vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct MapItems {
    /// Names of the utterances, in the order of their list.
    pub ids: Vec<String>,
    /// `[utterances, dims]`.
    pub vectors: Array2<f64>,
    /// Number of utterances before the subset was drawn.
    pub all: usize,
}

impl MapItems {
    /// Reads a list, opening only the drawn utterances. `check` is called with every name first.
    ///
    /// # Errors
    /// Errors of `check`; [`Error::Format`] for less than [`LEAST_ITEMS`] utterances; [`Error::Key`] for one without
    /// frames, of another length than the first, or with numbers that are not finite.
    pub fn of_list(
        path: &Path,
        draw: Draw,
        check: &mut dyn FnMut(&str) -> Result<()>,
    ) -> Result<Self> {
        let ids = ScpTable::<Array2<f32>>::open(path)?.keys().to_vec();
        ids.iter().try_for_each(|id| check(id))?;
        let drawn = draw.of(path, ids.len())?;
        let feats = Feats::open(path, &ids)?;
        let mut pool = Pool::default();
        for &item in &drawn {
            pool.push(path, &ids[item], feats.get(&ids[item])?)?;
        }
        Ok(Self {
            ids: drawn.iter().map(|&item| ids[item].clone()).collect(),
            vectors: pool.into_matrix(),
            all: ids.len(),
        })
    }

    /// Reads an archive to its end and keeps only means. The first object decides whether all are matrices or vectors (of
    /// standard input they are matrices).
    ///
    /// # Errors
    /// As [`MapItems::of_list`].
    pub fn of_stream(
        specifier: &str,
        draw: Draw,
        check: &mut dyn FnMut(&str) -> Result<()>,
    ) -> Result<Self> {
        let vectors = ReadSpecifier::parse(specifier)?.from.name() != "-"
            && !begins_with::<Array2<f32>>(specifier)
            && begins_with::<Array1<f32>>(specifier);
        let (ids, pool) = match vectors {
            true => pooled(specifier, check, |vector: Array1<f32>| {
                vector.insert_axis(Axis(0))
            })?,
            false => pooled(specifier, check, |matrix: Array2<f32>| matrix)?,
        };
        let drawn = draw.of(Path::new(specifier), ids.len())?;
        Ok(Self {
            ids: drawn.iter().map(|&item| ids[item].clone()).collect(),
            vectors: pool.into_matrix().select(Axis(0), &drawn),
            all: ids.len(),
        })
    }
}

fn pooled<T: KaldiObject>(
    specifier: &str,
    check: &mut dyn FnMut(&str) -> Result<()>,
    frames: fn(T) -> Array2<f32>,
) -> Result<(Vec<String>, Pool)> {
    let (mut ids, mut pool) = (Vec::new(), Pool::default());
    for entry in TableReader::<T>::open(specifier)? {
        let (id, object) = entry?;
        check(&id)?;
        pool.push(Path::new(specifier), &id, frames(object))?;
        ids.push(id);
    }
    Ok((ids, pool))
}

/// Whether the first object of a specifier can be read as such.
fn begins_with<T: KaldiObject>(specifier: &str) -> bool {
    let first = TableReader::<T>::open(specifier).map(|mut entries| entries.next());
    matches!(first, Ok(Some(Ok(_))))
}

impl Draw {
    /// The indices of the utterances that are drawn of `count`, in ascending order.
    fn of(self, source: &Path, count: usize) -> Result<Vec<usize>> {
        if count < LEAST_ITEMS {
            let expected = format!("at least {LEAST_ITEMS} utterances");
            return Err(Error::format(source, expected, count.to_string()));
        }
        if count <= self.most {
            return Ok((0..count).collect());
        }
        let mut generator = ChaCha8Rng::seed_from_u64(self.seed);
        let mut drawn = index::sample(&mut generator, count, self.most).into_vec();
        drawn.sort_unstable();
        Ok(drawn)
    }
}

/// Means over frames, one row per utterance.
#[derive(Default)]
struct Pool {
    dims: Option<usize>,
    values: Vec<f64>,
}

impl Pool {
    /// Adds the mean of `[frames, dims]`.
    fn push(&mut self, path: &Path, id: &str, frames: Array2<f32>) -> Result<()> {
        let wrong = |expected: String, found: String| Err(Error::key(path, id, expected, found));
        let dims = *self.dims.get_or_insert(frames.ncols());
        if frames.is_empty() {
            return wrong(
                "at least one frame of at least one number".into(),
                "none".into(),
            );
        }
        if frames.ncols() != dims {
            return wrong(
                format!("{dims} values per frame"),
                frames.ncols().to_string(),
            );
        }
        if let Some(value) = frames.iter().find(|value| !value.is_finite()) {
            return wrong("finite numbers".into(), value.to_string());
        }
        let sum = frames.mapv(f64::from).sum_axis(Axis(0));
        self.values.extend(sum / frames.nrows() as f64);
        Ok(())
    }

    /// `[utterances, dims]`.
    fn into_matrix(self) -> Array2<f64> {
        let dims = self.dims.unwrap_or(0);
        let rows = self.values.len().checked_div(dims).unwrap_or(0);
        Array2::from_shape_vec((rows, dims), self.values).expect("rows are of one length")
    }
}
