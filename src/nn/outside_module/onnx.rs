//! An ONNX model, run by rten on the CPU.

use std::path::{Component, Path};
use std::sync::Arc;

use prost::Message;
use rten::{Dimension, Model, ModelOptions, NodeId, RunOptions, ThreadPool, Value};
use rten_tensor::prelude::*;
use tch::Tensor;

use crate::error::{Error, Result};
use crate::io::inputs;
use crate::io::panics::caught;

/// `TensorProto.DataType` of f32.
const FLOAT: i32 = 1;
/// `TensorProto.DataLocation` of weights in another file.
const EXTERNAL: i32 = 1;

/// A model of one input and one output, both of f32.
pub(super) struct OnnxModel {
    model: Model,
    input: NodeId,
    output: NodeId,
    threads: Arc<ThreadPool>,
}

impl OnnxModel {
    /// Reads a model of these bytes, and the files beside it that hold its weights. The CRC-32C is continued over these.
    ///
    /// # Errors
    /// [`Error::Format`] naming the file for a damaged model, other inputs or outputs than these, and an operator that rten
    /// does not have; [`Error::Io`] naming a file of weights.
    pub(super) fn read(path: &Path, bytes: Vec<u8>, crc: u32) -> Result<(Self, u32)> {
        let odd = |found: String| Error::format(path, "an ONNX model", found);
        let header = Header::decode(&bytes[..])
            .map_err(|error| odd(format!("a damaged or cut-off one ({error})")))?;
        let graph = header.graph.ok_or_else(|| odd("no graph in it".into()))?;
        let (input, output) = graph.ends(path)?;
        let mut options = ModelOptions::with_all_ops();
        let mut crc = crc;
        for name in graph.external(path)? {
            let data = inputs::bytes(path.with_file_name(name))?;
            crc = crc32c::crc32c_append(crc, &data);
            options.external_data(name, data);
        }
        let model = caught(|| options.load(bytes))
            .map_err(|panic| odd(text(panic)))?
            .map_err(|error| odd(one_line(&error.to_string())))?;
        let id = |name: &str| {
            model
                .find_node(name)
                .ok_or_else(|| odd(format!("no value {name}")))
        };
        let loaded = Self {
            input: id(input)?,
            output: id(output)?,
            threads: Arc::new(ThreadPool::with_num_threads(
                tch::get_num_threads().max(1) as usize
            )),
            model,
        };
        Ok((loaded, crc))
    }

    /// The output for an input of f32, on the CPU.
    ///
    /// # Errors
    /// In words, why the model refuses the input or gives no f32.
    pub(super) fn forward(&self, input: &Tensor) -> Result<Tensor, String> {
        let shape: Vec<usize> = input.size().iter().map(|&size| size as usize).collect();
        self.check_shape(&shape)?;
        let values =
            Vec::<f32>::try_from(input.reshape([-1])).map_err(|error| error.to_string())?;
        let value = Value::from_shape(&shape, values).map_err(|error| error.to_string())?;
        let given = vec![(self.input, value.into())];
        let options = RunOptions::default().with_thread_pool(Some(self.threads.clone()));
        // In a thread of the pool, where the model runs, so that its panics are caught there.
        let run = || caught(|| self.model.run_n(given, [self.output], Some(options)));
        let run = self.threads.run(run).map_err(text)?;
        match run.map_err(|error| one_line(&error.to_string()))? {
            [Value::FloatTensor(output)] => {
                let shape: Vec<i64> = output.shape().iter().map(|&size| size as i64).collect();
                Ok(Tensor::from_slice(&output.to_vec()).view(&shape[..]))
            }
            [other] => Err(format!("an output of {}", other.dtype())),
        }
    }

    /// Holds a shape against the one that the model states.
    fn check_shape(&self, shape: &[usize]) -> Result<(), String> {
        let stated = self
            .model
            .node_info(self.input)
            .and_then(|info| info.shape());
        let Some(stated) = stated else {
            return Ok(());
        };
        let fits = |(stated, &size): (&Dimension, &usize)| match stated {
            Dimension::Fixed(stated) => *stated == size,
            Dimension::Symbolic(_) => true,
        };
        if stated.len() == shape.len() && stated.iter().zip(shape).all(fits) {
            return Ok(());
        }
        let words: Vec<String> = (stated.iter())
            .map(|size| match size {
                Dimension::Fixed(size) => size.to_string(),
                Dimension::Symbolic(name) => name.clone(),
            })
            .collect();
        Err(format!(
            "a model that takes [{}], not {shape:?}",
            words.join(", ")
        ))
    }
}

