//! The layers of networks as operators, one function each, with the weights of a checkpoint.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use super::graph::{END, Graph, Setting, Value};
use super::proto::ElementKind;

/// Weights of a checkpoint under one path of names, such as `phonetic_encoder/conv0`.
#[derive(Clone)]
pub(super) struct Weights<'g> {
    graph: &'g Graph,
    tensors: &'g BTreeMap<String, Tensor>,
    path: String,
}

impl<'g> Weights<'g> {
    /// All of `tensors`.
    pub(super) fn new(graph: &'g Graph, tensors: &'g BTreeMap<String, Tensor>) -> Self {
        let path = String::new();
        Self {
            graph,
            tensors,
            path,
        }
    }

    /// Those of a network, whose name a slash ends, or of a layer in it.
    pub(super) fn at(&self, name: &str) -> Self {
        let path = match self.path.is_empty() {
            true => format!("{name}/"),
            false => format!("{}{name}.", self.path),
        };
        Self {
            path,
            ..self.clone()
        }
    }

    /// A tensor. The checkpoint was checked to have all that its configuration names.
    pub(super) fn tensor(&self, name: &str) -> &'g Tensor {
        let name = format!("{}{name}", self.path);
        self.tensors
            .get(&name)
            .unwrap_or_else(|| unreachable!("{name}: not in a checkpoint of its configuration"))
    }

    /// A tensor as a constant.
    pub(super) fn constant(&self, name: &str) -> Value<'g> {
        self.made(name, self.tensor(name))
    }

    /// A tensor computed from weights as a constant.
    pub(super) fn made(&self, name: &str, tensor: &Tensor) -> Value<'g> {
        constant(self.graph, &format!("{}{name}", self.path), tensor)
    }
}

/// A tensor of single or double precision as a constant.
pub(super) fn constant<'g>(graph: &'g Graph, name: &str, tensor: &Tensor) -> Value<'g> {
    let flat = tensor.contiguous().reshape([-1]);
    // A tensor of either kind converts to a vector of its elements.
    match tensor.kind() {
        Kind::Double => {
            let values: Vec<f64> = Vec::try_from(flat).unwrap_or_default();
            graph.named(name, &tensor.size(), &values)
        }
        _ => {
            let values: Vec<f32> = Vec::try_from(flat).unwrap_or_default();
            graph.named(name, &tensor.size(), &values)
        }
    }
}

/// How a convolution over time moves.
#[derive(Clone, Copy)]
pub(super) struct Moves {
    pub(super) stride: i64,
    pub(super) dilation: i64,
    pub(super) causal: bool,
    pub(super) groups: i64,
}

impl Default for Moves {
    fn default() -> Self {
        Self {
            stride: 1,
            dilation: 1,
            causal: false,
            groups: 1,
        }
    }
}

/// `[batch, inputs, frames]` to `[batch, outputs, ceil(frames / stride)]`.
pub(super) fn conv1d<'g>(x: &Value<'g>, weights: &Weights<'g>, moves: Moves) -> Value<'g> {
    let size = weights.tensor("weight").size();
    let reach = moves.dilation * (size[2] - 1);
    let graph = x.graph();
    let (mut x, mut pads) = (x.clone(), [reach / 2, reach / 2]);
    if moves.causal && reach > 0 {
        pads = [reach, 0];
        if let Some(past) = graph.state(&[None, Some(size[1] * moves.groups), Some(reach)]) {
            x = x.behind(&past);
            graph.next_state(&past, &x.slice(2, -reach, END));
            pads = [0, 0];
        }
    }
    let settings = [
        ("strides", Setting::Ints(&[moves.stride])),
        ("dilations", Setting::Ints(&[moves.dilation])),
        ("pads", Setting::Ints(&pads)),
        ("group", Setting::Int(moves.groups)),
    ];
    convolve(&x, weights, &settings)
}

