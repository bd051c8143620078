//! A front-end as operations of libtorch, for exported modules: the chain of [`crate::signal`], step by step, from the
//! same plan. It computes in double precision, without dither.

use tch::{Kind, Tensor};

use crate::error::Result;
use crate::signal::FrontEndOptions;
use crate::signal::front_end::frames::{Ends, FrameGrid};
use crate::signal::front_end::plan::{Energy, FrontEndPlan, Layout, Scale, Whole};

/// [`crate::signal::FrontEnd::compute`] without dither. No number of samples is fixed in it, so that it can be traced.
pub struct TensorFrontEnd {
    plan: FrontEndPlan,
    /// Samples that frames need before and after the signal; if negative, samples that they leave out.
    beyond: [i64; 2],
    /// `[length]`.
    window: Tensor,
    /// `[FFT bins, filters]`.
    filters: Option<Tensor>,
    /// `[filters, coefficients]`.
    transform: Option<Tensor>,
}

impl TensorFrontEnd {
    /// From options, ignoring dither.
    ///
    /// # Errors
    /// [`crate::Error::Option`] naming an option that is out of its range.
    pub fn new(options: &FrontEndOptions) -> Result<Self> {
        let plan = options.plan()?;
        Ok(Self {
            beyond: beyond(&plan.grid),
            window: Tensor::from_slice(&plan.cut.window),
            filters: filters(&plan),
            transform: plan.transform.as_ref().map(|rows| {
                let rows: Vec<Tensor> = rows.iter().map(|row| Tensor::from_slice(row)).collect();
                Tensor::stack(&rows, 1)
            }),
            plan,
        })
    }

    /// Smallest number of samples: the padding by reflection needs them.
    pub fn least_samples(&self) -> usize {
        let grid = &self.plan.grid;
        let mirrored = match grid.ends {
            Ends::Mirror => self.beyond.map(|samples| samples.max(0)),
            Ends::Reflect => self.beyond.map(|samples| samples.max(0) + 1),
            Ends::Snip | Ends::Zeros | Ends::Edge => [0; 2],
        };
        let least = grid.least_samples().max(mirrored[0] as usize);
        (least.max(mirrored[1] as usize)).saturating_sub(self.plan.padding)
    }

    /// Samples from one frame to the next.
    pub fn frame_shift_samples(&self) -> usize {
        self.plan.grid.shift
    }

    /// Samples `[1, samples]` with full scale 1 to features `[1, frames, bins]`.
    pub fn forward(&self, samples: &Tensor) -> Tensor {
        let (frames, log_energies) = self.cut(samples);
        let spectrum = frames.fft_rfft(self.plan.fft_length as i64, -1, "backward");
        let power =
            spectrum
                .view_as_real()
                .square()
                .sum_dim_intlist(&[-1i64][..], false, Kind::Double);
        let mut values = match self.plan.exponent {
            2.0 => power,
            exponent => power.pow_tensor_scalar(exponent / 2.0),
        };
        if let Some(filters) = &self.filters {
            values = values.matmul(filters);
        }
        if let Scale::Log {
            floor,
            factor,
            offset,
        } = self.plan.scale
        {
            values = values.clamp_min(floor).log() * factor - offset;
        }
        if let Some(transform) = &self.transform {
            values = values.matmul(transform);
        }
        let feats = arrange(&self.plan.layout, values, log_energies);
        finish(self.plan.whole, feats.to_kind(Kind::Float))
    }

    /// The windowed frames `[1, frames, length]` and, if the plan uses them, their log energies `[1, frames, 1]`.
    fn cut(&self, samples: &Tensor) -> (Tensor, Option<Tensor>) {
        let (grid, cut) = (&self.plan.grid, &self.plan.cut);
        let length = grid.length as i64;
        let signal = samples.to_kind(Kind::Double) * cut.gain;
        let signal = signal.constant_pad_nd([0, self.plan.padding as i64]);
        // Nothing is changed in place, because neighbouring frames share samples.
        let frames = extend(&signal, grid.ends, self.beyond).unfold(1, length, grid.shift as i64);
        let centred = match cut.remove_mean {
            true => &frames - frames.mean_dim(&[-1i64][..], true, Kind::Double),
            false => frames,
        };
        let raw = log_energy(&centred, cut.energy, false);
        let before = [centred.narrow(2, 0, 1), centred.narrow(2, 0, length - 1)];
        let emphasised = match cut.preemphasis {
            0.0 => centred,
            a => centred - Tensor::cat(&before, 2) * a,
        };
        let windowed = emphasised * &self.window;
        let energies = raw.or_else(|| log_energy(&windowed, cut.energy, true));
        (windowed, energies)
    }
}

