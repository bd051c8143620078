//! The normalisation of features as a graph.

use super::graph::Value;
use super::mask::Mask;
use super::proto::ElementKind::{Double, Float, Int64};
use crate::dataset::normalisation::{Cmvn, Normalisation};

/// Features `[batch, bins, frames]` to normalised ones, `[batch, bins, frames or fixed_frames]`, and their mask.
pub(super) fn normalised<'g>(
    normalisation: &Normalisation,
    feats: &Value<'g>,
    mask: &Mask<'g>,
) -> (Value<'g>, Mask<'g>) {
    let options = normalisation.options();
    let mut x = feats.clone();
    if options.subtracts_utterance_mean() {
        let bins = normalisation.bins() as f64;
        let mean = mask.mean(&x.cast(Double)).sum(&[1]).over(bins);
        x = x.sub(&mean.cast(Float));
    }
    x = match options.cmvn {
        Cmvn::None => x,
        Cmvn::Global => {
            let (mean, std) = normalisation.statistics();
            let shape = [1, mean.len() as i64, 1];
            let named = |name, values| x.graph().named(name, &shape, values);
            x.sub(&named("feature_mean", mean))
                .div(&named("feature_std", std))
        }
        Cmvn::Utterance => {
            let exact = x.cast(Double);
            let mean = mask.mean(&exact);
            let std = mask.mean(&exact.sub(&mean).square()).sqrt();
            x.sub(&mean.cast(Float))
                .div(&std.at_least(1e-5).cast(Float))
        }
    };
    match options.fixed_frames {
        0 => (x, mask.clone()),
        frames => stretched(&x, mask, frames, normalisation.bins()),
    }
}

/// Linear interpolation to `frames` frames, the first and the last of which are those of the input.
fn stretched<'g>(
    x: &Value<'g>,
    mask: &Mask<'g>,
    frames: usize,
    bins: usize,
) -> (Value<'g>, Mask<'g>) {
    let graph = x.graph();
    let ways: Vec<f64> = (0..frames)
        .map(|frame| frame as f64 / (frames.max(2) - 1) as f64)
        .collect();
    let last = mask.lengths.plus(-1.0).at_least(0.0).reshape(&[-1, 1, 1]);
    let ways = graph.named("frames of the output", &[1, 1, frames as i64], &ways);
    let places = last.cast(Double).mul(&ways);
    let left = places.cast(Int64);
    let share = places.sub(&left.cast(Double));
    let every = graph.named("every bin", &[1, bins as i64, 1], &vec![0i64; bins]);
    let at = |index: &Value<'g>| x.gather_each(&index.add(&every), 2).cast(Double);
    let (before, after) = (at(&left), at(&left.plus(1.0).min(&last)));
    let stretched = before.add(&after.sub(&before).mul(&share)).cast(Float);
    let length = graph.ints(&[frames as i64]);
    let lengths = mask.lengths.min(&graph.ints(&[0])).max(&length);
    (stretched, Mask::new(lengths, length))
}
