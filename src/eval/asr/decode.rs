//! Features to strings of labels, archive by archive.

use ndarray::Array2;
use rayon::prelude::*;
use tch::{Device, no_grad};

use super::beam::Search;
use crate::dataset::sampler::pack_by_length;
use crate::error::Result;
use crate::eval::extract::{BATCH_FRAMES, WINDOW, accept, pad, rows};
use crate::io::kaldi::TableReader;
use crate::method::recogniser::Recogniser;
use crate::method::speech::Settled;
use crate::nn::Mask;

/// A trained recogniser and how it is searched.
#[derive(Debug)]
pub struct Decoding<'a> {
    /// The recogniser.
    pub recogniser: &'a Recogniser,
    /// How it sees features, and the names of its labels.
    pub settled: &'a Settled,
    /// Where it lives.
    pub device: Device,
    /// How its scores become a string.
    pub search: &'a Search,
}

impl Decoding<'_> {
    /// Lets `take` see every utterance of `source`, a read specifier of features, with what it says, in the archive's order;
    /// the searches run on all cores. An utterance that cannot be read is told in a line of what is returned, and the others
    /// go on.
    ///
    /// # Errors
    /// A wrong specifier, and what `take` says.
    pub fn each(
        &self,
        source: &str,
        mut take: impl FnMut(&str, &[&str]) -> Result<()>,
    ) -> Result<Vec<String>> {
        let (mut window, mut failed) = (Vec::new(), Vec::new());
        let bins = self.settled.view.bins();
        for entry in TableReader::<Array2<f32>>::open(source)? {
            let good =
                entry.and_then(|(key, feats)| accept(&key, &feats, bins).map(|()| (key, feats)));
            match good {
                Ok(pair) => window.push(pair),
                Err(error) => failed.push(error.to_string()),
            }
            if window.len() == WINDOW {
                self.window(std::mem::take(&mut window), &mut take)?;
            }
        }
        self.window(window, &mut take)?;
        Ok(failed)
    }

    fn window(
        &self,
        window: Vec<(String, Array2<f32>)>,
        take: &mut impl FnMut(&str, &[&str]) -> Result<()>,
    ) -> Result<()> {
        let (keys, seen): (Vec<String>, Vec<Array2<f32>>) = window
            .into_iter()
            .map(|(key, feats)| (key, self.settled.view.apply(feats)))
            .unzip();
        let scores = self.scores(&seen);
        let strings: Vec<Vec<usize>> = scores
            .par_iter()
            .map(|scores| {
                let frames: Vec<&[f32]> = scores
                    .rows()
                    .into_iter()
                    .filter_map(|row| row.to_slice())
                    .collect();
                self.search.string(&frames)
            })
            .collect();
        let names = &self.settled.inventory.labels;
        for (key, string) in keys.iter().zip(strings) {
            let said: Vec<&str> = string.into_iter().map(|label| &names[label][..]).collect();
            take(key, &said)?;
        }
        Ok(())
    }

    /// Log-probabilities `[outputs, labels + 1]` of each utterance.
    fn scores(&self, seen: &[Array2<f32>]) -> Vec<Array2<f32>> {
        let frames: Vec<usize> = seen.iter().map(|feats| feats.nrows()).collect();
        let mut scores = vec![Array2::zeros((0, 0)); seen.len()];
        for places in pack_by_length((0..seen.len()).collect(), &frames, BATCH_FRAMES) {
            let batch: Vec<&Array2<f32>> = places.iter().map(|&place| &seen[place]).collect();
            let lengths: Vec<i64> = batch.iter().map(|feats| feats.nrows() as i64).collect();
            let mask = Mask::new(&lengths, self.device);
            let feats = pad(&batch, mask.frames()).to(self.device);
            let (log_probs, mask) = no_grad(|| self.recogniser.log_probs(&feats, &mask));
            for (&place, own) in places.iter().zip(rows(&log_probs, mask.lengths())) {
                scores[place] = own;
            }
        }
        scores
    }
}
