//! Sampling of image batches. Batch number `n` of a seed is always the same, so the position of a run is its step, and
//! nothing else has to be saved.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result};

/// Draws batches of equal size. Each image occurs once per epoch, in a new order per epoch; images that do not fill a
/// last batch are left out. A batch that is larger than the set, as with few labelled images, contains the whole set as
/// often as it fits, in different orders, and is filled up with different images.
#[derive(Debug)]
pub struct ImageSampler {
    count: usize,
    batch: usize,
    seed: u64,
    /// The current epoch and its order.
    epoch: Option<(u64, Vec<usize>)>,
}

impl ImageSampler {
    /// A sampler over `count` images, `batch` at a time.
    ///
    /// # Errors
    /// [`Error::Option`] for no images, or fewer than 2 per batch, for which batch normalisation has no variance.
    pub fn new(count: usize, batch: usize, seed: u64) -> Result<Self> {
        if batch < 2 {
            return Err(Error::option("data.batch", "at least 2", batch.to_string()));
        }
        if count == 0 {
            return Err(Error::option("data", "at least 1 image", "none"));
        }
        Ok(Self {
            count,
            batch,
            seed,
            epoch: None,
        })
    }

    /// The images of batch `number`, counted from 0 over all epochs.
    pub fn batch(&mut self, number: u64) -> Vec<usize> {
        let batches = (self.count / self.batch).max(1);
        let (epoch, place) = (number / batches as u64, (number % batches as u64) as usize);
        let order = match self.epoch.take() {
            Some((own, order)) if own == epoch => order,
            _ => self.draw(epoch),
        };
        let images = order[place * self.batch..][..self.batch].to_vec();
        self.epoch = Some((epoch, order));
        images
    }

    /// The order of an epoch of at least one batch.
    fn draw(&self, epoch: u64) -> Vec<usize> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(epoch);
        let mut order = Vec::with_capacity(self.count.max(self.batch));
        while order.len() < self.batch.max(self.count) {
            let start = order.len();
            order.extend(0..self.count);
            order[start..].shuffle(&mut rng);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_a_function_of_its_number() {
        for batch in [4, 23] {
            let mut forwards = ImageSampler::new(10, batch, 7).unwrap();
            let first: Vec<_> = (0..9).map(|n| forwards.batch(n)).collect();
            let mut late = ImageSampler::new(10, batch, 7).unwrap();
            assert_eq!(
                (late.batch(8), late.batch(3)),
                (first[8].clone(), first[3].clone())
            );
            assert_ne!(first[0], first[8]);
            let mut other = ImageSampler::new(10, batch, 8).unwrap();
            assert_ne!(other.batch(0), first[0]);
        }
    }

    #[test]
    fn an_epoch_has_every_image_once() {
        for (count, left) in [(12, 0), (14, 2)] {
            let mut sampler = ImageSampler::new(count, 4, 1).unwrap();
            for epoch in 0..3 {
                let mut drawn: Vec<_> = (0..3).flat_map(|n| sampler.batch(3 * epoch + n)).collect();
                drawn.sort_unstable();
                drawn.dedup();
                assert_eq!(drawn.len(), count - left);
            }
        }
    }

    #[test]
    fn a_small_set_is_repeated() {
        let mut sampler = ImageSampler::new(3, 8, 1).unwrap();
        for number in 0..20 {
            let batch = sampler.batch(number);
            assert_eq!(batch.len(), 8);
            for image in 0..3 {
                let times = batch.iter().filter(|&&i| i == image).count();
                assert!((2..=3).contains(&times));
            }
        }
    }

    #[test]
    fn a_batch_of_one_is_refused() {
        let refused = |count, batch| ImageSampler::new(count, batch, 0).unwrap_err().to_string();
        assert_eq!(refused(9, 1), "data.batch: expected at least 2, found 1");
        assert_eq!(refused(0, 2), "data: expected at least 1 image, found none");
    }
}
