//! What follows a convolution over time: normalisation, scale and shift, rectifier, residual connection, dropout. On the CPU
//! that is one operator with gradients (`norm_act.cpp`), which reads and writes a block of values once while the cache holds
//! it, and leaves the channels of a frame next to each other in memory; elsewhere, and where a module is traced, the
//! operations that it stands for.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::{null, null_mut};

use tch::{Device, Kind, TchError, Tensor};

use super::layer::BatchNorm;
use super::mask::Mask;
use super::tracing::is_tracing;

/// The normalisation.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Norm<'a> {
    /// None.
    #[default]
    None,
    /// [`Mask::instance_norm`].
    Instance,
    /// [`BatchNorm::over_frames`], in training or not.
    Batch(&'a BatchNorm, bool),
}

impl<'a> Norm<'a> {
    /// Batch normalisation, where there is one.
    pub(super) fn batch(norm: Option<&'a BatchNorm>, train: bool) -> Self {
        norm.map_or(Self::None, |norm| Self::Batch(norm, train))
    }

    /// Instance normalisation, if `enabled`.
    pub(super) fn instance(enabled: bool) -> Self {
        if enabled { Self::Instance } else { Self::None }
    }
}

/// `y = dropout(rectify(norm(rectify_first(x)) (1 + scale) + shift) + residual)`, of `[batch, channels, frames]`.
#[derive(Debug, Default)]
pub(super) struct NormAct<'a> {
    /// The normalisation.
    pub(super) norm: Norm<'a>,
    /// Whether a rectifier is before the normalisation.
    pub(super) rectify_first: bool,
    /// Scale and shift by a condition (FiLM, Perez et al. 2018), each `[batch, channels]`.
    pub(super) film: Option<[Tensor; 2]>,
    /// Whether a rectifier follows.
    pub(super) rectify: bool,
    /// Added at the end, of the shape of `x`, with zeros in the padding.
    pub(super) residual: Option<&'a Tensor>,
    /// Share of values that are zeroed in training.
    pub(super) dropout: f64,
}

impl NormAct<'_> {
    /// `[batch, channels, frames]`, same shape out, zero in the padding. On the CPU the output has the type of `x`, f32 or
    /// bf16; elsewhere it is f32.
    pub(super) fn forward(&self, x: &Tensor, mask: &Mask) -> Tensor {
        match self.call(x, mask) {
            Some(call) => call.run().expect("shapes of a network"),
            None => self.plain(x, mask),
        }
    }

    /// The same as operations of libtorch.
    fn plain(&self, x: &Tensor, mask: &Mask) -> Tensor {
        let x = match x.kind() {
            Kind::BFloat16 => x.to_kind(Kind::Float),
            _ => x.shallow_clone(),
        };
        let x = if self.rectify_first { x.relu() } else { x };
        let mut y = match self.norm {
            Norm::None => mask.apply(x),
            // As in the operator, the mean is subtracted first: a single frame has the slope 316, and rounding would count.
            Norm::Instance if is_tracing() => {
                mask.instance_norm(&(&x - x.mean_dim(&[2i64][..], true, Kind::Float)))
            }
            Norm::Instance => mask.instance_norm(&x),
            Norm::Batch(norm, train) => norm.over_frames(&x, mask, train),
        };
        if let Some([scale, shift]) = &self.film {
            y = y * (scale.unsqueeze(2) + 1.0) + shift.unsqueeze(2);
        }
        if self.rectify {
            y = y.relu();
        }
        if self.film.is_some() {
            y = mask.apply(y);
        }
        // Not in place: the rectifier keeps its output for its gradient.
        let y = match self.residual {
            Some(residual) => y + residual,
            None => y,
        };
        match self.dropout > 0.0 {
            true => y.dropout(self.dropout, true),
            false => y,
        }
    }

    /// The operator's call, where it serves.
    fn call(&self, x: &Tensor, mask: &Mask) -> Option<Call> {
        let serves = x.device() == Device::Cpu
            && matches!(x.kind(), Kind::Float | Kind::BFloat16)
            && x.dim() == 3
            && x.numel() > 0
            && !is_tracing();
        if !serves {
            return None;
        }
        let (statistics, affine, running) = match self.norm {
            // Without statistics little is gained, and these operations have second derivatives.
            Norm::None => return None,
            Norm::Instance => (Statistics::OfSequence, None, None),
            Norm::Batch(norm, train) => {
                let statistics = match train && mask.lengths().iter().sum::<i64>() > 1 {
                    true => Statistics::OfBatch,
                    false => Statistics::Given,
                };
                (statistics, norm.affine(), Some(norm.running()))
            }
        };
        let film = self
            .film
            .as_ref()
            .map(|[scale, shift]| [scale + 1.0, shift.shallow_clone()]);
        if film.is_some() && affine.is_some() {
            return None;
        }
        Some(Call {
            x: x.shallow_clone(),
            gain_shift: film.or(affine),
            residual: self.residual.map(|residual| residual.to_kind(x.kind())),
            running,
            lengths: mask.ones().map(|_| mask.lengths().to_vec()),
            statistics,
            rectify_first: self.rectify_first,
            rectify: self.rectify,
            dropout: self.dropout,
            seed: match self.dropout > 0.0 {
                true => draw_seed(),
                false => 0,
            },
        })
    }
}

