//! Centroids, the unit of a frame, and their file.

use std::path::Path;

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2};

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::io::kaldi::{TableReader, TableWriter};

/// The most clusters: distances to all of them are in memory for a block of frames.
pub const MOST_CLUSTERS: usize = 1 << 16;
/// The only key of a file.
const KEY: &str = "centroids";
/// The most frames that are compared with all centroids as one product of matrices, and about how many products of a
/// frame and a centroid that makes.
const BLOCK: usize = 128;
const BLOCK_PRODUCTS: usize = 1 << 15;
/// Beyond this length products would leave the range of f32.
const LONGEST_IN_F32: f64 = 1e18;
/// Numbers side by side, for vector instructions.
const LANES: usize = 8;

/// The centroid that a frame is nearest to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nearest {
    /// The index of the centroid; the first of equally near ones.
    pub unit: usize,
    /// Squared Euclidean distance.
    pub distance: f64,
}

/// The unit of a frame among all centroids.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scanned {
    /// As in [`Nearest`].
    pub(super) unit: usize,
    /// No other centroid is nearer than this distance.
    pub(super) others: f64,
}

/// Centroids, `[clusters, dims]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Codebook {
    centroids: Array2<f64>,
    /// Half of each centroid's squared length.
    halves: Vec<f64>,
    /// Both in single precision.
    coarse: Array2<f32>,
    coarse_halves: Vec<f32>,
}

impl Codebook {
    /// From centroids that are finite, at least one of at least one value.
    pub(super) fn new(centroids: Array2<f64>) -> Self {
        let centroids = centroids.as_standard_layout().into_owned();
        let half = |row: ArrayView1<f64>| 0.5 * row.dot(&row);
        let halves: Vec<f64> = centroids.rows().into_iter().map(half).collect();
        Self {
            coarse: centroids.mapv(|value| value as f32),
            coarse_halves: halves.iter().map(|&half| half as f32).collect(),
            centroids,
            halves,
        }
    }

    /// Number of units.
    pub fn clusters(&self) -> usize {
        self.centroids.nrows()
    }

    /// Values per frame.
    pub fn dims(&self) -> usize {
        self.centroids.ncols()
    }

    /// The centroids in the precision of the file, `[clusters, dims]`.
    pub fn centroids(&self) -> Array2<f32> {
        self.coarse.clone()
    }

    pub(super) fn centroids_f64(&self) -> &Array2<f64> {
        &self.centroids
    }

    /// The nearest centroid of each of `[frames, dims]`. The result does not depend on the number of threads.
    ///
    /// # Panics
    /// For frames of another number of values; [`super::for_each_codes`] refuses them.
    pub fn nearest(&self, frames: ArrayView2<f32>) -> Vec<Nearest> {
        let frames = frames.as_standard_layout();
        let values = frames.as_slice().expect("the layout is standard");
        let blocks = values.par_chunks(self.block_frames() * self.dims());
        let nearest = |(found, frame): (Scanned, &[f32])| Nearest {
            unit: found.unit,
            distance: self.squared_distance(frame, found.unit),
        };
        let found: Vec<Vec<Nearest>> = blocks
            .map(|block| {
                let found = self.scan(block, &mut Vec::new()).into_iter();
                let frames = block.chunks_exact(self.dims());
                found.zip(frames).map(nearest).collect()
            })
            .collect();
        found.concat()
    }

    /// From a frame to a centroid.
    pub(super) fn squared_distance(&self, frame: &[f32], unit: usize) -> f64 {
        squared_distance(frame, self.centroid(unit))
    }

    fn centroid(&self, unit: usize) -> &[f64] {
        let values = self.centroids.as_slice().expect("of standard layout");
        &values[unit * self.dims()..][..self.dims()]
    }

    /// How many frames [`Codebook::scan`] takes best.
    pub(super) fn block_frames(&self) -> usize {
        (BLOCK_PRODUCTS / self.clusters()).clamp(LANES, BLOCK)
    }

    /// Squared distances `[frames, clusters]` of `[frames, dims]`, in f64 since they cancel.
    pub(super) fn distances(&self, frames: ArrayView2<f64>) -> Array2<f64> {
        let mut distances = frames.dot(&self.centroids.t());
        for (mut row, frame) in distances.rows_mut().into_iter().zip(frames.rows()) {
            let length = frame.dot(&frame);
            for (value, half) in row.iter_mut().zip(&self.halves) {
                *value = (length - 2.0 * (*value - half)).max(0.0);
            }
        }
        distances
    }

