//! Scores of a recogniser for the features of an archive.

use ndarray::Array2;
use rayon::prelude::*;
use tch::{Device, no_grad};

use crate::dataset::sampler::pack_by_length;
use crate::error::{Error, Result};
use crate::inference::extract::{BATCH_FRAMES, WINDOW, accept, check_finite, pad, rows};
use crate::io::kaldi::TableReader;
use crate::method::recogniser::Recogniser;
use crate::method::speech::ModelInfo;
use crate::nn::Mask;

/// A trained recogniser.
#[derive(Debug)]
pub struct Recognition<'a> {
    /// The recogniser.
    pub recogniser: &'a Recogniser,
    /// Its normalisation of features, and the names of its labels.
    pub info: &'a ModelInfo,
    /// The device of its parameters.
    pub device: Device,
}

/// Log-probabilities of an utterance.
#[derive(Debug)]
pub struct Scores<'a> {
    /// One row per output: each label, and the blank last.
    pub outputs: Vec<&'a [f32]>,
    /// Frames of the features.
    pub frames: usize,
}

impl Recognition<'_> {
    /// Applies `read` to the scores of every utterance of `source`, a read specifier of features, on all cores, and passes
    /// the results to `take` in the archive's order. The errors of utterances that cannot be read are returned; the other
    /// utterances are still processed.
    ///
    /// # Errors
    /// A wrong specifier, and errors of `take`.
    pub fn each<T: Send>(
        &self,
        source: &str,
        read: impl Fn(&str, &Scores) -> Result<T> + Sync,
        mut take: impl FnMut(&str, T) -> Result<()>,
    ) -> Result<Vec<Error>> {
        let (mut window, mut failed) = (Vec::new(), Vec::new());
        let bins = self.info.normalisation.bins();
        let mut recognise =
            |window: Vec<(String, Array2<f32>)>, failed: &mut Vec<Error>| -> Result<()> {
                for (key, found) in self.window(window, &read) {
                    match found {
                        Ok(found) => take(&key, found)?,
                        Err(error) => failed.push(error),
                    }
                }
                Ok(())
            };
        for entry in TableReader::<Array2<f32>>::open(source)? {
            let good =
                entry.and_then(|(key, feats)| accept(&key, &feats, bins).map(|()| (key, feats)));
            match good {
                Ok(pair) => window.push(pair),
                Err(error) => failed.push(error),
            }
            if window.len() == WINDOW {
                recognise(std::mem::take(&mut window), &mut failed)?;
            }
        }
        recognise(window, &mut failed)?;
        Ok(failed)
    }

    fn window<T: Send>(
        &self,
        window: Vec<(String, Array2<f32>)>,
        read: &(impl Fn(&str, &Scores) -> Result<T> + Sync),
    ) -> Vec<(String, Result<T>)> {
        let (keys, feats): (Vec<String>, Vec<Array2<f32>>) = window
            .into_iter()
            .map(|(key, feats)| (key, self.info.normalisation.apply(feats)))
            .unzip();
        let scores = self.scores(&feats);
        let utterances: Vec<_> = keys.into_iter().zip(&scores).zip(&feats).collect();
        let found = utterances.into_par_iter().map(|((key, all), feats)| {
            let rows = all.rows().into_iter();
            let scores = Scores {
                outputs: rows.filter_map(|row| row.to_slice()).collect(),
                frames: feats.nrows(),
            };
            let found = check_finite(&key, all).and_then(|()| read(&key, &scores));
            (key, found)
        });
        found.collect()
    }

    /// Log-probabilities `[outputs, labels + 1]` of each utterance.
    fn scores(&self, feats: &[Array2<f32>]) -> Vec<Array2<f32>> {
        let frames: Vec<usize> = feats.iter().map(|feats| feats.nrows()).collect();
        let mut scores = vec![Array2::zeros((0, 0)); feats.len()];
        for places in pack_by_length((0..feats.len()).collect(), &frames, BATCH_FRAMES) {
            let batch: Vec<&Array2<f32>> = places.iter().map(|&place| &feats[place]).collect();
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
