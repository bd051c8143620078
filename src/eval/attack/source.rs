//! Representations under attack: where utterances are read from, and as which rows an attacker sees them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{Array1, Array2, Axis};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::dataset::Table;
use crate::error::{Error, Result};
use crate::io::kaldi::{KaldiObject, ReadFrom, ReadSpecifier, ScpTable, TableReader};

/// Dimensions of words and units: a unit takes that of its number, a word that of its hash, modulo this.
const WORD_DIMS: usize = 512;
/// The longest run of equal codes that has a dimension of its own.
const MOST_RUN: usize = 32;

/// What stands under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `[frames, dims]`.
    Matrices,
    /// `[dims]`, as one frame.
    Vectors,
    /// The number of a unit per frame.
    Units,
    /// A line of words.
    Words,
}

/// What an attacker sees of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// All of it.
    Whole,
    /// Of equal neighbouring frames, the first.
    WithoutDurations,
    /// How long runs of equal frames are, and nothing else: `[runs, 32]`, one at the run's length.
    Durations,
    /// Noise of as many frames and dimensions.
    Random {
        /// Of the noise; that of an utterance is a function of seed and key.
        seed: u64,
    },
}

/// One set of a representation.
#[derive(Debug, Clone)]
pub struct Source {
    /// A read specifier, or the path of a text table.
    place: String,
    kind: Kind,
    view: View,
    /// The keys that count, where others are passed over.
    among: Option<Arc<HashSet<String>>>,
}

/// A source whose utterances are read in any order.
#[derive(Debug)]
pub struct List {
    source: Source,
    objects: Objects,
}

#[derive(Debug)]
enum Objects {
    Matrices(ScpTable<Array2<f32>>),
    Units(ScpTable<Vec<i32>>),
}

impl Source {
    /// Matrices, vectors or integer vectors of a read specifier, or of the list at a bare path.
    ///
    /// # Errors
    /// As [`TableReader`]: what cannot be opened, or whose first object is none of them; [`Error::Format`] for none.
    pub fn open(place: &str) -> Result<Self> {
        // An unknown type before a colon is a mistake, not a path.
        let place = match place.contains(':') {
            true => place.to_string(),
            false => ReadSpecifier::of_place(place).to_string(),
        };
        let kind = match first::<Array2<f32>>(&place) {
            Err(error) if error.entry().is_some() => match first::<Array1<f32>>(&place) {
                Ok(()) => Kind::Vectors,
                Err(_) => first::<Vec<i32>>(&place)
                    .map(|()| Kind::Units)
                    .or(Err(error))?,
            },
            other => other.map(|()| Kind::Matrices)?,
        };
        let view = View::Whole;
        Ok(Self {
            place,
            kind,
            view,
            among: None,
        })
    }

    /// The words of a table as Kaldi's `text`.
    pub fn words(path: &Path) -> Self {
        Self {
            place: path.display().to_string(),
            kind: Kind::Words,
            view: View::Whole,
            among: None,
        }
    }

    /// The same without the utterances of other keys.
    pub fn among(&self, keys: Arc<HashSet<String>>) -> Self {
        Self {
            among: Some(keys),
            ..self.clone()
        }
    }

    /// The same seen in another way.
    pub fn seen(&self, view: View) -> Self {
        Self {
            view,
            ..self.clone()
        }
    }

    /// What messages call it.
    pub fn path(&self) -> PathBuf {
        let name = self
            .place
            .split_once(':')
            .map_or(self.place.as_str(), |(_, name)| name);
        name.into()
    }

    /// What it holds.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether rows are one of few, so that their covariance adds nothing to how frequent they are.
    pub fn is_symbolic(&self) -> bool {
        matches!(self.kind, Kind::Units | Kind::Words) || self.view == View::Durations
    }

    /// Hands on key and rows `[frames, dims]` of every utterance, in the source's order; one utterance is in memory.
    ///
    /// # Errors
    /// As [`TableReader`]; whatever `take` says; [`Error::Key`] for an utterance without frames, of other dimensions than the
    /// first's, with numbers that are not finite, or with a unit below 0.
    pub fn each(&self, mut take: impl FnMut(&str, Array2<f32>) -> Result<()>) -> Result<()> {
        let mut dims = None;
        let mut take = |key: &str, rows: Array2<f32>| {
            if self.among.as_ref().is_some_and(|keys| !keys.contains(key)) {
                return Ok(());
            }
            let expected = *dims.get_or_insert(rows.ncols());
            let rows = self.checked(key, rows, expected)?;
            take(key, self.view(key, rows))
        };
        match self.kind {
            Kind::Matrices => entries::<Array2<f32>>(&self.place, take),
            Kind::Vectors => entries(&self.place, |key, vector: Array1<f32>| {
                take(key, vector.insert_axis(Axis(0)))
            }),
            Kind::Units => entries(&self.place, |key, units: Vec<i32>| {
                take(key, self.one_hot(key, &units)?)
            }),
            Kind::Words => {
                for entry in Table::read(&self.place)?.entries() {
                    take(&entry.key, hashed(&entry.value))?;
                }
                Ok(())
            }
        }
    }

    /// The same for reads in any order; none for archives, vectors and words, which have no list of positions or no frames.
    ///
    /// # Errors
    /// As [`ScpTable::open`].
    pub fn list(&self) -> Result<Option<List>> {
        let has_frames = matches!(self.kind, Kind::Matrices | Kind::Units);
        if !has_frames || matches!(ReadSpecifier::parse(&self.place)?.from, ReadFrom::Ark(_)) {
            return Ok(None);
        }
        let objects = match self.kind {
            Kind::Units => Objects::Units(ScpTable::open(&self.place)?),
            _ => Objects::Matrices(ScpTable::open(&self.place)?),
        };
        let source = self.clone();
        Ok(Some(List { source, objects }))
    }