/// What is normalised by, as in `norm_act.cpp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
enum Statistics {
    /// Those of each channel of each sequence.
    OfSequence,
    /// Those of each channel of the batch, which move the running ones.
    OfBatch,
    /// The running ones.
    Given,
}

/// A call of the operator.
#[derive(Debug)]
struct Call {
    x: Tensor,
    /// Each `[channels]` or `[batch, channels]`.
    gain_shift: Option<[Tensor; 2]>,
    residual: Option<Tensor>,
    /// Mean and variance, each `[channels]`.
    running: Option<[Tensor; 2]>,
    /// Of each sequence; none where nothing is padded.
    lengths: Option<Vec<i64>>,
    statistics: Statistics,
    rectify_first: bool,
    rectify: bool,
    dropout: f64,
    /// Of what is dropped.
    seed: u64,
}

impl Call {
    /// The output.
    ///
    /// # Errors
    /// [`TchError::Torch`] that names what does not fit.
    fn run(&self) -> Result<Tensor, TchError> {
        let pointer = |tensor: Option<&Tensor>| tensor.map_or(null(), |t| t.as_ptr().cast());
        let of = |pair: &'_ Option<[Tensor; 2]>, at: usize| pointer(pair.as_ref().map(|p| &p[at]));
        let raw = RawCall {
            x: self.x.as_ptr().cast(),
            gain: of(&self.gain_shift, 0),
            shift: of(&self.gain_shift, 1),
            residual: pointer(self.residual.as_ref()),
            running_mean: of(&self.running, 0),
            running_variance: of(&self.running, 1),
            lengths: self.lengths.as_ref().map_or(null(), |l| l.as_ptr()),
            sequences: self.lengths.as_ref().map_or(0, |l| l.len() as i64),
            statistics: self.statistics as i32,
            rectify_first: self.rectify_first,
            rectify: self.rectify,
            dropout: self.dropout,
            seed: self.seed,
        };
        // SAFETY: all that `raw` points to outlives the call, which checks shapes and types.
        called(|error| unsafe { unbraid_norm_act(&raw, error) })
    }
}

/// The tensor that an operator in C++ gives, or its error: `call` gives a new tensor, or null and, where its argument points,
/// a text of malloc that nobody else frees (`tensor_or_error` of `lanes.h`).
pub(super) fn called(
    call: impl FnOnce(*mut *mut c_char) -> *mut torch_sys::C_tensor,
) -> Result<Tensor, TchError> {
    let mut error = null_mut();
    let output = call(&raw mut error);
    // SAFETY: as the function's comment says.
    unsafe {
        if !output.is_null() {
            return Ok(Tensor::from_ptr(output));
        }
        let message = CStr::from_ptr(error).to_string_lossy().into_owned();
        libc::free(error.cast());
        Err(TchError::Torch(message))
    }
}

/// `NormActCall` of `norm_act.cpp`.
#[repr(C)]
struct RawCall {
    x: *const c_void,
    gain: *const c_void,
    shift: *const c_void,
    residual: *const c_void,
    running_mean: *const c_void,
    running_variance: *const c_void,
    lengths: *const i64,
    sequences: i64,
    statistics: i32,
    rectify_first: bool,
    rectify: bool,
    dropout: f64,
    seed: u64,
}

