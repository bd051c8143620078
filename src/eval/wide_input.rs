//! The first layer of probes and attackers on wide features: at 768 values per frame, most of the time would go into the
//! convolution that reads them.

use tch::Tensor;
use tch::nn::Path;

use crate::nn::Mask;
use crate::nn::layer::{BatchNorm, Conv1d};

/// Up to so many values per frame are read as they are.
const WIDEST: i64 = 256;
/// What a wider frame is projected to.
const PROJECTED: i64 = 128;

/// Standardises each channel of wide features and projects each frame, by a layer that is trained with the network.
#[derive(Debug)]
pub(super) struct WideInput {
    norm: BatchNorm,
    projection: Conv1d,
}

impl WideInput {
    /// For features of `dim` values per frame; none if they are not wide. Then the number of values that come out.
    pub(super) fn new(path: Path, dim: i64) -> (Option<Self>, i64) {
        if dim <= WIDEST {
            return (None, dim);
        }
        let layer = Self {
            norm: BatchNorm::plain(&path / "norm", dim),
            projection: Conv1d::new(&path / "projection", dim, PROJECTED, 1),
        };
        (Some(layer), PROJECTED)
    }

    /// `[batch, dim, frames]` to `[batch, values, frames]`; the padding of the output is zero.
    pub(super) fn forward(&self, x: &Tensor, mask: &Mask, train: bool) -> Tensor {
        let standardised = self.norm.over_frames(x, mask, train);
        mask.apply(self.projection.forward(&standardised))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, nn::VarStore};

    #[test]
    fn only_wide_features_are_projected_and_padding_stays_zero() {
        tch::manual_seed(1);
        let store = VarStore::new(Device::Cpu);
        assert!(matches!(WideInput::new(store.root(), 256), (None, 256)));
        let (Some(wide), 128) = WideInput::new(store.root(), 300) else {
            panic!("not projected");
        };
        let x = Tensor::randn([2, 300, 7], (Kind::Float, Device::Cpu));
        let found = wide.forward(&x, &Mask::new(&[7, 4], Device::Cpu), false);
        assert_eq!(found.size(), [2, 128, 7]);
        let padding = found.get(1).narrow(1, 4, 3).abs().max();
        assert_eq!(padding.double_value(&[]), 0.0);
        let alone = wide.forward(
            &x.narrow(0, 1, 1).narrow(2, 0, 4),
            &Mask::new(&[4], Device::Cpu),
            false,
        );
        let gap = (found.narrow(0, 1, 1).narrow(2, 0, 4) - alone).abs().max();
        assert!(gap.double_value(&[]) < 1e-5);
    }
}
