//! Gated recurrent layers over padded sequences.

use tch::nn::{self, GRUState, Path, RNN};
use tch::{Kind, Tensor};

use super::layer::Linear;
use super::mask::Mask;

/// Layers of gated recurrent units (Cho et al. 2014), bidirectional unless causal.
#[derive(Debug)]
pub struct Recurrent {
    layers: Vec<(nn::GRU, Option<nn::GRU>)>,
    /// Values of the state, per direction.
    units: i64,
}

impl Recurrent {
    /// From `inputs` to `channels` values per frame. Of two directions each has half of them, so `channels` is even
    /// then.
    pub fn new(path: Path, inputs: i64, channels: i64, layers: i64, causal: bool) -> Self {
        let own = if causal { channels } else { channels / 2 };
        let layers = (0..layers)
            .map(|index| {
                let inputs = if index == 0 { inputs } else { channels };
                let unit = |name: &str| {
                    let path = &path / format!("{name}{index}");
                    nn::gru(path, inputs, own, Default::default())
                };
                let forward = unit("forward");
                (forward, (!causal).then(|| unit("backward")))
            })
            .collect();
        Self { layers, units: own }
    }

    /// `[batch, inputs, frames]` to `[batch, channels, frames]`; padding does not reach real frames.
    pub fn forward(&self, x: &Tensor, mask: &Mask) -> Tensor {
        let mut x = x.shallow_clone();
        for (forward, backward) in &self.layers {
            let run = |unit, x: &Tensor| run(unit, x, self.silence(x)).0;
            let there = run(forward, &x);
            x = mask.apply(match backward {
                None => there,
                Some(backward) => {
                    let back = mask.reverse(&run(backward, &mask.reverse(&x)));
                    Tensor::cat(&[there, back], 1)
                }
            });
        }
        x
    }

    /// The next frames of a stream, `[batch, inputs, frames]` to `[batch, channels, frames]`. Only for causal layers.
    pub fn step(&self, x: &Tensor, states: &mut RecurrentState) -> Tensor {
        states.0.resize_with(self.layers.len(), || None);
        let mut x = x.shallow_clone();
        for ((forward, _), state) in self.layers.iter().zip(&mut states.0) {
            let before = state.take().unwrap_or_else(|| self.silence(&x));
            let (out, after) = run(forward, &x, before);
            *state = Some(after);
            x = out;
        }
        x
    }

    /// The state before the first frame of `[batch, inputs, frames]`: zeros `[1, batch, units]`, computed from the
    /// input, so that a traced layer fixes neither its batch size nor its device.
    fn silence(&self, x: &Tensor) -> Tensor {
        let corner = x.narrow(1, 0, 1).narrow(2, 0, 1);
        let every = corner.expand([-1, -1, self.units], false).zeros_like();
        every.transpose(0, 1).contiguous()
    }
}

/// State of [`Recurrent::step`] in a stream: that of each layer, none before the first frames.
#[derive(Debug, Default)]
pub struct RecurrentState(Vec<Option<Tensor>>);

/// Runs from a state `[1, batch, units]`; returns the output, and the state after it.
fn run(unit: &nn::GRU, x: &Tensor, state: Tensor) -> (Tensor, Tensor) {
    let x = x.transpose(1, 2).contiguous();
    let (out, GRUState(after)) = unit.seq_init(&x, &GRUState(state));
    (out.transpose(1, 2), after)
}

/// A decoder from one vector to a sequence. A recurrent layer reads at each frame the vector, and the relative position
/// of the frame between the first and the last, and pitch where it is given.
#[derive(Debug)]
pub struct Unroll {
    recurrent: Recurrent,
    output: Linear,
}

impl Unroll {
    /// From vectors of so many values, and so many values of pitch per frame, to sequences of `outputs` values per frame,
    /// through `channels` units per layer.
    pub fn new(
        path: Path,
        (inputs, pitch): (i64, i64),
        channels: i64,
        layers: i64,
        outputs: i64,
    ) -> Self {
        let inputs = inputs + 1 + pitch;
        Self {
            recurrent: Recurrent::new(&path / "gru", inputs, channels, layers, false),
            output: Linear::new(&path / "output", channels, outputs),
        }
    }

    /// `[batch, inputs]`, and pitch `[batch, values, frames]`, to `[batch, outputs, frames]`.
    pub fn forward(&self, vector: &Tensor, pitch: Option<&Tensor>, mask: &Mask) -> Tensor {
        let frames = mask.frames();
        let every = vector.unsqueeze(2).expand([-1, -1, frames], false);
        let lengths = Tensor::from_slice(mask.lengths())
            .to(vector.device())
            .to_kind(Kind::Float)
            .reshape([-1, 1, 1]);
        let place = Tensor::arange(frames, (Kind::Float, vector.device())).reshape([1, 1, -1]);
        let way = place / (lengths - 1.0).clamp_min(1.0);
        let parts: Vec<_> = [&every, &way].into_iter().chain(pitch).collect();
        let x = mask.apply(Tensor::cat(&parts, 1));
        let x = self.recurrent.forward(&x, mask).transpose(1, 2);
        mask.apply(self.output.forward(&x).transpose(1, 2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, nn::VarStore};

    const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

    #[test]
    fn a_batch_equals_single_utterances() {
        for causal in [false, true] {
            let store = VarStore::new(Device::Cpu);
            let gru = Recurrent::new(store.root(), 5, 8, 2, causal);
            let x = Tensor::randn([1, 5, 7], CPU);
            let alone = gru.forward(&x, &Mask::new(&[7], Device::Cpu));
            let batch = Tensor::cat(
                &[x.constant_pad_nd([0, 4]), Tensor::randn([1, 5, 11], CPU)],
                0,
            );
            let many = gru.forward(&batch, &Mask::new(&[7, 11], Device::Cpu));
            assert_eq!(many.size(), [2, 8, 11]);
            let gap = (alone - many.narrow(0, 0, 1).narrow(2, 0, 7)).abs().max();
            assert!(gap.double_value(&[]) < 1e-5);
        }
    }

    #[test]
    fn a_vector_is_decoded_to_any_length() {
        let store = VarStore::new(Device::Cpu);
        let unroll = Unroll::new(store.root(), (6, 0), 8, 1, 5);
        let mask = Mask::new(&[4, 1, 9], Device::Cpu);
        let out = unroll.forward(&Tensor::randn([3, 6], CPU), None, &mask);
        assert_eq!(out.size(), [3, 5, 9]);
        let alone = unroll.forward(
            &Tensor::zeros([1, 6], CPU),
            None,
            &Mask::new(&[1], Device::Cpu),
        );
        assert_eq!(alone.size(), [1, 5, 1]);
    }
}
