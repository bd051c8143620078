//! A front-end as a graph, from the same plan as [`crate::signal`], in double precision and without dither. Everything
//! from the samples of a frame to its spectrum is linear, hence one matrix.

use std::f64::consts::TAU;

use tch::Tensor;

use super::graph::{END, Graph, Value};
use super::layers::constant;
use super::mask::Mask;
use super::proto::ElementKind::{Double, Float};
use crate::error::Result;
use crate::nn::front_end::filters;
use crate::signal::FrontEndOptions;
use crate::signal::front_end::frames::{Ends, FrameGrid};
use crate::signal::front_end::plan::{Cut, Energy, FrontEndPlan, Scale, Whole};

/// Waveforms `[batch, samples]` of `lengths` `[batch]` to features `[batch, frames, bins]` and their mask.
///
/// # Errors
/// [`crate::Error::Option`] naming an option that is out of its range.
pub(super) fn features<'g>(
    options: &FrontEndOptions,
    waveforms: &Value<'g>,
    lengths: &Value<'g>,
) -> Result<(Value<'g>, Mask<'g>)> {
    let plan = options.plan()?;
    let graph = waveforms.graph();
    let lengths = lengths.min(&waveforms.size(1));
    let padded = |samples: &Value<'g>| samples.plus(plan.padding as f64);
    let frames = count(&plan.grid, &padded(&waveforms.size(1)));
    let mask = Mask::new(count(&plan.grid, &padded(&lengths)), frames.clone());
    let cut = cut(&plan, waveforms, &lengths, &frames);
    let values = spectrum(graph, &plan, &cut);
    let feats = arrange(&plan, values, &cut).cast(Float);
    Ok((finish(plan.whole, &feats, &mask), mask))
}

/// The fewest samples that give a frame.
pub(super) fn least_samples(options: &FrontEndOptions) -> Result<usize> {
    let plan = options.plan()?;
    let least = plan.grid.least_samples().saturating_sub(plan.padding);
    Ok(least.max(1))
}

/// [`FrameGrid::frames`].
fn count<'g>(grid: &FrameGrid, samples: &Value<'g>) -> Value<'g> {
    let (length, shift) = (grid.length as f64, grid.shift as f64);
    let frames = match grid.ends {
        Ends::Snip => samples.plus(shift - length).over(shift),
        Ends::Mirror => samples.plus((grid.shift / 2) as f64).over(shift),
        Ends::Reflect | Ends::Zeros | Ends::Edge => samples.over(shift).plus(1.0),
    };
    frames.plus(-f64::from(grid.drop_last)).at_least(0.0)
}

/// Frames `[batch, frames, length]`, as they are in the signal.
fn cut<'g>(
    plan: &FrontEndPlan,
    waveforms: &Value<'g>,
    lengths: &Value<'g>,
    frames: &Value<'g>,
) -> Value<'g> {
    let (graph, grid) = (waveforms.graph(), &plan.grid);
    let (length, shift) = (grid.length as f64, grid.shift as f64);
    let reach = frames.plus(-1.0).times(shift).plus(length);
    let places = graph
        .count_to(&reach)
        .plus(grid.first as f64)
        .reshape(&[1, -1]);
    let lengths = lengths.reshape(&[-1, 1]);
    let total = lengths.plus(plan.padding as f64).at_least(1.0);
    let found = source(grid.ends, &places, &total);
    let last = waveforms.size(1).plus(-1.0);
    let mut signal = waveforms.gather_each(&found.at_least(0.0).min(&last), 1);
    if grid.ends == Ends::Zeros || plan.padding > 0 {
        let inside = found.less(&lengths).and(&places.number(-1.0).less(&found));
        signal = signal.mul(&inside.cast(Float));
    }
    let starts = graph.count_to(frames).times(shift).reshape(&[-1, 1]);
    let within: Vec<i64> = (0..grid.length as i64).collect();
    let index = starts.add(&graph.named("samples of a frame", &[1, grid.length as i64], &within));
    signal.gather(&index, 1).cast(Double)
}

/// The samples at the places `[1, samples]` of signals of `total` `[batch, 1]`, folded at the ends as often as it
/// takes:
/// `[batch, samples]`.
fn source<'g>(ends: Ends, places: &Value<'g>, total: &Value<'g>) -> Value<'g> {
    let last = total.plus(-1.0);
    let folded = |period: &Value<'g>, back: f64| {
        let place = places.modulo(period);
        let mirrored = period.plus(back).sub(&place);
        place.less(total).choose(&place, &mirrored)
    };
    match ends {
        Ends::Mirror => folded(&total.times(2.0), -1.0),
        Ends::Reflect => folded(&last.times(2.0).at_least(1.0), 0.0),
        Ends::Edge | Ends::Snip => places.at_least(0.0).min(&last),
        // Beyond the end, but a place of each signal.
        Ends::Zeros => places.min(total),
    }
}