    /// The unit of each frame; `frames` are `[frames, dims]`, row after row. It is the centroid with the greatest
    /// `x c - |c|^2 / 2`, as in `|x - c|^2 = |x|^2 - 2 (x c - |c|^2 / 2)`. That is computed in f32 as one product of matrices;
    /// where its rounding could decide between centroids, they are compared in f64. `buffer` keeps memory from call to call.
    pub(super) fn scan(&self, frames: &[f32], buffer: &mut Vec<f32>) -> Vec<Scanned> {
        let count = frames.len() / self.dims();
        buffer.resize(count * self.clusters(), 0.0);
        let matrix = ArrayView2::from_shape((count, self.dims()), frames).expect("whole rows");
        let mut products = ArrayViewMut2::from_shape((count, self.clusters()), &mut buffer[..])
            .expect("of that length");
        general_mat_mul(1.0, &matrix, &self.coarse.t(), 0.0, &mut products);
        let longest = (2.0 * self.halves.iter().copied().fold(0.0, f64::max)).sqrt();
        let frames = frames.chunks_exact(self.dims());
        let products = buffer.chunks_exact(self.clusters());
        let scanned = |(frame, products)| self.scan_frame(frame, products, longest);
        frames.zip(products).map(scanned).collect()
    }

    /// `products` are those with the centroids, of which none is longer than `longest`.
    fn scan_frame(&self, frame: &[f32], products: &[f32], longest: f64) -> Scanned {
        let squared = squared_length(frame);
        let reach = squared.sqrt() + longest;
        // Every operation rounds by half of EPSILON at most; twice that, for what is rounded before the product.
        let operations = (self.dims() + 4) as f64 * f64::from(f32::EPSILON);
        let error = operations * longest * reach + f64::from(f32::MIN_POSITIVE);
        if reach > LONGEST_IN_F32 {
            return Scanned {
                unit: self.decide(frame, |_| true),
                others: 0.0,
            };
        }
        let near = |unit: usize| products[unit] - self.coarse_halves[unit];
        let [best, second] = greatest_two(products, &self.coarse_halves);
        let least = f64::from(best) - 2.0 * error;
        let (unit, next) = match f64::from(second) < least {
            true => {
                let unit = (0..products.len()).position(|unit| near(unit) == best);
                (unit.expect("the greatest is one of them"), second)
            }
            false => (
                self.decide(frame, |unit| f64::from(near(unit)) >= least),
                best,
            ),
        };
        let others = squared - 2.0 * (f64::from(next) + error);
        Scanned {
            unit,
            others: others.max(0.0).sqrt(),
        }
    }

    /// The nearest, in f64, of the centroids that come into question.
    fn decide(&self, frame: &[f32], in_question: impl Fn(usize) -> bool) -> usize {
        let mut best = (0, f64::INFINITY);
        for unit in (0..self.clusters()).filter(|&unit| in_question(unit)) {
            let distance = self.squared_distance(frame, unit);
            if distance < best.1 {
                best = (unit, distance);
            }
        }
        best.0
    }

    /// Writes a Kaldi archive of one matrix under the key `centroids`, which Kaldi's tools read too.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written.
    pub fn write(&self, path: &str) -> Result<()> {
        let mut writer = TableWriter::create(&format!("ark:{path}"))?;
        writer.write(KEY, &self.centroids())?;
        writer.finish()
    }

    /// Reads a file of [`Codebook::write`].
    ///
    /// # Errors
    /// Errors of reading the archive; [`Error::Format`] for another key, or for several; [`Error::Key`] for a matrix that is
    /// empty, not finite, or of more than [`MOST_CLUSTERS`] rows.
    pub fn read(path: &str) -> Result<Self> {
        let wrong = |found: String| {
            let expected = format!("one matrix '{KEY}', as units train writes it");
            Err(Error::format(path, expected, found))
        };
        let mut entries = TableReader::<Array2<f32>>::open(&format!("ark:{path}"))?;
        let Some(entry) = entries.next() else {
            return wrong("an empty file".into());
        };
        let (key, centroids) = entry?;
        if key != KEY {
            return wrong(format!("'{key}'"));
        }
        check(Path::new(path), &centroids)?;
        match entries.next() {
            None => Ok(Self::new(centroids.mapv(f64::from))),
            Some(Ok((key, _))) => wrong(format!("'{key}' after it")),
            Some(Err(error)) => wrong(format!("more after it: {error}")),
        }
    }
}

