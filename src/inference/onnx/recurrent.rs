//! Gated recurrent layers as a graph.

use tch::Tensor;

use super::graph::{Setting, Value};
use super::layers::Weights;
use super::mask::Mask;
use super::proto::ElementKind;

/// `[batch, inputs, frames]` to `[batch, channels, frames]`, through so many layers, in both directions unless causal.
/// In a stream they go on from the state of the piece before. Without a mask all frames are real.
pub(super) fn forward<'g>(
    weights: &Weights<'g>,
    (layers, causal): (i64, bool),
    x: &Value<'g>,
    mask: Option<&Mask<'g>>,
) -> Value<'g> {
    let graph = x.graph();
    let lengths = mask.map(|mask| mask.lengths.cast(ElementKind::Int32));
    // The operator takes [frames, batch, inputs].
    let mut x = x.transpose(&[2, 0, 1]);
    for index in 0..layers {
        let (units, [input, state, bias]) = gates(weights, index, causal);
        let before = graph.state(&[Some(1), None, Some(units)]);
        let direction = if causal { "forward" } else { "bidirectional" };
        let settings = [
            ("hidden_size", Setting::Int(units)),
            ("direction", Setting::Text(direction)),
            ("linear_before_reset", Setting::Int(1)),
        ];
        let weights = [&x, &input, &state, &bias].map(Some);
        let rest = [lengths.as_ref(), before.as_ref().map(|state| &state.value)];
        let inputs = [&weights[..], &rest].concat();
        let [y, after] = graph.outputs("GRU", &inputs, &settings, ElementKind::Float);
        if let Some(before) = &before {
            graph.next_state(before, &after);
        }
        // [frames, directions, batch, units], zero in the padding.
        x = y.transpose(&[0, 2, 1, 3]).reshape(&[0, 0, -1]);
    }
    x.transpose(&[1, 2, 0])
}

/// Units of a layer, and its weights `[directions, 3 units, ..]`: of the input, of the state, and biases.
fn gates<'g>(weights: &Weights<'g>, index: i64, causal: bool) -> (i64, [Value<'g>; 3]) {
    let directions = match causal {
        true => &["forward"][..],
        false => &["forward", "backward"],
    };
    let stacked = |name: &str| -> Vec<Tensor> {
        let each = directions.iter().map(|direction| {
            let unit = weights.at(&format!("{direction}{index}"));
            in_order(unit.tensor(&format!("{name}_l0")))
        });
        each.collect()
    };
    let of = |name: &str| Tensor::stack(&stacked(name), 0);
    let bias = Tensor::cat(&[of("bias_ih"), of("bias_hh")], 1);
    let state = of("weight_hh");
    let units = state.size()[2];
    let made = |name: &str, tensor: &Tensor| weights.made(&format!("{name}{index}"), tensor);
    let input = made("input", &of("weight_ih"));
    (units, [input, made("state", &state), made("bias", &bias)])
}

/// libtorch's gates are reset, update, new; ONNX's are update, reset, new.
fn in_order(gates: &Tensor) -> Tensor {
    let parts = gates.chunk(3, 0);
    Tensor::cat(&[&parts[1], &parts[0], &parts[2]], 0)
}
