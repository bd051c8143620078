//! Which utterances a probe learns from and which it is tested on.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::Target;
use crate::dataset::corpus::SpeechCorpus;
use crate::error::{Error, Result};

/// One training of a probe, in places of the corpora.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fold {
    /// Utterances to learn from.
    pub learn: Vec<usize>,
    /// Utterances to test on.
    pub ask: Vec<usize>,
}

/// The one fold of two sets: all of one, all of the other.
pub(super) fn whole(train: usize, test: usize) -> Vec<Fold> {
    let (learn, ask) = ((0..train).collect(), (0..test).collect());
    vec![Fold { learn, ask }]
}

/// `count` folds of a corpus. The utterances of each class (of each speaker, where classes are those of frames or
/// sequences) are dealt to the folds in turn, in an order of their own that is always the same.
///
/// # Errors
/// [`Error::Option`] for less than two folds, or more than there are utterances; [`Error::Key`] for a class of a single
/// utterance, which no probe that is tested on it can have learned.
pub(super) fn folds(target: Target, corpus: &SpeechCorpus, count: usize) -> Result<Vec<Fold>> {
    if !(2..=corpus.len()).contains(&count) {
        let expected = format!("2 to {}, the number of utterances", corpus.len());
        return Err(Error::option("--folds", expected, count.to_string()));
    }
    let classes = match target {
        Target::Text => corpus.words().unwrap_or_default(),
        Target::Speaker | Target::Frames | Target::Phones => corpus.speakers(),
    };
    let mut members: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (utterance, &class) in classes.iter().enumerate() {
        members.entry(class).or_default().push(utterance);
    }
    let is_class = matches!(target, Target::Speaker | Target::Text);
    if let Some(lone) = members.values().find(|own| is_class && own.len() < 2) {
        let target = format!("{target:?}").to_lowercase();
        let expected = format!("at least 2 utterances of its {target}, for cross-validation");
        return Err(Error::key(
            corpus.path(),
            &corpus.ids()[lone[0]],
            expected,
            "1",
        ));
    }
    let mut fold_of = vec![0; corpus.len()];
    let mut next = 0;
    for (&class, own) in &mut members {
        own.shuffle(&mut ChaCha8Rng::seed_from_u64(class as u64));
        for &utterance in own.iter() {
            fold_of[utterance] = next % count;
            next += 1;
        }
    }
    let of = |fold: usize| {
        let (ask, learn) = (0..corpus.len()).partition(|&utterance| fold_of[utterance] == fold);
        Fold { learn, ask }
    };
    Ok((0..count).map(of).collect())
}

/// Of the utterances to learn from: those that the weights learn from, and those on which the best moment is chosen.
pub(super) fn split(utterances: &[usize], seed: u64, dev_share: f64) -> (Vec<usize>, Vec<usize>) {
    let mut order = utterances.to_vec();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let dev = ((order.len() as f64 * dev_share).ceil() as usize).clamp(1, order.len());
    let learn = order.split_off(dev);
    if learn.is_empty() {
        (order.clone(), order)
    } else {
        (learn, order)
    }
}
