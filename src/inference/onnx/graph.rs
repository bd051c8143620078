//! A graph of ONNX operators, built by computing with its values. Every operator means the same in all operator sets
//! from [`OPSETS`].

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use prost::Message;

use super::proto::{
    self, Attribute, AttributeKind, Dimension, ElementKind, Node, OperatorSet, Property, Shape,
    Size, TensorType, Type, ValueInfo,
};

/// Versions of ONNX's operators in which the graphs can be written.
pub const OPSETS: RangeInclusive<i64> = 17..=21;

/// The end of a slice that reaches to the end of its axis.
pub(super) const END: i64 = i64::MAX;

/// A graph that grows.
#[derive(Debug, Default)]
pub(super) struct Graph {
    made: RefCell<proto::Graph>,
    /// Names of the constants so far.
    constants: RefCell<BTreeSet<String>>,
    /// Whether it takes the next piece of a stream, and gives the state behind it for the piece after.
    streams: bool,
    /// The number of states so far.
    states: Cell<usize>,
}

/// What a causal layer keeps between the pieces of a stream: zero before the first piece.
pub(super) struct State<'g> {
    pub(super) value: Value<'g>,
    number: usize,
    shape: Vec<Option<i64>>,
}

/// A tensor of a graph.
#[derive(Clone)]
pub(super) struct Value<'g> {
    graph: &'g Graph,
    name: String,
    kind: ElementKind,
}