impl std::fmt::Debug for OnnxModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.model.fmt(f)
    }
}

/// What a panic carries.
fn text(panic: Box<dyn std::any::Any + Send>) -> String {
    let text = (panic.downcast_ref::<String>().cloned())
        .or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
    format!(
        "one at which rten gave up ({})",
        one_line(&text.unwrap_or_default())
    )
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Of an ONNX file (`onnx.proto` of the ONNX specification), what has to be known before it is loaded.
#[derive(Clone, PartialEq, Message)]
struct Header {
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<Weights>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<Named>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<Named>,
}

/// A tensor of weights.
#[derive(Clone, PartialEq, Message)]
struct Weights {
    #[prost(string, tag = "8")]
    name: String,
    #[prost(message, repeated, tag = "13")]
    external_data: Vec<Entry>,
    #[prost(int32, tag = "14")]
    data_location: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// An input or an output.
#[derive(Clone, PartialEq, Message)]
struct Named {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    value: Option<TypeOf>,
}

#[derive(Clone, PartialEq, Message)]
struct TypeOf {
    #[prost(message, optional, tag = "1")]
    tensor: Option<TensorType>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorType {
    #[prost(int32, tag = "1")]
    kind: i32,
}

/// Names of values, and the kinds of those that are not of f32, by their numbers in ONNX.
fn described(values: &[&Named]) -> String {
    let one = |value: &&Named| match value.kind() {
        FLOAT => value.name.clone(),
        kind => format!("{} (of data type {kind})", value.name),
    };
    match values {
        [] => "none".into(),
        _ => values.iter().map(one).collect::<Vec<_>>().join(", "),
    }
}

impl Named {
    fn kind(&self) -> i32 {
        let tensor = self.value.as_ref().and_then(|value| value.tensor.as_ref());
        tensor.map_or(0, |tensor| tensor.kind)
    }
}

impl Graph {
    /// Inputs that are not weights: files of old versions list these too.
    fn inputs(&self) -> Vec<&Named> {
        let weights = |input: &&Named| {
            self.initializer
                .iter()
                .any(|known| known.name == input.name)
        };
        self.input.iter().filter(|input| !weights(input)).collect()
    }

    /// The names of the input and the output.
    ///
    /// # Errors
    /// [`Error::Format`] where there is not one of each, of f32.
    fn ends(&self, path: &Path) -> Result<(&str, &str)> {
        let inputs = self.inputs();
        match (&inputs[..], &self.output[..]) {
            ([input], [output]) if input.kind() == FLOAT && output.kind() == FLOAT => {
                Ok((&input.name, &output.name))
            }
            (_, outputs) => {
                let outputs: Vec<&Named> = outputs.iter().collect();
                let expected = "an ONNX model of one input and one output, both of f32";
                let found = format!(
                    "inputs: {}; outputs: {}",
                    described(&inputs),
                    described(&outputs)
                );
                Err(Error::format(path, expected, found))
            }
        }
    }

    /// Files beside the model that hold weights, each once.
    ///
    /// # Errors
    /// [`Error::Format`] for a file of another folder.
    fn external(&self, path: &Path) -> Result<Vec<&str>> {
        let entries = (self.initializer.iter())
            .filter(|weights| weights.data_location == EXTERNAL)
            .flat_map(|weights| &weights.external_data);
        let mut names: Vec<&str> = (entries.filter(|entry| entry.key == "location"))
            .map(|entry| entry.value.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        for name in &names {
            let parts: Vec<Component> = Path::new(name).components().collect();
            if !matches!(parts[..], [Component::Normal(_)]) {
                let expected = "weights in a file of the same folder";
                return Err(Error::format(path, expected, name.to_string()));
            }
        }
        Ok(names)
    }
}