/// `[batch, inputs, height, width]` to `[batch, outputs, ceil(height / stride), ceil(width / stride)]`.
pub(super) fn conv2d<'g>(x: &Value<'g>, weights: &Weights<'g>, stride: i64) -> Value<'g> {
    let pad = (weights.tensor("weight").size()[2] - 1) / 2;
    let settings = [
        ("strides", Setting::Ints(&[stride, stride])),
        ("pads", Setting::Ints(&[pad; 4])),
    ];
    convolve(x, weights, &settings)
}

fn convolve<'g>(
    x: &Value<'g>,
    weights: &Weights<'g>,
    settings: &[(&str, Setting<'_>)],
) -> Value<'g> {
    let (weight, bias) = (weights.constant("weight"), weights.constant("bias"));
    let inputs = [x, &weight, &bias];
    x.graph()
        .operator("Conv", &inputs, settings, ElementKind::Float)
}

/// `[.., inputs]` to `[.., outputs]`.
pub(super) fn linear<'g>(x: &Value<'g>, weights: &Weights<'g>) -> Value<'g> {
    let weight = weights.made("weight_transposed", &weights.tensor("weight").tr());
    x.matmul(&weight).add(&weights.constant("bias"))
}

/// `[batch, inputs]` to `[batch, outputs]`, by a map `[inputs + 1, outputs]` whose last row is the shift.
pub(super) fn linear_of<'g>(x: &Value<'g>, weights: &Weights<'g>, map: &Tensor) -> Value<'g> {
    let inputs = map.size()[0] - 1;
    let scale = weights.made("map", &map.narrow(0, 0, inputs));
    let shift = weights.made("shift", &map.narrow(0, inputs, 1));
    x.matmul(&scale).add(&shift)
}

/// Batch normalisation by the running statistics, a scale and a shift of each channel: `[batch, channels, ..]` of
/// `axes` axes, same shape out.
pub(super) fn batch_norm<'g>(x: &Value<'g>, weights: &Weights<'g>, axes: usize) -> Value<'g> {
    let deviation = (weights.tensor("running_var") + 1e-5).sqrt();
    let scale = weights.tensor("weight") / deviation;
    let shift = weights.tensor("bias") - weights.tensor("running_mean") * &scale;
    let mut shape = vec![1; axes];
    shape[1] = -1;
    let part = |name, tensor: &Tensor| weights.made(name, &tensor.reshape(&shape));
    x.mul(&part("scale", &scale)).add(&part("shift", &shift))
}

/// The same without learned scale and shift, `[batch, channels]`.
pub(super) fn standardise<'g>(x: &Value<'g>, weights: &Weights<'g>) -> Value<'g> {
    let deviation = (weights.tensor("running_var") + 1e-5).sqrt();
    x.sub(&weights.constant("running_mean"))
        .div(&weights.made("deviation", &deviation))
}

/// Layer normalisation over the last axis.
pub(super) fn layer_norm<'g>(x: &Value<'g>, weights: &Weights<'g>) -> Value<'g> {
    let (weight, bias) = (weights.constant("weight"), weights.constant("bias"));
    let inputs = [x, &weight, &bias];
    let axis = [("axis", Setting::Int(-1))];
    x.graph()
        .operator("LayerNormalization", &inputs, &axis, ElementKind::Float)
}

/// `x sigmoid(x)`.
pub(super) fn silu<'g>(x: &Value<'g>) -> Value<'g> {
    x.mul(&x.sigmoid())
}

/// Rows `[batch, values]` of length 1.
pub(super) fn normalise<'g>(x: &Value<'g>) -> Value<'g> {
    x.div(&x.square().sum(&[1]).at_least(1e-12).sqrt())
}

/// Rounds `tanh(x)` to `levels` even steps over [-1, 1].
pub(super) fn quantise<'g>(x: &Value<'g>, levels: i64) -> Value<'g> {
    let half = (levels - 1) as f64 / 2.0;
    x.tanh().plus(1.0).times(half).round().over(half).plus(-1.0)
}