impl std::fmt::Debug for TensorFrontEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (f.debug_struct("TensorFrontEnd")
            .field("grid", &self.plan.grid))
        .finish_non_exhaustive()
    }
}

/// How far the frames extend beyond a signal of any length: so far that the extended signal has as many whole frames as
/// [`FrameGrid::frames`] counts.
fn beyond(grid: &FrameGrid) -> [i64; 2] {
    let (length, shift) = (grid.length as i64, grid.shift as i64);
    let before = -(grid.first as i64);
    let behind = match grid.ends {
        Ends::Snip => 0,
        Ends::Mirror => length - shift + shift / 2 - before,
        Ends::Reflect | Ends::Zeros | Ends::Edge => length - before,
    };
    [before, behind - if grid.drop_last { shift } else { 0 }]
}

/// `[1, samples]` with padding at both ends.
fn extend(signal: &Tensor, ends: Ends, [before, behind]: [i64; 2]) -> Tensor {
    let cropped = signal.constant_pad_nd([before.min(0), behind.min(0)]);
    let added = [before.max(0), behind.max(0)];
    match ends {
        Ends::Snip => cropped,
        Ends::Zeros => cropped.constant_pad_nd(added),
        Ends::Reflect => cropped.reflection_pad1d(added),
        Ends::Edge => cropped.replication_pad1d(added),
        Ends::Mirror => {
            let first = signal.narrow(1, 0, added[0]).flip([1]);
            let last = match added[1] {
                0 => first.narrow(1, 0, 0),
                count => signal.slice(1, -count, None, 1).flip([1]),
            };
            Tensor::cat(&[first, cropped, last], 1)
        }
    }
}

/// The log energies of frames, if the plan uses them of frames that are `windowed` or not.
fn log_energy(frames: &Tensor, energy: Energy, windowed: bool) -> Option<Tensor> {
    let floor = match energy {
        Energy::Raw { floor } if !windowed => floor,
        Energy::Windowed { floor } if windowed => floor,
        _ => return None,
    };
    let sum = frames
        .square()
        .sum_dim_intlist(&[-1i64][..], true, Kind::Double);
    Some(sum.clamp_min(floor.max(f64::from(f32::EPSILON))).log())
}

/// Weights of the filters, `[FFT bins, filters]`.
pub(crate) fn filters(plan: &FrontEndPlan) -> Option<Tensor> {
    let filters = plan.filters.as_ref()?;
    let bins = plan.fft_length / 2 + 1;
    let mut weights = vec![0f64; filters.n_mels() * bins];
    for (filter, row) in weights.chunks_exact_mut(bins).enumerate() {
        for weight in filters.weights_for_mel(filter) {
            row[weight.bin] = weight.weight;
        }
    }
    let shape = [filters.n_mels() as i64, bins as i64];
    Some(
        Tensor::from_slice(&weights)
            .reshape(shape)
            .tr()
            .contiguous(),
    )
}

/// Values `[1, frames, values]` and log energies `[1, frames, 1]` in the order of the layout.
fn arrange(layout: &Layout, values: Tensor, log_energies: Option<Tensor>) -> Tensor {
    let count = values.size()[2];
    let row = match (layout.energy, log_energies) {
        (Some(at), Some(energies)) => {
            let at = at as i64;
            // In place of a value, or in a column of its own.
            let next = at + i64::from(layout.columns as i64 == count);
            let (left, right) = (
                values.narrow(2, 0, at),
                values.narrow(2, next, count - next),
            );
            Tensor::cat(&[left, energies, right], 2)
        }
        _ => values,
    };
    match layout.first_last {
        true => row.roll([-1], [2]),
        false => row,
    }
}

