//! Regression of the codes on the speaker embedding, to subtract from the codes what the embedding predicts linearly: Eta-WavLM
//! (Ruggiero et al. 2025) on codes that are being trained, with running sums in place of one solution over a corpus, for which
//! see `eval/speaker_regression.rs`.

use tch::nn::Path;
use tch::{Kind, Tensor, no_grad};

use crate::nn::Mask;

/// Weight of a new batch in the running sums.
const RATE: f64 = 0.01;

/// Running sums of a linear regression from embeddings to codes, over about the last hundred training batches.
#[derive(Debug)]
pub struct Regression {
    /// Mean over codes of `[s; 1] [s; 1]'`, `[dim + 1, dim + 1]`.
    embeds: Tensor,
    /// Mean over codes of `z [s; 1]'`, `[code_dim, dim + 1]`.
    both: Tensor,
}

impl Regression {
    /// A regression from embeddings of `embedding_dim` to codes of `code_dim`.
    pub fn new(path: Path, code_dim: i64, embedding_dim: i64) -> Self {
        let inputs = embedding_dim + 1;
        Self {
            embeds: path.zeros_no_train("embeds", &[inputs, inputs]),
            both: path.zeros_no_train("both", &[code_dim, inputs]),
        }
    }

    /// Updates the sums with a batch: codes `[batch, code_dim, codes]` and embeddings `[batch, embedding_dim]`.
    pub fn observe(&self, codes: &Tensor, mask: &Mask, embeds: &Tensor) {
        no_grad(|| {
            let lengths = Tensor::from_slice(mask.lengths())
                .to(codes.device())
                .to_kind(Kind::Float)
                .unsqueeze(1);
            let all = lengths.sum(Kind::Float).clamp_min(1.0);
            let inputs = with_one(embeds);
            let weighted = &inputs * &lengths / all;
            let means = mask.mean_std(codes).0.squeeze_dim(2);
            let follow = |sum: &Tensor, new: Tensor| {
                let _ = sum.shallow_clone().lerp_(&new, RATE);
            };
            follow(&self.embeds, weighted.tr().matmul(&inputs));
            follow(&self.both, means.tr().matmul(&weighted));
        });
    }

    /// The mean code that embeddings `[batch, embedding_dim]` predict, `[batch, code_dim, 1]`.
    pub fn predict(&self, embeds: &Tensor) -> Tensor {
        let map = solution(&self.embeds, &self.both);
        with_one(embeds).matmul(&map).unsqueeze(2)
    }
}

/// The map from `[s; 1]` to the predicted code, `[dim + 1, code_dim]`, of a regression's sums.
pub(crate) fn solution(embeds: &Tensor, both: &Tensor) -> Tensor {
    // A small ridge, because few speakers do not span all directions.
    let ridge = Tensor::eye(embeds.size()[0], (Kind::Float, embeds.device())) * 1e-4;
    Tensor::linalg_solve(&(embeds + ridge), &both.tr(), true)
}

fn with_one(embeds: &Tensor) -> Tensor {
    Tensor::cat(&[embeds, &embeds.narrow(1, 0, 1).ones_like()], 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, nn::VarStore};

    #[test]
    fn a_linear_effect_of_the_speaker_is_found() {
        tch::manual_seed(0);
        let cpu = (Kind::Float, Device::Cpu);
        let store = VarStore::new(Device::Cpu);
        let regression = Regression::new(store.root(), 4, 3);
        let map = Tensor::randn([3, 4], cpu);
        let mask = Mask::new(&[20, 30, 25, 30, 7, 30], Device::Cpu);
        for _ in 0..500 {
            let embeds = Tensor::randn([6, 3], cpu);
            let effect = (embeds.matmul(&map) + 0.5).unsqueeze(2);
            let codes = mask.apply(Tensor::randn([6, 4, 30], cpu) * 0.1 + effect);
            regression.observe(&codes, &mask, &embeds);
        }
        let embeds = Tensor::randn([5, 3], cpu);
        let expected = (embeds.matmul(&map) + 0.5).unsqueeze(2);
        let gap = (regression.predict(&embeds) - expected).abs().max();
        assert!(gap.double_value(&[]) < 0.05, "{gap:?}");
    }
}
