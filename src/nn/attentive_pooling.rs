//! Attentive statistics over time. On the CPU they are one operator with gradients (`attentive_pooling.cpp`); elsewhere, and
//! where a module is traced, the operations that it stands for.

use std::ffi::{c_char, c_void};
use std::ptr::null;

use tch::{Device, Kind, Tensor};

use super::mask::Mask;
use super::norm_act::called;
use super::tracing::is_tracing;

/// Mean and standard deviation of `x` over the real frames, weighted by the softmax of `scores`: each `[batch, channels,
/// frames]`, together `[batch, 2 channels]` of f32.
pub(super) fn attentive_statistics(scores: &Tensor, x: &Tensor, mask: &Mask) -> Tensor {
    let serves = x.device() == Device::Cpu
        && matches!(x.kind(), Kind::Float | Kind::BFloat16)
        && x.numel() > 0
        && !is_tracing();
    match serves {
        true => fused(&scores.to_kind(x.kind()), x, mask),
        false => plain(scores, x, mask),
    }
}

fn plain(scores: &Tensor, x: &Tensor, mask: &Mask) -> Tensor {
    let scores = match mask.real() {
        Some(real) => scores.masked_fill(&real.logical_not(), -1e9),
        None => scores.shallow_clone(),
    };
    let (weights, x) = (scores.softmax(2, Kind::Float), x.to_kind(Kind::Float));
    let sum = |x: Tensor| x.sum_dim_intlist(&[2i64][..], true, Kind::Float);
    let mean = sum(&weights * &x);
    let variance = sum(weights * (x - &mean).square());
    Tensor::cat(&[mean, (variance + 1e-5).sqrt()], 1).squeeze_dim(2)
}

fn fused(scores: &Tensor, x: &Tensor, mask: &Mask) -> Tensor {
    let lengths = mask.ones().map(|_| mask.lengths());
    let (first, count) = match lengths {
        Some(lengths) => (lengths.as_ptr(), lengths.len() as i64),
        None => (null(), 0),
    };
    let pointer = |tensor: &Tensor| tensor.as_ptr() as *const c_void;
    called(|error| {
        // SAFETY: tensors and lengths outlive the call, which checks shapes and types.
        unsafe { unbraid_attentive_pooling(pointer(scores), pointer(x), first, count, error) }
    })
    .expect("shapes of a network")
}

// SAFETY: the signature of `attentive_pooling.cpp`, where pointers to tensors are to `at::Tensor`, as `Tensor::as_ptr` gives
// them.
unsafe extern "C" {
    fn unbraid_attentive_pooling(
        scores: *const c_void,
        x: *const c_void,
        lengths: *const i64,
        sequences: i64,
        error: *mut *mut c_char,
    ) -> *mut torch_sys::C_tensor;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Result and gradients, by the operator or by plain operations.
    fn results(kind: Kind, frames: i64, lengths: &[i64], plainly: bool) -> [Tensor; 3] {
        const CHANNELS: i64 = 21;
        let size = [lengths.len() as i64, CHANNELS, frames];
        let leaf = |step: f64| {
            let place = Tensor::arange(size.iter().product::<i64>(), (Kind::Double, Device::Cpu));
            let noise = ((place + 1.0) * step).sin() * 3.0 + 0.5;
            let noise = noise.to_kind(kind).reshape(size);
            noise.set_requires_grad(true)
        };
        let (scores, x) = (leaf(12.9898), leaf(78.233));
        let mask = Mask::of_frames(lengths, frames, Device::Cpu);
        let found = match plainly {
            true => plain(&scores, &x, &mask),
            false => fused(&scores, &x, &mask),
        };
        let slope = Tensor::arange(found.numel() as i64, (Kind::Float, Device::Cpu));
        (&found * (slope * 0.7).cos().view_as(&found))
            .sum(Kind::Float)
            .backward();
        [found.detach(), scores.grad(), x.grad()]
    }

    #[test]
    fn it_equals_the_plain_operations() {
        for kind in [Kind::Float, Kind::BFloat16] {
            for (frames, lengths) in [(1, [1, 1, 1]), (40, [40, 40, 40]), (40, [40, 33, 1])] {
                let found = results(kind, frames, &lengths, false);
                let expected = results(kind, frames, &lengths, true);
                for (place, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    assert_eq!(
                        (found.size(), found.kind()),
                        (expected.size(), expected.kind())
                    );
                    let (found, expected) =
                        (found.to_kind(Kind::Float), expected.to_kind(Kind::Float));
                    let gap = (found - &expected).abs().max().double_value(&[]);
                    let most = expected.abs().max().double_value(&[]).max(1.0);
                    let share = match (place, kind) {
                        (0, _) | (_, Kind::Float) => 1e-5,
                        _ => 1.0 / 128.0,
                    };
                    assert!(
                        gap <= share * most,
                        "{kind:?} {lengths:?} {place}: {gap} of {most}"
                    );
                }
            }
        }
    }

    #[test]
    fn gradients_are_those_of_differences() {
        let lengths = [7, 4];
        let mask = Mask::of_frames(&lengths, 7, Device::Cpu);
        let random = || Tensor::randn([2, 3, 7], (Kind::Float, Device::Cpu));
        tch::manual_seed(3);
        let leaves = [random(), random()].map(|x| x.set_requires_grad(true));
        let toward = [random(), random()];
        let weights = Tensor::randn([2, 6], (Kind::Float, Device::Cpu));
        let value = |step: f64| {
            let at = |which: usize| leaves[which].detach() + &toward[which] * step;
            let found = fused(&at(0), &at(1), &mask).to_kind(Kind::Double);
            (found * &weights).sum(Kind::Double).double_value(&[])
        };
        (fused(&leaves[0], &leaves[1], &mask) * &weights)
            .sum(Kind::Float)
            .backward();
        let slope: f64 = (leaves.iter().zip(&toward))
            .map(|(leaf, toward)| (leaf.grad() * toward).sum(Kind::Float).double_value(&[]))
            .sum();
        let found = (value(1e-2) - value(-1e-2)) / 2e-2;
        assert!(
            (found - slope).abs() < 2e-3 * slope.abs().max(1.0),
            "{found} {slope}"
        );
    }

    #[test]
    fn what_does_not_fit_is_an_error_and_what_is_not_a_number_stays() {
        let of = |size: [i64; 3]| Tensor::zeros(size, (Kind::Float, Device::Cpu));
        let called = |scores: &Tensor, x: &Tensor| {
            let pointer = |tensor: &Tensor| tensor.as_ptr() as *const c_void;
            // SAFETY: as in `fused`.
            called(|error| unsafe {
                unbraid_attentive_pooling(pointer(scores), pointer(x), null(), 0, error)
            })
        };
        let error = called(&of([2, 3, 4]), &of([2, 4, 3]))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("attentive_pooling: expected scores of [2, 4, 3]"),
            "{error}"
        );
        let x = of([1, 2, 3]);
        let _ = x.narrow(2, 1, 1).fill_(f64::NAN);
        assert!(
            called(&of([1, 2, 3]), &x)
                .unwrap()
                .isnan()
                .all()
                .int64_value(&[])
                == 1
        );
        assert!(
            called(&x, &of([1, 2, 3]))
                .unwrap()
                .isnan()
                .all()
                .int64_value(&[])
                == 1
        );
    }
}