/// Steps that need all frames, as in [`Whole::apply`].
fn finish(whole: Whole, feats: Tensor) -> Tensor {
    let largest = || feats.amax(&[1i64, 2][..], true);
    match whole {
        Whole::Nothing => feats,
        Whole::SubtractMean => {
            let mean = feats.mean_dim(&[1i64][..], true, Kind::Double);
            (feats.to_kind(Kind::Double) - mean).to_kind(Kind::Float)
        }
        Whole::Floor {
            from_largest,
            range,
        } => {
            let largest = largest();
            let feats = match from_largest {
                true => &feats - &largest,
                false => feats.shallow_clone(),
            };
            let highest = if from_largest {
                largest.zeros_like()
            } else {
                largest
            };
            feats.maximum(&(highest - f64::from(range)))
        }
        Whole::Whisper => (feats.maximum(&(largest() - 8.0)) + 4.0) / 4.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::FrontEnd;

    /// Every kind, with all ways of treating ends and energies.
    const KINDS: [&str; 14] = [
        "kind = 'fbank'\nnum_mel_bins = 40",
        "kind = 'fbank'\nsnip_edges = false\nnum_mel_bins = 80\nuse_energy = true",
        "kind = 'fbank'\nsnip_edges = false\nframe_shift = 40.0\nuse_energy = true\nhtk_compat = true",
        "kind = 'fbank'\nsubtract_mean = true\nuse_power = false\nuse_log_fbank = false",
        "kind = 'fbank'\nsample_frequency = 11025.0\nsnip_edges = false\nnum_mel_bins = 20",
        "kind = 'mfcc'\nsnip_edges = false\nhtk_compat = true",
        "kind = 'mfcc'\nround_to_power_of_two = false\nraw_energy = false",
        "kind = 'spectrogram'",
        "kind = 'spectrogram'\noutput = 'magnitude'\nsnip_edges = false",
        "kind = 'mel'\nsr = 16000.0\nn_fft = 512\nhop_length = 160\nn_mels = 40\noutput = 'db'",
        "kind = 'mel'\nn_fft = 512\nhop_length = 100\nn_mels = 20\npad_mode = 'reflect'\npower = 1.0",
        "kind = 'mel'\nn_fft = 512\nhop_length = 100\nn_mels = 20\ncenter = false\noutput = 'db'\nref = 0.0",
        "kind = 'mel'\nn_fft = 512\nn_mels = 20\npad_mode = 'edge'\noutput = 'db'\ntop_db = 20.0\npower = 3.0",
        "kind = 'whisper'\npadding = 777",
    ];

    fn signal(length: usize) -> Vec<f32> {
        let mut state = 1u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        let tone = |i: usize| (i as f32 * 0.11).sin() * (i as f32 * 0.002).sin();
        (0..length)
            .map(|i| ((0.3 * tone(i) + 0.05 * noise()) * 32768.0).round() / 32768.0)
            .collect()
    }

    #[test]
    fn it_equals_the_front_end_without_dither() {
        for toml in KINDS {
            let options: FrontEndOptions = toml::from_str(toml).unwrap();
            let ours = FrontEnd::new(options.without_dither()).unwrap();
            let tensors = TensorFrontEnd::new(&options).unwrap();
            for length in [tensors.least_samples(), 1000, 4801, 16000] {
                let samples = signal(length.max(tensors.least_samples()));
                let expected = ours.compute(&samples).unwrap();
                let input = Tensor::from_slice(&samples).unsqueeze(0);
                let found = tensors.forward(&input);
                let shape = [1, expected.nrows() as i64, expected.ncols() as i64];
                assert_eq!(found.size(), shape, "{toml}: {length}");
                let largest = expected.iter().fold(0f32, |most, x| most.max(x.abs()));
                let found: Vec<f32> = Vec::try_from(found.reshape([-1])).unwrap();
                for (a, b) in found.iter().zip(&expected) {
                    assert!(
                        (a - b).abs() <= 1e-5 * largest,
                        "{toml}: {length}: {a} for {b}"
                    );
                }
            }
        }
    }
}