    fn checked(&self, key: &str, rows: Array2<f32>, dims: usize) -> Result<Array2<f32>> {
        let wrong =
            |expected: String, found: String| Err(Error::key(self.path(), key, expected, found));
        if rows.nrows() == 0 && self.kind != Kind::Words {
            return wrong("at least one frame".into(), "none".into());
        }
        if rows.ncols() != dims || dims == 0 {
            let expected = format!("{} values per frame, as others have", dims.max(1));
            return wrong(expected, rows.ncols().to_string());
        }
        match rows.iter().find(|value| !value.is_finite()) {
            Some(value) => wrong("finite numbers".into(), value.to_string()),
            None => Ok(rows),
        }
    }

    fn view(&self, key: &str, rows: Array2<f32>) -> Array2<f32> {
        match self.view {
            View::Whole => rows,
            View::WithoutDurations => {
                let first: Vec<usize> = runs(&rows).iter().map(|run| run.start).collect();
                rows.select(Axis(0), &first)
            }
            View::Durations => {
                let lengths: Vec<usize> = runs(&rows).iter().map(|run| run.len()).collect();
                Array2::from_shape_fn((lengths.len(), MOST_RUN), |(run, length)| {
                    f32::from(lengths[run].min(MOST_RUN) == length + 1)
                })
            }
            View::Random { seed } => {
                let mut rng = ChaCha8Rng::seed_from_u64(seed ^ hash(key));
                rows.mapv(|_| rng.random_range(-1.0..1.0))
            }
        }
    }

    fn one_hot(&self, key: &str, units: &[i32]) -> Result<Array2<f32>> {
        if let Some(unit) = units.iter().find(|unit| **unit < 0) {
            let expected = "units of 0 or more";
            return Err(Error::key(self.path(), key, expected, unit.to_string()));
        }
        let mut rows = Array2::zeros((units.len(), WORD_DIMS));
        for (mut row, &unit) in rows.rows_mut().into_iter().zip(units) {
            row[unit as usize % WORD_DIMS] = 1.0;
        }
        Ok(rows)
    }
}

impl List {
    /// What messages call it.
    pub fn path(&self) -> PathBuf {
        self.source.path()
    }

    /// The rows of an utterance, `[frames, dims]`.
    ///
    /// # Errors
    /// As [`Source::each`].
    pub fn get(&self, key: &str, dims: usize) -> Result<Array2<f32>> {
        let rows = match &self.objects {
            Objects::Matrices(table) => table.get(key)?,
            Objects::Units(table) => self.source.one_hot(key, &table.get(key)?)?,
        };
        let rows = self.source.checked(key, rows, dims)?;
        Ok(self.source.view(key, rows))
    }
}

fn first<T: KaldiObject>(place: &str) -> Result<()> {
    match TableReader::<T>::open(place)?.next() {
        Some(entry) => entry.map(|_| ()),
        None => Err(Error::format(place, "utterances", "none")),
    }
}

fn entries<T: KaldiObject>(place: &str, mut take: impl FnMut(&str, T) -> Result<()>) -> Result<()> {
    for entry in TableReader::<T>::open(place)? {
        let (key, object) = entry?;
        take(&key, object)?;
    }
    Ok(())
}

/// Runs of equal neighbouring rows.
fn runs(rows: &Array2<f32>) -> Vec<std::ops::Range<usize>> {
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    for frame in 0..rows.nrows() {
        match runs.last_mut() {
            Some(run) if rows.row(frame) == rows.row(run.start) => run.end = frame + 1,
            _ => runs.push(frame..frame + 1),
        }
    }
    runs
}

fn hashed(words: &str) -> Array2<f32> {
    let places: Vec<usize> = words
        .split_ascii_whitespace()
        .map(|word| (hash(word) % WORD_DIMS as u64) as usize)
        .collect();
    Array2::from_shape_fn((places.len(), WORD_DIMS), |(word, dim)| {
        f32::from(places[word] == dim)
    })
}

/// FNV-1a of 64 bits.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn seen(view: View, rows: &Array2<f32>) -> Array2<f32> {
        let source = Source::words(Path::new("t")).seen(view);
        source.view("a", rows.clone())
    }

    #[test]
    fn runs_are_taken_apart() {
        let rows = array![[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]];
        let without = seen(View::WithoutDurations, &rows);
        assert_eq!(without, array![[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]);
        let durations = seen(View::Durations, &rows);
        assert_eq!(durations.dim(), (3, MOST_RUN));
        assert_eq!(
            (durations[[0, 1]], durations[[1, 0]], durations.sum()),
            (1.0, 1.0, 3.0)
        );
        // Beyond the longest, all are alike.
        let long = seen(View::Durations, &Array2::zeros((99, 2)));
        assert_eq!(long[[0, MOST_RUN - 1]], 1.0);
    }

    #[test]
    fn noise_is_of_the_key() {
        let rows = Array2::zeros((5, 3));
        let noise = seen(View::Random { seed: 1 }, &rows);
        assert_eq!(noise, seen(View::Random { seed: 1 }, &rows));
        assert_ne!(noise, seen(View::Random { seed: 2 }, &rows));
        assert_eq!(noise.dim(), (5, 3));
    }
}