/// An attribute's value.
pub(super) enum Setting<'a> {
    Int(i64),
    Ints(&'a [i64]),
    Text(&'a str),
}

/// An element of a constant.
pub(super) trait Element: Copy {
    const KIND: ElementKind;
    fn bytes(self) -> Vec<u8>;
}

impl Element for f32 {
    const KIND: ElementKind = ElementKind::Float;
    fn bytes(self) -> Vec<u8> {
        self.to_le_bytes().to_vec()
    }
}

impl Element for f64 {
    const KIND: ElementKind = ElementKind::Double;
    fn bytes(self) -> Vec<u8> {
        self.to_le_bytes().to_vec()
    }
}

impl Element for i64 {
    const KIND: ElementKind = ElementKind::Int64;
    fn bytes(self) -> Vec<u8> {
        self.to_le_bytes().to_vec()
    }
}

impl Graph {
    /// A graph whose causal layers take up a stream where the piece before left it.
    pub(super) fn of_stream() -> Self {
        Self {
            streams: true,
            ..Self::default()
        }
    }

    /// A state of a stream, an input of this shape in which nothing stands for any size; none in a graph of whole
    /// utterances.
    pub(super) fn state(&self, shape: &[Option<i64>]) -> Option<State<'_>> {
        if !self.streams {
            return None;
        }
        let number = self.states.replace(self.states.get() + 1);
        let state = |value| State {
            value,
            number,
            shape: shape.to_vec(),
        };
        let (name, shape) = (format!("state_{number}"), sizes(shape, "past"));
        Some(state(self.input(&name, ElementKind::Float, &shape)))
    }

    /// What a state is for the next piece.
    pub(super) fn next_state(&self, state: &State<'_>, value: &Value<'_>) {
        let name = format!("next_state_{}", state.number);
        self.output(&name, value, &sizes(&state.shape, "past and present"));
    }

    /// An input of the model. Names in `shape` stand for any size.
    pub(super) fn input(&self, name: &str, kind: ElementKind, shape: &[Size]) -> Value<'_> {
        self.made.borrow_mut().input.push(info(name, kind, shape));
        self.value(name, kind)
    }

    /// Makes `value` an output of the model, called `name`.
    pub(super) fn output(&self, name: &str, value: &Value<'_>, shape: &[Size]) {
        let mut made = self.made.borrow_mut();
        made.node.push(Node {
            input: vec![value.name.clone()],
            output: vec![name.to_string()],
            name: name.to_string(),
            op_type: "Identity".to_string(),
            attribute: Vec::new(),
        });
        made.output.push(info(name, value.kind, shape));
    }

    /// A constant of any shape, of the given name. A name that is there already stands for the same constant.
    pub(super) fn named<T: Element>(&self, name: &str, shape: &[i64], values: &[T]) -> Value<'_> {
        if self.constants.borrow_mut().insert(name.to_string()) {
            self.made.borrow_mut().initializer.push(proto::Tensor {
                dims: shape.to_vec(),
                data_type: T::KIND as i32,
                name: name.to_string(),
                raw_data: values.iter().flat_map(|&value| value.bytes()).collect(),
            });
        }
        self.value(name, T::KIND)
    }

    /// A vector of whole numbers, for shapes and axes.
    pub(super) fn ints(&self, values: &[i64]) -> Value<'_> {
        self.named(&format!("{values:?}"), &[values.len() as i64], values)
    }

    /// A number of the given kind, without dimensions.
    fn number(&self, kind: ElementKind, value: f64) -> Value<'_> {
        let name = format!("{value:e} {kind:?}");
        match kind {
            ElementKind::Double => self.named(&name, &[], &[value]),
            ElementKind::Int64 => self.named(&name, &[], &[value as i64]),
            _ => self.named(&name, &[], &[value as f32]),
        }
    }

    /// `[0, 1, .. , count - 1]` for a count `[1]`.
    pub(super) fn count_to<'g>(&'g self, count: &Value<'g>) -> Value<'g> {
        let (zero, one) = (self.number(count.kind, 0.0), self.number(count.kind, 1.0));
        let end = count.reshape(&[]);
        self.operator("Range", &[&zero, &end, &one], &[], count.kind)
    }

    /// Vectors behind each other along `axis`.
    pub(super) fn concat<'g>(&'g self, parts: &[&Value<'g>], axis: i64) -> Value<'g> {
        let axis = [("axis", Setting::Int(axis))];
        self.operator("Concat", parts, &axis, parts[0].kind)
    }

    /// The output of an operator.
    pub(super) fn operator(
        &self,
        name: &str,
        inputs: &[&Value<'_>],
        settings: &[(&str, Setting<'_>)],
        kind: ElementKind,
    ) -> Value<'_> {
        let inputs: Vec<_> = inputs.iter().map(|value| Some(*value)).collect();
        let [value] = self.outputs(name, &inputs, settings, kind);
        value
    }

    /// All outputs of an operator, some inputs of which may be left out.
    pub(super) fn outputs<const COUNT: usize>(
        &self,
        operator: &str,
        inputs: &[Option<&Value<'_>>],
        settings: &[(&str, Setting<'_>)],
        kind: ElementKind,
    ) -> [Value<'_>; COUNT] {
        let mut made = self.made.borrow_mut();
        let name = format!("{operator}_{}", made.node.len());
        let names: [String; COUNT] = std::array::from_fn(|place| match place {
            0 => name.clone(),
            _ => format!("{name}_{place}"),
        });
        let input = |value: &Option<&Value<'_>>| value.map_or(String::new(), |v| v.name.clone());
        made.node.push(Node {
            // An input that is left out has an empty name.
            input: inputs.iter().map(input).collect(),
            output: names.to_vec(),
            name,
            op_type: operator.to_string(),
            attribute: settings.iter().map(attribute).collect(),
        });
        names.map(|name| self.value(&name, kind))
    }

    fn value(&self, name: &str, kind: ElementKind) -> Value<'_> {
        let name = name.to_string();
        let graph = self;
        Value { graph, name, kind }
    }

    /// The bytes of a model file with an operator set of [`OPSETS`].
    pub(super) fn into_model(self, name: &str, opset: i64, metadata: &[(&str, String)]) -> Vec<u8> {
        let mut graph = self.made.into_inner();
        graph.name = name.to_string();
        let version = |version| OperatorSet {
            domain: String::new(),
            version,
        };
        let properties = metadata.iter().map(|(key, value)| Property {
            key: key.to_string(),
            value: value.clone(),
        });
        let model = proto::Model {
            ir_version: match opset {
                ..=18 => 8,
                19..=20 => 9,
                _ => 10,
            },
            producer_name: "unbraid".to_string(),
            producer_version: env!("CARGO_PKG_VERSION").to_string(),
            graph: Some(graph),
            opset_import: vec![version(opset)],
            metadata_props: properties.collect(),
        };
        model.encode_to_vec()
    }
}

/// The shape of a state: the first size that is not fixed is the batch's, the next one the number of frames.
fn sizes(shape: &[Option<i64>], frames: &str) -> Vec<Size> {
    let mut names = ["batch", frames].into_iter();
    let size = |size: &Option<i64>| match size {
        Some(size) => Size::Fixed(*size),
        None => Size::Named(names.next().unwrap_or(frames).to_string()),
    };
    shape.iter().map(size).collect()
}

fn attribute((name, setting): &(&str, Setting<'_>)) -> Attribute {
    let plain = Attribute {
        name: name.to_string(),
        ..Default::default()
    };
    match setting {
        Setting::Int(value) => Attribute {
            i: Some(*value),
            r#type: AttributeKind::Int as i32,
            ..plain
        },
        Setting::Ints(values) => Attribute {
            ints: values.to_vec(),
            r#type: AttributeKind::Ints as i32,
            ..plain
        },
        Setting::Text(text) => Attribute {
            s: Some(text.as_bytes().to_vec()),
            r#type: AttributeKind::String as i32,
            ..plain
        },
    }
}

fn info(name: &str, kind: ElementKind, shape: &[Size]) -> ValueInfo {
    let dimension = |size: &Size| Dimension {
        value: Some(size.clone()),
    };
    ValueInfo {
        name: name.to_string(),
        r#type: Some(Type {
            tensor_type: Some(TensorType {
                elem_type: kind as i32,
                shape: Some(Shape {
                    dim: shape.iter().map(dimension).collect(),
                }),
            }),
        }),
    }
}

/// Arithmetic broadcasts as in NumPy. Numbers take the type of the value that they meet.
impl<'g> Value<'g> {
    /// The graph that it is a part of.
    pub(super) fn graph(&self) -> &'g Graph {
        self.graph
    }

    /// The type of its elements.
    pub(super) fn kind(&self) -> ElementKind {
        self.kind
    }

    /// A number of its type.
    pub(super) fn number(&self, value: f64) -> Value<'g> {
        self.graph.number(self.kind, value)
    }

    fn with(&self, operator: &str, other: &Value<'g>) -> Value<'g> {
        self.graph
            .operator(operator, &[self, other], &[], self.kind)
    }

    fn with_number(&self, operator: &str, value: f64) -> Value<'g> {
        self.with(operator, &self.number(value))
    }

    fn apply(&self, operator: &str) -> Value<'g> {
        self.graph.operator(operator, &[self], &[], self.kind)
    }

    pub(super) fn add(&self, other: &Value<'g>) -> Value<'g> {
        self.with("Add", other)
    }

    pub(super) fn sub(&self, other: &Value<'g>) -> Value<'g> {
        self.with("Sub", other)
    }

    pub(super) fn mul(&self, other: &Value<'g>) -> Value<'g> {
        self.with("Mul", other)
    }

    pub(super) fn div(&self, other: &Value<'g>) -> Value<'g> {
        self.with("Div", other)
    }

    pub(super) fn max(&self, other: &Value<'g>) -> Value<'g> {
        self.with("Max", other)
    }

    pub(super) fn min(&self, other: &Value<'g>) -> Value<'g> {
        self.with("Min", other)
    }

    /// The remainder, with the sign of the divisor.
    pub(super) fn modulo(&self, other: &Value<'g>) -> Value<'g> {
        self.with("Mod", other)
    }

    pub(super) fn matmul(&self, other: &Value<'g>) -> Value<'g> {
        self.with("MatMul", other)
    }

    pub(super) fn power(&self, exponent: f64) -> Value<'g> {
        self.with_number("Pow", exponent)
    }

    pub(super) fn plus(&self, value: f64) -> Value<'g> {
        match value == 0.0 {
            true => self.clone(),
            false => self.with_number("Add", value),
        }
    }

    pub(super) fn times(&self, value: f64) -> Value<'g> {
        match value == 1.0 {
            true => self.clone(),
            false => self.with_number("Mul", value),
        }
    }

    /// Divided by a number; whole numbers are rounded towards zero.
    pub(super) fn over(&self, value: f64) -> Value<'g> {
        self.with_number("Div", value)
    }

    pub(super) fn at_least(&self, value: f64) -> Value<'g> {
        self.with_number("Max", value)
    }

    pub(super) fn square(&self) -> Value<'g> {
        self.mul(self)
    }

    pub(super) fn relu(&self) -> Value<'g> {
        self.apply("Relu")
    }

    pub(super) fn tanh(&self) -> Value<'g> {
        self.apply("Tanh")
    }

    pub(super) fn sigmoid(&self) -> Value<'g> {
        self.apply("Sigmoid")
    }

    pub(super) fn sqrt(&self) -> Value<'g> {
        self.apply("Sqrt")
    }

    pub(super) fn log(&self) -> Value<'g> {
        self.apply("Log")
    }

    /// The nearest whole number, of two the even one.
    pub(super) fn round(&self) -> Value<'g> {
        self.apply("Round")
    }

    /// Booleans: where it is less than `other`.
    pub(super) fn less(&self, other: &Value<'g>) -> Value<'g> {
        let kind = ElementKind::Bool;
        self.graph.operator("Less", &[self, other], &[], kind)
    }

    /// Booleans: where both are true.
    pub(super) fn and(&self, other: &Value<'g>) -> Value<'g> {
        self.with("And", other)
    }

    /// Of booleans: `yes` where true, else `no`.
    pub(super) fn choose(&self, yes: &Value<'g>, no: &Value<'g>) -> Value<'g> {
        self.graph
            .operator("Where", &[self, yes, no], &[], yes.kind)
    }

    /// The same numbers as another type.
    pub(super) fn cast(&self, kind: ElementKind) -> Value<'g> {
        let to = [("to", Setting::Int(kind as i64))];
        self.graph.operator("Cast", &[self], &to, kind)
    }

    /// Sum over `axes`, which are kept with size 1.
    pub(super) fn sum(&self, axes: &[i64]) -> Value<'g> {
        let axes = self.graph.ints(axes);
        let keep = [("keepdims", Setting::Int(1))];
        let kind = self.kind;
        self.graph
            .operator("ReduceSum", &[self, &axes], &keep, kind)
    }

    /// Exponentials along `axis`, which sum to 1.
    pub(super) fn softmax(&self, axis: i64) -> Value<'g> {
        let axis = [("axis", Setting::Int(axis))];
        self.graph.operator("Softmax", &[self], &axis, self.kind)
    }

    /// The place of the smallest value along `axis`, which goes.
    pub(super) fn argmin(&self, axis: i64) -> Value<'g> {
        let settings = [("axis", Setting::Int(axis)), ("keepdims", Setting::Int(0))];
        let kind = ElementKind::Int64;
        self.graph.operator("ArgMin", &[self], &settings, kind)
    }

    /// The places of the values along `axis` in ascending order, equal values by their place.
    pub(super) fn argsort(&self, axis: i64) -> Value<'g> {
        let settings = [("axis", Setting::Int(axis)), ("largest", Setting::Int(0))];
        let inputs = [Some(self), Some(&self.size(axis))];
        let kind = ElementKind::Int64;
        let [_, places] = (self.graph).outputs("TopK", &inputs, &settings, kind);
        places
    }

    /// The largest value of each row, `[batch, channels, values]` to `[batch, channels, 1]`.
    pub(super) fn largest(&self) -> Value<'g> {
        self.apply("GlobalMaxPool")
    }

    pub(super) fn transpose(&self, axes: &[i64]) -> Value<'g> {
        let axes = [("perm", Setting::Ints(axes))];
        self.graph.operator("Transpose", &[self], &axes, self.kind)
    }

    /// A 0 keeps the size of that axis, a -1 stands for what remains.
    pub(super) fn reshape(&self, shape: &[i64]) -> Value<'g> {
        self.reshape_to(&self.graph.ints(shape))
    }

    /// The same with a computed shape.
    pub(super) fn reshape_to(&self, shape: &Value<'g>) -> Value<'g> {
        self.with("Reshape", shape)
    }

    /// Repeated along axes of size 1, to a computed shape.
    pub(super) fn expand_to(&self, shape: &Value<'g>) -> Value<'g> {
        self.with("Expand", shape)
    }

    /// Zeros before and behind along `axis` of three.
    pub(super) fn pad(&self, axis: usize, before: i64, behind: i64) -> Value<'g> {
        let mut pads = [0; 6];
        (pads[axis], pads[axis + 3]) = (before, behind);
        self.with("Pad", &self.graph.ints(&pads))
    }

    /// Behind what a state has of the frames before, along axis 2.
    pub(super) fn behind(&self, state: &State<'g>) -> Value<'g> {
        self.graph.concat(&[&state.value, self], 2)
    }

    /// A new axis of size 1, before `axis`.
    pub(super) fn unsqueeze(&self, axis: i64) -> Value<'g> {
        self.with("Unsqueeze", &self.graph.ints(&[axis]))
    }

    /// From `from` to before `to` along `axis`.
    pub(super) fn slice(&self, axis: i64, from: i64, to: i64) -> Value<'g> {
        let [axis, from, to] = [axis, from, to].map(|value| self.graph.ints(&[value]));
        let inputs = [self, &from, &to, &axis];
        self.graph.operator("Slice", &inputs, &[], self.kind)
    }

    /// `parts` pieces of the same size along `axis`, which has `size`.
    pub(super) fn parts(&self, axis: i64, parts: i64, size: i64) -> Vec<Value<'g>> {
        let part = size / parts;
        (0..parts)
            .map(|index| self.slice(axis, index * part, (index + 1) * part))
            .collect()
    }

    /// The entries at the places `index` of `axis`.
    pub(super) fn gather(&self, index: &Value<'g>, axis: i64) -> Value<'g> {
        let axis = [("axis", Setting::Int(axis))];
        self.graph
            .operator("Gather", &[self, index], &axis, self.kind)
    }

    /// The entries along `axis` at places that differ from row to row.
    pub(super) fn gather_each(&self, index: &Value<'g>, axis: i64) -> Value<'g> {
        let axis = [("axis", Setting::Int(axis))];
        self.graph
            .operator("GatherElements", &[self, index], &axis, self.kind)
    }

    /// The size of `axis`, `[1]`.
    pub(super) fn size(&self, axis: i64) -> Value<'g> {
        let part = [
            ("start", Setting::Int(axis)),
            ("end", Setting::Int(axis + 1)),
        ];
        let kind = ElementKind::Int64;
        self.graph.operator("Shape", &[self], &part, kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A graph of a stream, with a constant that is named twice.
    fn model(opset: i64) -> proto::Model {
        let graph = Graph::of_stream();
        let x = graph.input("x", ElementKind::Float, &[Size::Named("batch".into())]);
        let y = x.plus(0.5).times(2.0).plus(0.5).plus(0.0).times(1.0);
        let state = graph.state(&[None, Some(3), None]).unwrap();
        graph.next_state(&state, &y.behind(&state));
        graph.output("y", &y, &[Size::Named("batch".into())]);
        let bytes = graph.into_model("test", opset, &[("key", "value".into())]);
        proto::Model::decode(&bytes[..]).unwrap()
    }

    #[test]
    fn nodes_read_what_stands_before_them() {
        let model = model(17);
        let graph = model.graph.unwrap();
        let constants = graph.initializer.iter().map(|tensor| &tensor.name);
        let mut known: Vec<&String> = graph.input.iter().map(|input| &input.name).collect();
        known.extend(constants);
        for node in &graph.node {
            assert!(node.input.iter().all(|name| known.contains(&name)));
            known.extend(&node.output);
        }
        let names: BTreeSet<&&String> = known.iter().collect();
        assert_eq!(names.len(), known.len());
        let outputs: Vec<&str> = graph.output.iter().map(|output| &output.name[..]).collect();
        assert_eq!(outputs, ["next_state_0", "y"]);
        assert_eq!(model.metadata_props[0].value, "value");
    }

    #[test]
    fn numbers_that_change_nothing_are_left_out() {
        let graph = model(17).graph.unwrap();
        let operators: Vec<&str> = graph.node.iter().map(|node| &node.op_type[..]).collect();
        let expected = ["Add", "Mul", "Add", "Concat", "Identity", "Identity"];
        assert_eq!(operators, expected);
        // 0.5 stands once.
        assert_eq!(graph.initializer.len(), 2);
    }

    #[test]
    fn the_version_of_the_format_follows_the_operators() {
        for (opset, version) in [(17, 8), (18, 8), (19, 9), (21, 10)] {
            let model = model(opset);
            assert_eq!(
                (model.ir_version, model.opset_import[0].version),
                (version, opset)
            );
        }
    }
}
