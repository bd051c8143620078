//! The common part of streaming operations on features. An operation has the same output, bit for bit, for any division of
//! its input into blocks; a whole matrix is one block.

use ndarray::{Array2, ArrayView2, Axis, concatenate};

use crate::error::{Error, Result};

/// An operation on one utterance's features, which takes its frames in order.
pub trait FeatureStream {
    /// Takes the next frames `[frames, dim]`, perhaps none, and returns all output that later frames cannot change.
    ///
    /// # Errors
    /// [`Error::Option`] when the columns are not as many as before, or a value is not finite.
    fn push(&mut self, feats: ArrayView2<'_, f32>) -> Result<Array2<f32>>;

    /// Ends the utterance and returns the last output.
    ///
    /// # Errors
    /// [`Error::Option`] when there was no frame at all.
    fn finish(self) -> Result<Array2<f32>>;
}

/// The output for a whole utterance's `feats` `[frames, dim]`.
///
/// # Errors
/// As [`FeatureStream`] has them.
pub fn whole(mut stream: impl FeatureStream, feats: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
    let ready = stream.push(feats)?;
    let last = stream.finish()?;
    if ready.nrows() == 0 {
        return Ok(last);
    }
    Ok(concatenate(Axis(0), &[ready.view(), last.view()])
        .expect("one stream gives one number of columns"))
}

/// The received frames that are still needed.
#[derive(Debug, Clone)]
pub(super) struct History {
    /// The operation's name, for messages.
    name: &'static str,
    /// Columns; 0 before the first frames.
    dim: usize,
    /// The frames from `first` on, concatenated.
    values: Vec<f32>,
    first: usize,
}

impl History {
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            dim: 0,
            values: Vec::new(),
            first: 0,
        }
    }

    /// Appends frames; their columns and values are checked here.
    pub(super) fn push(&mut self, feats: ArrayView2<'_, f32>) -> Result<()> {
        check(self.name, self.dim, feats)?;
        if feats.nrows() > 0 {
            self.dim = feats.ncols();
            self.values.extend(feats.iter());
        }
        Ok(())
    }

    /// Columns; 0 before the first frames.
    pub(super) fn dim(&self) -> usize {
        self.dim
    }

    /// Number of received frames, including dropped ones.
    pub(super) fn frames(&self) -> usize {
        match self.dim {
            0 => 0,
            dim => self.first + self.values.len() / dim,
        }
    }

    /// Frame `index`, which was received and not dropped.
    pub(super) fn frame(&self, index: usize) -> &[f32] {
        let at = (index - self.first) * self.dim;
        &self.values[at..at + self.dim]
    }

    /// Drops the frames before `index`.
    pub(super) fn forget_before(&mut self, index: usize) {
        let index = index.min(self.frames());
        if index > self.first {
            self.values.drain(..(index - self.first) * self.dim);
            self.first = index;
        }
    }

    /// Refuses an utterance without frames.
    pub(super) fn check_any(&self) -> Result<()> {
        match self.frames() {
            0 => Err(Error::option(
                self.name,
                "features of a frame or more",
                "none",
            )),
            _ => Ok(()),
        }
    }
}

/// Refuses frames with another number of columns than `before`, which is 0 before the first, and values that are not finite.
pub(super) fn check(name: &str, before: usize, feats: ArrayView2<'_, f32>) -> Result<()> {
    let columns = feats.ncols();
    if feats.nrows() > 0 && (columns == 0 || (before != 0 && columns != before)) {
        let expected = match before {
            0 => "features of a column or more".to_string(),
            before => format!("features of {before} columns, as before"),
        };
        return Err(Error::option(name, expected, format!("{columns} columns")));
    }
    check_finite(name, feats)
}

/// Refuses values that are not finite, naming the first one; `name` is the operation's.
pub(super) fn check_finite(name: &str, feats: ArrayView2<'_, f32>) -> Result<()> {
    match feats.indexed_iter().find(|(_, value)| !value.is_finite()) {
        None => Ok(()),
        Some(((frame, column), value)) => {
            let found = format!("{value} in frame {frame}, column {column} (from 0)");
            Err(Error::option(name, "finite features", found))
        }
    }
}

/// The common part of the tests of all operations.
#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use ndarray::s;

    /// Pseudo-random features.
    pub(crate) fn feats(frames: usize, dim: usize) -> Array2<f32> {
        Array2::from_shape_fn((frames, dim), |(frame, column)| {
            let state = (frame * 31 + column * 17 + 1) as u32;
            state.wrapping_mul(2_654_435_761) as f32 / u32::MAX as f32 * 8.0 - 3.0
        })
    }

    /// Splits `feats` into blocks of lengths that depend on `seed`, some of them empty.
    fn in_pieces(mut stream: impl FeatureStream, feats: &Array2<f32>, seed: usize) -> Array2<f32> {
        let mut parts = Vec::new();
        let (mut at, mut step) = (0, seed);
        while at < feats.nrows() {
            step = (step * 5 + 3) % (1 + 3 * seed);
            let end = (at + step).min(feats.nrows());
            parts.push(stream.push(feats.slice(s![at..end, ..])).unwrap());
            at = end;
        }
        parts.push(stream.finish().unwrap());
        let rows = parts.iter().filter(|part| part.nrows() > 0);
        let views: Vec<_> = rows.map(|part| part.view()).collect();
        concatenate(Axis(0), &views).unwrap()
    }

    /// Checks that a stream has the same output for any division into blocks, for long and short utterances; and its errors.
    pub(crate) fn any_cut_gives_the_same<S: FeatureStream>(made: impl Fn() -> S) {
        for frames in [1, 2, 5, 40, 133] {
            let feats = feats(frames, 3);
            let expected = whole(made(), feats.view()).unwrap();
            for seed in [1, 2, 7, 50] {
                let found = in_pieces(made(), &feats, seed);
                assert_eq!(found.dim(), expected.dim(), "{frames} frames, seed {seed}");
                for (a, b) in found.iter().zip(&expected) {
                    assert_eq!(a.to_bits(), b.to_bits(), "{frames} frames, seed {seed}");
                }
            }
        }
        refusals(made);
    }

    fn refusals<S: FeatureStream>(made: impl Fn() -> S) {
        let message = |result: Result<Array2<f32>>| result.unwrap_err().to_string();
        let empty = Array2::zeros((0, 0));
        let error = message(whole(made(), empty.view()));
        assert!(error.ends_with("a frame or more, found none"), "{error}");
        let mut odd = feats(4, 3);
        odd[[2, 1]] = f32::NAN;
        let error = message(made().push(odd.view()));
        assert!(
            error.ends_with("found NaN in frame 2, column 1 (from 0)"),
            "{error}"
        );
        let mut stream = made();
        stream.push(feats(2, 3).view()).unwrap();
        let error = message(stream.push(feats(2, 4).view()));
        assert!(
            error.ends_with("3 columns, as before, found 4 columns"),
            "{error}"
        );
        let error = message(made().push(Array2::zeros((2, 0)).view()));
        assert!(
            error.ends_with("a column or more, found 0 columns"),
            "{error}"
        );
    }
}
