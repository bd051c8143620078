//! A random subset of more frames than memory holds: reservoir sampling (Vitter 1985, algorithm R).

use ndarray::{Array2, ArrayView1};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A uniform random subset of the frames of a stream; all of them when there are at most `most`.
#[derive(Debug)]
pub struct Sample {
    most: usize,
    seen: usize,
    /// Values per frame; that of the first frame.
    dims: usize,
    values: Vec<f32>,
    owners: Vec<usize>,
    rng: ChaCha8Rng,
}

impl Sample {
    /// An empty sample of at most `most` frames; memory grows with what is kept.
    pub fn new(most: usize, seed: u64) -> Self {
        Self {
            most,
            seen: 0,
            dims: 0,
            values: Vec::new(),
            owners: Vec::new(),
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// Adds the frames of an utterance, `[frames, dims]`, with as many values per frame as before, and the index of its
    /// speaker, which is kept for each frame.
    pub fn push(&mut self, frames: &Array2<f32>, owner: usize) {
        self.dims = frames.ncols();
        for frame in frames.rows() {
            self.push_frame(frame, owner);
        }
    }

    fn push_frame(&mut self, frame: ArrayView1<f32>, owner: usize) {
        self.seen += 1;
        if self.seen <= self.most {
            self.values.extend(frame);
            self.owners.push(owner);
            return;
        }
        let place = self.rng.random_range(0..self.seen);
        if place < self.most {
            let from = place * self.dims;
            for (kept, value) in self.values[from..from + self.dims].iter_mut().zip(frame) {
                *kept = *value;
            }
            self.owners[place] = owner;
        }
    }

    /// Frames of the stream so far.
    pub fn seen(&self) -> usize {
        self.seen
    }

    /// The drawn frames, `[frames, dims]`, and the speaker of each.
    pub fn into_parts(self) -> (Array2<f32>, Vec<usize>) {
        let shape = (self.owners.len(), self.dims);
        let frames = Array2::from_shape_vec(shape, self.values).expect("frames are of one length");
        (frames, self.owners)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(most: usize, seed: u64) -> Vec<f32> {
        let mut sample = Sample::new(most, seed);
        for utterance in 0..10 {
            let frame = |(frame, _): (usize, usize)| (utterance * 10 + frame) as f32;
            sample.push(&Array2::from_shape_fn((10, 2), frame), utterance);
        }
        assert_eq!(sample.seen(), 100);
        let (matrix, owners) = sample.into_parts();
        assert_eq!(matrix.column(0), matrix.column(1));
        for (value, owner) in matrix.column(0).iter().zip(owners) {
            assert_eq!(*value as usize / 10, owner);
        }
        matrix.column(0).to_vec()
    }

    #[test]
    fn few_frames_are_all_kept() {
        let all: Vec<f32> = (0..100).map(|frame| frame as f32).collect();
        assert_eq!(drawn(100, 0), all);
    }

    #[test]
    fn of_many_each_is_as_likely() {
        assert_eq!(drawn(20, 3), drawn(20, 3));
        assert_ne!(drawn(20, 3), drawn(20, 4));
        let mut times = [0; 100];
        for seed in 0..2000 {
            drawn(20, seed)
                .into_iter()
                .for_each(|frame| times[frame as usize] += 1);
        }
        // 400 expected, deviation 18.
        assert!(
            times.iter().all(|times| (310..490).contains(times)),
            "{times:?}"
        );
    }
}