/// The values of the spectrum, of filters, of their logarithm or of its transform: `[batch, frames, values]`.
fn spectrum<'g>(graph: &'g Graph, plan: &FrontEndPlan, cut: &Value<'g>) -> Value<'g> {
    let bins = (plan.fft_length / 2 + 1) as i64;
    let angle = |n: usize, bin: i64| TAU * n as f64 * bin as f64 / plan.fft_length as f64;
    let waves = matrix(&plan.cut, 2 * bins, |n, column| match column < bins {
        true => angle(n, column).cos(),
        false => angle(n, column - bins).sin(),
    });
    let squares = cut.matmul(&constant(graph, "spectrum", &waves)).square();
    let power = squares.slice(2, 0, bins).add(&squares.slice(2, bins, END));
    let mut values = match plan.exponent {
        2.0 => power,
        exponent => power.power(exponent / 2.0),
    };
    if let Some(filters) = filters(plan) {
        values = values.matmul(&constant(graph, "filters", &filters));
    }
    if let Scale::Log {
        floor,
        factor,
        offset,
    } = plan.scale
    {
        values = values.at_least(floor).log().times(factor).plus(-offset);
    }
    if let Some(rows) = &plan.transform {
        let rows: Vec<Tensor> = rows.iter().map(|row| Tensor::from_slice(row)).collect();
        values = values.matmul(&constant(graph, "transform", &Tensor::stack(&rows, 1)));
    }
    values
}

/// A frame of samples to its windowed samples, times `column(sample, c)` for each of `columns`: `[length, columns]`.
fn matrix(cut: &Cut, columns: i64, column: impl Fn(usize, i64) -> f64) -> Tensor {
    let rows: Vec<f64> = (cut.window.iter().enumerate())
        .flat_map(|(n, weight)| (0..columns).map(move |c| (n, weight, c)))
        .map(|(n, weight, c)| cut.gain * weight * column(n, c))
        .collect();
    let windowed = Tensor::from_slice(&rows).reshape([-1, columns]);
    // A share of each sample is subtracted from the next one, of the first one also from itself.
    let (first, length) = (windowed.narrow(0, 0, 1), windowed.size()[0]);
    let next = windowed.slice(0, 1, None, 1).constant_pad_nd([0, 0, 0, 1]);
    let affected = next + first.constant_pad_nd([0, 0, 0, length - 1]);
    let emphasised = windowed - affected * cut.preemphasis;
    match cut.remove_mean {
        true => &emphasised - emphasised.mean_dim(&[0i64][..], true, tch::Kind::Double),
        false => emphasised,
    }
}

/// The log energies of frames, `[batch, frames, 1]`.
fn log_energies<'g>(plan: &FrontEndPlan, cut: &Value<'g>) -> Option<Value<'g>> {
    let length = plan.grid.length as i64;
    let same = |n: usize, column: i64| f64::from(u8::from(n as i64 == column));
    let plain = Cut {
        window: vec![1.0; plan.grid.length],
        preemphasis: 0.0,
        ..plan.cut
    };
    let (map, floor) = match plan.cut.energy {
        Energy::None => return None,
        Energy::Raw { floor } => (matrix(&plain, length, same), floor),
        Energy::Windowed { floor } => (matrix(&plan.cut, length, same), floor),
    };
    let energy = cut
        .matmul(&constant(cut.graph(), "samples", &map))
        .square()
        .sum(&[2]);
    Some(energy.at_least(floor.max(f64::from(f32::EPSILON))).log())
}

/// Values in the order of the layout, with log energies.
fn arrange<'g>(plan: &FrontEndPlan, values: Value<'g>, cut: &Value<'g>) -> Value<'g> {
    let (layout, graph) = (&plan.layout, values.graph());
    let mut row = values;
    if let Some(at) = layout.energy
        && let Some(energies) = log_energies(plan, cut)
    {
        // In place of a value, or in a column of its own.
        let next = at as i64 + i64::from(layout.first == 0);
        let (left, right) = (row.slice(2, 0, at as i64), row.slice(2, next, END));
        row = graph.concat(&[&left, &energies, &right], 2);
    }
    if layout.first_last {
        row = graph.concat(&[&row.slice(2, 1, END), &row.slice(2, 0, 1)], 2);
    }
    row
}

/// Steps that need all frames, as in [`Whole::apply`].
fn finish<'g>(whole: Whole, feats: &Value<'g>, mask: &Mask<'g>) -> Value<'g> {
    let by_bin = feats.transpose(&[0, 2, 1]);
    // Over all bins and frames, [batch, 1, 1].
    let largest = || {
        let real = mask.fill(&by_bin, f64::from(f32::MIN));
        real.reshape(&[0, 1, -1]).largest()
    };
    match whole {
        Whole::Nothing => feats.clone(),
        Whole::SubtractMean => {
            let mean = mask.mean(&by_bin.cast(Double)).transpose(&[0, 2, 1]);
            feats.cast(Double).sub(&mean).cast(Float)
        }
        Whole::Floor {
            from_largest,
            range,
        } => match from_largest {
            true => feats.sub(&largest()).at_least(-f64::from(range)),
            false => feats.max(&largest().plus(-f64::from(range))),
        },
        Whole::Whisper => feats.max(&largest().plus(-8.0)).plus(4.0).over(4.0),
    }
}