/// The greatest and the second greatest `product - half`; without a branch, so that it works on vectors.
fn greatest_two(products: &[f32], halves: &[f32]) -> [f32; 2] {
    let (mut first, mut second) = ([f32::NEG_INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
    let greater = |a: f32, b: f32| if a > b { a } else { b };
    let lesser = |a: f32, b: f32| if a > b { b } else { a };
    let (blocks, rest) = products.as_chunks::<LANES>();
    let (half_blocks, half_rest) = halves.as_chunks::<LANES>();
    for (products, halves) in blocks.iter().zip(half_blocks) {
        for lane in 0..LANES {
            let near = products[lane] - halves[lane];
            second[lane] = greater(second[lane], lesser(first[lane], near));
            first[lane] = greater(first[lane], near);
        }
    }
    let mut best = [f32::NEG_INFINITY; 2];
    let rest = rest
        .iter()
        .zip(half_rest)
        .map(|(product, half)| product - half);
    for near in first.into_iter().chain(second).chain(rest) {
        best = [
            greater(best[0], near),
            greater(best[1], lesser(best[0], near)),
        ];
    }
    best
}

/// Exactly 0 for equal vectors. In partial sums, for vector instructions.
pub(super) fn squared_distance(frame: &[f32], centroid: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    for (values, centres) in frame.chunks(LANES).zip(centroid.chunks(LANES)) {
        for ((sum, &value), &centre) in sums.iter_mut().zip(values).zip(centres) {
            let gap = f64::from(value) - centre;
            *sum += gap * gap;
        }
    }
    sums.iter().sum()
}

fn squared_length(frame: &[f32]) -> f64 {
    let mut sums = [0.0; LANES];
    for values in frame.chunks(LANES) {
        for (sum, &value) in sums.iter_mut().zip(values) {
            *sum += f64::from(value) * f64::from(value);
        }
    }
    sums.iter().sum()
}

fn check(path: &Path, centroids: &Array2<f32>) -> Result<()> {
    let (clusters, dims) = centroids.dim();
    if dims == 0 || !(1..=MOST_CLUSTERS).contains(&clusters) {
        let expected = format!("1 to {MOST_CLUSTERS} rows of at least one value");
        let found = format!("{clusters} rows of {dims}");
        return Err(Error::key(path, KEY, expected, found));
    }
    match centroids.iter().find(|value| !value.is_finite()) {
        Some(value) => Err(Error::key(path, KEY, "finite values", value.to_string())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Axis, array};

    use super::*;

    #[test]
    fn the_first_of_the_nearest_is_taken() {
        let book = Codebook::new(array![[0.0, 0.0], [4.0, 0.0], [4.0, 0.0]]);
        let found = book.nearest(array![[1.0, 1.0], [2.0, 0.0], [5.0, 0.0]].view());
        let found: Vec<_> = found.iter().map(|n| (n.unit, n.distance)).collect();
        assert_eq!(found, [(0, 2.0), (0, 4.0), (1, 1.0)]);
    }

    #[test]
    fn a_frame_has_one_unit_at_any_position() {
        let value = |(row, dim): (usize, usize)| ((row * 37 + dim * 101) % 97) as f32 / 9.0;
        let frames = Array2::from_shape_fn((3 * BLOCK + 5, 13), value);
        let book = Codebook::new(frames.select(Axis(0), &[3, 50, 90]).mapv(f64::from));
        let whole = book.nearest(frames.view());
        for (row, expected) in frames.axis_chunks_iter(Axis(0), 1).zip(&whole) {
            assert_eq!(book.nearest(row)[0].unit, expected.unit);
        }
        assert_eq!(whole[50].unit, 1);
    }

    /// Also where f32 cannot tell centroids apart: far from the origin, of tiny and of huge values, and equal ones.
    #[test]
    fn units_are_those_of_double_precision() {
        let value =
            |(row, dim): (usize, usize)| ((row * 7919 + dim * 104_729) % 1009) as f32 / 50.0;
        for (scale, offset) in [
            (1.0, 0.0),
            (1.0, 3e4),
            (1e-22, 0.0),
            (1e19, 0.0),
            (3e35, 0.0),
        ] {
            let frames = Array2::from_shape_fn((300, 21), value) * scale + offset;
            let mut centroids = frames.select(Axis(0), &[2, 30, 31, 90, 200, 30, 7, 8, 9, 10]);
            centroids.row_mut(3).mapv_inplace(|value| value * 1.000_001);
            let centroids = centroids.mapv(f64::from);
            let found = Codebook::new(centroids.clone());
            let found = found.nearest(frames.view());
            for (frame, found) in frames.rows().into_iter().zip(found) {
                let frame = frame.mapv(f64::from);
                let distances = centroids.rows().into_iter().map(|c| {
                    let gap = &frame - &c;
                    gap.dot(&gap)
                });
                let expected = distances
                    .enumerate()
                    .min_by(|a, b| a.1.total_cmp(&b.1))
                    .unwrap();
                assert_eq!(found.unit, expected.0, "{scale} {offset}");
                assert!((found.distance - expected.1).abs() <= 1e-12 * expected.1);
            }
        }
    }

    #[test]
    fn a_file_comes_back_and_broken_ones_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("u.ark").display().to_string();
        let book = Codebook::new(array![[0.5, -1.0, 3.0], [1.5, 2.0, 0.0]]);
        book.write(&path).unwrap();
        assert_eq!(Codebook::read(&path).unwrap(), book);
        let bytes = std::fs::read(&path).unwrap();
        for end in 0..bytes.len() {
            std::fs::write(&path, &bytes[..end]).unwrap();
            assert!(Codebook::read(&path).is_err(), "{end}");
        }
        let refuse = |text: &str, expected: &str| {
            std::fs::write(&path, text).unwrap();
            let error = Codebook::read(&path).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        };
        refuse("other [\n 1 2 ]\n", "found 'other'");
        refuse(
            "centroids [\n 1 2 ]\nmore [\n 1 ]\n",
            "found 'more' after it",
        );
        refuse("centroids [\n 1 nan ]\n", "finite values, found NaN");
        refuse(
            "centroids [ ]\n",
            "rows of at least one value, found 0 rows",
        );
    }
}