// SAFETY: the signatures of `norm_act.cpp`, where pointers to tensors are to `at::Tensor`, as `Tensor::as_ptr` gives them.
unsafe extern "C" {
    fn unbraid_norm_act(call: *const RawCall, error: *mut *mut c_char) -> *mut torch_sys::C_tensor;
}

/// A random number of libtorch's generator.
fn draw_seed() -> u64 {
    Tensor::randint(i64::MAX, [1], (Kind::Int64, Device::Cpu)).int64_value(&[0]) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::nn::VarStore;

    const SEQUENCES: i64 = 3;
    const CHANNELS: i64 = 5;

    /// Numbers without order, the same at each call: other tests use libtorch's generator meanwhile.
    fn random(size: &[i64]) -> Tensor {
        let place = Tensor::arange(size.iter().product::<i64>(), (Kind::Double, Device::Cpu));
        let noise = ((place + 1.0) * 12.9898).sin() * 43758.5453;
        ((noise.frac() * 2.0 + 0.3).to_kind(Kind::Float)).reshape(size)
    }

    fn leaf(tensor: Tensor, kind: Kind) -> Tensor {
        tensor.to_kind(kind).set_requires_grad(true)
    }

    /// Which parts of the operator are used.
    #[derive(Debug, Clone, Copy)]
    struct Parts {
        norm: usize,
        kind: Kind,
        frames: i64,
        padded: bool,
        switches: u8,
    }

    impl Parts {
        const NORMS: usize = 5;

        fn all() -> impl Iterator<Item = Self> {
            let of = |norm| {
                [1, 16, 41].map(|frames| {
                    [Kind::Float, Kind::BFloat16].map(|kind| {
                        [false, true].map(|padded| {
                            std::array::from_fn::<_, 16, _>(|switches| Self {
                                norm,
                                kind,
                                frames,
                                padded,
                                switches: switches as u8,
                            })
                        })
                    })
                })
            };
            (0..Self::NORMS)
                .flat_map(move |norm| of(norm).into_iter().flatten().flatten().flatten())
        }

        fn has(self, switch: u8) -> bool {
            self.switches >> switch & 1 == 1
        }

        fn mask(self) -> Mask {
            let shorter = (self.frames - 5).max(1);
            let lengths = match self.padded {
                true => [self.frames, shorter, (self.frames + 1) / 2],
                false => [self.frames; 3],
            };
            Mask::of_frames(&lengths, self.frames, Device::Cpu)
        }

        /// Output, gradients and running statistics, by the operator or by plain operations.
        fn results(self, plainly: bool) -> Vec<Tensor> {
            let store = VarStore::new(Device::Cpu);
            let batch_norm = match self.norm {
                1 | 2 => BatchNorm::new(store.root(), CHANNELS),
                _ => BatchNorm::plain(store.root(), CHANNELS),
            };
            let mut variables: Vec<_> = store.variables().into_iter().collect();
            variables.sort_by(|a, b| a.0.cmp(&b.0));
            tch::no_grad(|| {
                for (_, variable) in &variables {
                    variable.shallow_clone().copy_(&random(&[CHANNELS]).exp());
                }
            });
            let size = [SEQUENCES, CHANNELS, self.frames];
            let mask = self.mask();
            let x = leaf(random(&size), self.kind);
            let residual = leaf(mask.apply(random(&size).flip([0, 2])), self.kind);
            let film =
                [0, 1].map(|dim| leaf(random(&[SEQUENCES, CHANNELS]).flip([dim]), Kind::Float));
            let has_film = self.has(0) && self.norm != 1 && self.norm != 2;
            let norm_act = NormAct {
                norm: match self.norm {
                    0 => Norm::Instance,
                    1 | 3 => Norm::Batch(&batch_norm, true),
                    _ => Norm::Batch(&batch_norm, false),
                },
                rectify_first: self.has(1),
                film: has_film.then(|| film.each_ref().map(Tensor::shallow_clone)),
                rectify: self.has(2),
                residual: self.has(3).then_some(&residual),
                dropout: 0.0,
            };
            let output = match plainly {
                true => norm_act.plain(&x, &mask),
                false => {
                    assert!(norm_act.call(&x, &mask).is_some(), "{self:?}");
                    norm_act.forward(&x, &mask)
                }
            };
            let weights = mask.apply(random(&size).flip([1]));
            (output.to_kind(Kind::Float) * weights)
                .sum(Kind::Float)
                .backward();
            let leaves = [&x, &residual].into_iter().chain(&film);
            let gradients = leaves
                .chain(variables.iter().map(|(_, variable)| variable))
                .map(|leaf| match leaf.requires_grad() {
                    true => leaf.grad(),
                    false => leaf.shallow_clone(),
                });
            let mut results: Vec<_> = gradients.collect();
            results.push(output.detach());
            results
        }
    }

    #[test]
    fn it_equals_the_plain_operations() {
        for parts in Parts::all() {
            let (found, expected) = (parts.results(false), parts.results(true));
            for (place, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert_eq!(found.defined(), expected.defined(), "{parts:?} {place}");
                if !found.defined() {
                    continue;
                }
                let (found, expected) = (found.to_kind(Kind::Float), expected.to_kind(Kind::Float));
                // The deviation of one frame or two is little or none, and the gradient what rounding leaves, times 316.
                let share = match (parts.kind, parts.frames) {
                    (Kind::Float, ..16) => 2e-4,
                    (Kind::Float, _) => 2e-5,
                    _ => 1.0 / 128.0,
                };
                let gap = (&found - &expected).abs().max().double_value(&[]);
                let most = expected.abs().max().double_value(&[]).max(1.0);
                assert!(gap <= share * most, "{parts:?} {place}: {gap} of {most}");
            }
        }
    }

    #[test]
    fn the_type_of_the_input_stays() {
        for kind in [Kind::Float, Kind::BFloat16] {
            let x = random(&[2, 3, 9]).to_kind(kind);
            let norm_act = NormAct {
                norm: Norm::Instance,
                ..NormAct::default()
            };
            let y = norm_act.forward(&x, &Mask::new(&[9, 4], Device::Cpu));
            assert_eq!(y.kind(), kind);
            let padding = y.get(1).narrow(1, 4, 5).abs().max();
            assert_eq!(padding.double_value(&[]), 0.0);
        }
    }

    /// A call with everything, on 9 frames of which the last sequence has 5.
    fn call() -> Call {
        Call {
            x: random(&[2, 3, 9]),
            gain_shift: Some([random(&[2, 3]), random(&[3, 2]).tr()]),
            residual: Some(random(&[2, 3, 9])),
            running: Some([random(&[3]), random(&[3]).exp()]),
            lengths: Some(vec![9, 5]),
            statistics: Statistics::OfSequence,
            rectify_first: true,
            rectify: true,
            dropout: 0.4,
            seed: 3,
        }
    }

    #[test]
    fn dropout_is_a_function_of_its_seed() {
        let size = [7, 40, 101];
        let run = |seed| {
            let residual = leaf(Tensor::ones(size, (Kind::Float, Device::Cpu)), Kind::Float);
            let call = Call {
                x: Tensor::zeros(size, (Kind::Float, Device::Cpu)),
                gain_shift: None,
                residual: Some(residual.shallow_clone()),
                lengths: None,
                seed,
                ..call()
            };
            let y = call.run().unwrap();
            y.sum(Kind::Float).backward();
            assert_eq!(residual.grad(), y.detach());
            y.detach()
        };
        let first = run(1);
        assert_eq!(run(1), first);
        let kept = first.gt(0.0).to_kind(Kind::Float);
        assert!((&first - &kept / 0.6).abs().max().double_value(&[]) < 1e-6);
        let share = kept.mean(Kind::Float).double_value(&[]);
        assert!((share - 0.6).abs() < 0.01, "{share}");
        // Neighbours in time, channel and sequence, and other seeds, are dropped independently.
        let both = |other: Tensor, kept: Tensor| (other * kept).mean(Kind::Float).double_value(&[]);
        for dim in 0..3 {
            let length = size[dim as usize] - 1;
            let share = both(kept.narrow(dim, 1, length), kept.narrow(dim, 0, length));
            assert!((share - 0.36).abs() < 0.015, "{dim}: {share}");
        }
        let share = both(run(2).gt(0.0).to_kind(Kind::Float), kept);
        assert!((share - 0.36).abs() < 0.015, "{share}");
    }

    #[test]
    fn what_is_no_number_stays_so() {
        for (kind, rectify_first) in [Kind::Float, Kind::BFloat16]
            .into_iter()
            .flat_map(|kind| [(kind, false), (kind, true)])
        {
            let x = random(&[1, 3, 9]);
            let _ = x.get(0).get(1).get(4).fill_(f64::NAN);
            let norm_act = NormAct {
                norm: Norm::Instance,
                rectify_first,
                rectify: true,
                ..NormAct::default()
            };
            let y = norm_act.forward(&x.to_kind(kind), &Mask::new(&[9], Device::Cpu));
            let by_channel = y.isnan().all_dim(2, false);
            let expected = Tensor::from_slice(&[false, true, false]).unsqueeze(0);
            assert_eq!(by_channel, expected, "{kind:?} {rectify_first}");
        }
    }

    #[test]
    fn a_call_repeats_bit_for_bit() {
        let call = call();
        let x = call.x.set_requires_grad(true);
        let call = Call {
            x: x.shallow_clone(),
            ..call
        };
        let run = || {
            let y = call.run().unwrap();
            let gradient =
                Tensor::run_backward(&[y.square().sum(Kind::Float)], &[&x], false, false);
            (y.detach(), gradient[0].shallow_clone())
        };
        assert_eq!(run(), run());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |change: &dyn Fn(&mut Call), expected: &str| {
            let mut call = call();
            change(&mut call);
            let message = call.run().unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        };
        assert!(call().run().is_ok());
        refused(
            &|call| call.x = random(&[2, 9]),
            "[batch, channels, frames]",
        );
        refused(
            &|call| call.x = random(&[2, 3, 0]),
            "[batch, channels, frames]",
        );
        refused(
            &|call| call.x = random(&[2, 3, 9]).to_kind(Kind::Double),
            "f32 or bf16",
        );
        refused(
            &|call| call.gain_shift = Some([random(&[2, 2]), random(&[2, 2])]),
            "6 values of gain",
        );
        refused(
            &|call| call.gain_shift = Some([random(&[2, 3]), random(&[3])]),
            "6 values of shift",
        );
        refused(
            &|call| call.gain_shift = Some([random(&[3]).to_kind(Kind::BFloat16), random(&[3])]),
            "gain of Float",
        );
        refused(
            &|call| call.residual = Some(random(&[2, 3, 8])),
            "54 values of residual",
        );
        refused(
            &|call| call.residual = Some(random(&[3, 2, 9])),
            "a residual of [2, 3, 9]",
        );
        refused(
            &|call| call.residual = Some(random(&[2, 3, 9]).to_kind(Kind::BFloat16)),
            "residual of Float",
        );
        refused(
            &|call| call.lengths = Some(vec![9, 5, 1]),
            "2 lengths, found 3",
        );
        refused(
            &|call| call.lengths = Some(vec![9, 10]),
            "at most 9, found 10",
        );
        refused(&|call| call.lengths = Some(vec![9, -1]), "found -1");
        refused(&|call| call.dropout = 1.0, "dropout in [0, 1)");
        refused(
            &|call| {
                call.statistics = Statistics::Given;
                call.running = None;
            },
            "running statistics",
        );
        refused(
            &|call| {
                call.statistics = Statistics::OfBatch;
                call.running = Some([random(&[3]), random(&[4])]);
            },
            "3 values of running variance",
        );
        refused(
            &|call| {
                call.statistics = Statistics::OfBatch;
                call.lengths = Some(vec![1, 0]);
            },
            "two frames or more, found 1",
        );
    }

    #[test]
    fn a_second_derivative_is_refused() {
        let x = leaf(random(&[2, 3, 9]), Kind::Float);
        let norm_act = NormAct {
            norm: Norm::Instance,
            ..NormAct::default()
        };
        let y = norm_act.forward(&x, &Mask::new(&[9, 9], Device::Cpu));
        let error = Tensor::f_run_backward(&[y.square().sum(Kind::Float)], &[&x], true, true);
        let message = error.unwrap_err().to_string();
        assert!(
            message.contains("expected one differentiation"),
            "{message}"
        );
    }
}
