//! Parts of a batch: several processes, or several passes of one, take one each.

use std::ops::Range;

/// The parts of each batch that this process takes, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    own: Range<usize>,
    of: usize,
}

impl Default for Parts {
    /// The whole batch at once.
    fn default() -> Self {
        Self::of_rank(0, 1, 1)
    }
}

impl Parts {
    /// Those of rank `rank` of `ranks`, each of which takes `passes`.
    pub fn of_rank(rank: usize, ranks: usize, passes: usize) -> Self {
        Self {
            own: rank * passes..(rank + 1) * passes,
            of: ranks * passes,
        }
    }

    /// Numbers of the own parts.
    pub fn own(&self) -> Range<usize> {
        self.own.clone()
    }

    /// Parts of a batch.
    pub fn count(&self) -> usize {
        self.of
    }

    /// The batch and the part of it that are read as number `n`, counted from 0 over the own parts of all batches.
    pub fn nth(&self, n: u64) -> (u64, usize) {
        let own = self.own.len() as u64;
        (n / own, self.own.start + (n % own) as usize)
    }

    /// The places of a part in a batch of `length` items, and its share of the batch, 0 to 1. A batch of fewer items than
    /// parts gives some of them twice; these have no share.
    pub fn places(&self, part: usize, length: usize) -> (Range<usize>, f64) {
        if length < self.of {
            let place = part % length.max(1);
            let share = if part < length {
                1.0 / length as f64
            } else {
                0.0
            };
            return (place..(place + 1).min(length), share);
        }
        let places = part * length / self.of..(part + 1) * length / self.of;
        let share = places.len() as f64 / length as f64;
        (places, share)
    }
}

/// A part of a batch.
#[derive(Debug)]
pub struct Part<B> {
    /// Its items.
    pub batch: B,
    /// Its share of the items of the whole batch, 0 to 1.
    pub share: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_a_batch() {
        for (ranks, passes, length) in [(1, 1, 5), (2, 1, 6), (2, 3, 20), (4, 2, 8), (3, 1, 2)] {
            let (mut covered, mut shares) = (vec![0; length], 0.0);
            for rank in 0..ranks {
                let parts = Parts::of_rank(rank, ranks, passes);
                for part in parts.own() {
                    let (places, share) = parts.places(part, length);
                    assert!(!places.is_empty());
                    shares += share;
                    places.for_each(|place| covered[place] += 1);
                }
            }
            assert!((shares - 1.0).abs() < 1e-12);
            assert!(covered.iter().all(|&times| times >= 1));
            assert!(length < ranks * passes || covered.iter().all(|&times| times == 1));
        }
    }

    #[test]
    fn own_parts_follow_each_other() {
        let parts = Parts::of_rank(1, 2, 3);
        let read: Vec<_> = (0..5).map(|n| parts.nth(n)).collect();
        assert_eq!(read, [(0, 3), (0, 4), (0, 5), (1, 3), (1, 4)]);
    }
}
