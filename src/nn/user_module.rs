//! A network that somebody else trained, in a file: a TorchScript module, or an ONNX model.

use std::fmt::{self, Debug, Formatter};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};

use rten::{Model, ModelOptions, NodeId, Value, ValueOrView};
use rten_tensor::TensorView;
use rten_tensor::prelude::*;
use tch::{CModule, Device, Kind, Tensor, no_grad};

use crate::error::{Error, Result};
use crate::io::inputs;
use crate::io::panics::caught;

/// How a zip archive begins, which a TorchScript module is.
const ZIP: &[u8] = b"PK";

/// A program from one f32 tensor to one f32 tensor. Load only files from sources that you trust.
pub(crate) struct UserModule {
    network: Network,
    checksum: u32,
}

enum Network {
    TorchScript(CModule, Device),
    /// Runs on the CPU.
    Onnx(Box<Onnx>),
}

struct Onnx {
    model: Model,
    input: NodeId,
    output: NodeId,
}

impl UserModule {
    /// Reads a file; what begins as a zip archive is a TorchScript module, all else an ONNX model. A large ONNX model has its
    /// weights in `FILE.data` beside it, as PyTorch exports it.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file; [`Error::Format`] for a file of neither format, an ONNX model with an operator that `rten`
    /// lacks, and one without exactly one f32 input and one output.
    pub(crate) fn open(path: &Path, device: Device) -> Result<Self> {
        let bytes = inputs::bytes(path)?;
        let checksum = crc32c::crc32c(&bytes);
        if bytes.starts_with(ZIP) {
            let refused = |error| {
                let found = Error::from(error).to_string();
                Error::format(path, "a TorchScript module (torch.jit.save)", found)
            };
            let module = CModule::load_data_on_device(&mut &bytes[..], device);
            let mut module = module.map_err(refused)?;
            module.f_set_eval().map_err(refused)?;
            return Ok(Self {
                network: Network::TorchScript(module, device),
                checksum,
            });
        }
        let beside = data_of(path);
        let weights = match beside.is_file() {
            true => Some(inputs::bytes(&beside)?),
            false => None,
        };
        let checksum = crc32c::crc32c_append(checksum, weights.as_deref().unwrap_or_default());
        let onnx = Onnx::load(bytes, &beside, weights).map_err(|found| {
            let expected =
                "an ONNX model with one f32 input and one output, or a TorchScript module";
            Error::format(path, expected, found)
        })?;
        Ok(Self {
            network: Network::Onnx(Box::new(onnx)),
            checksum,
        })
    }

    /// CRC-32C of its files.
    pub(crate) fn checksum(&self) -> u32 {
        self.checksum
    }

    /// The output for an f32 tensor, on the CPU.
    ///
    /// # Errors
    /// In words, where the network refuses the input or gives something else.
    pub(crate) fn run(&self, input: &Tensor) -> Result<Tensor, String> {
        let output = match &self.network {
            Network::TorchScript(module, device) => {
                let input = input.to_device(*device);
                no_grad(|| module.forward_ts(&[input]))
                    .map_err(|error| Error::from(error).to_string())?
                    .to_device(Device::Cpu)
            }
            Network::Onnx(onnx) => onnx.run(input)?,
        };
        match output.kind() {
            Kind::Float => Ok(output),
            kind => Err(format!("{:?} of {kind:?}", output.size())),
        }
    }
}

impl Debug for UserModule {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let format = match &self.network {
            Network::TorchScript(..) => "TorchScript",
            Network::Onnx(_) => "ONNX",
        };
        write!(out, "UserModule({format}, {:08x})", self.checksum)
    }
}

/// Where PyTorch puts the weights of an ONNX model.
fn data_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".data");
    name.into()
}

impl Onnx {
    fn load(bytes: Vec<u8>, beside: &Path, weights: Option<Vec<u8>>) -> Result<Self, String> {
        if bytes.is_empty() {
            return Err("an empty file".into());
        }
        let mut options = ModelOptions::with_all_ops();
        if let (Some(weights), Some(name)) = (weights, beside.file_name()) {
            options.external_data(&name.to_string_lossy(), weights);
        }
        let loaded = caught(|| options.load(bytes)).map_err(words)?;
        let model = loaded.map_err(|error| one_line(&error.to_string()))?;
        let (inputs, outputs) = (model.input_ids(), model.output_ids());
        let (&[input], &[output]) = (inputs, outputs) else {
            return Err(format!(
                "{} inputs and {} outputs",
                inputs.len(),
                outputs.len()
            ));
        };
        Ok(Self {
            input,
            output,
            model,
        })
    }

    fn run(&self, input: &Tensor) -> Result<Tensor, String> {
        let shape: Vec<usize> = input.size().iter().map(|&size| size as usize).collect();
        let values = Vec::<f32>::try_from(input.contiguous().view([-1]));
        let values = values.map_err(|error| error.to_string())?;
        let input = TensorView::from_data(&shape, &values[..]);
        let input = ValueOrView::from(input);
        let ran = caught(|| (self.model).run(vec![(self.input, input)], &[self.output], None));
        let mut outputs = ran
            .map_err(words)?
            .map_err(|error| one_line(&error.to_string()))?;
        match outputs.pop() {
            Some(Value::FloatTensor(output)) => {
                let shape: Vec<i64> = output.shape().iter().map(|&size| size as i64).collect();
                Ok(Tensor::from_slice(&output.to_vec()).reshape(shape))
            }
            Some(other) => Err(format!("{:?}", other.dtype())),
            None => Err("no output".into()),
        }
    }
}

/// What a panic says.
fn words(panic: Box<dyn std::any::Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(words) => one_line(&words),
        Err(panic) => match panic.downcast::<&str>() {
            Ok(words) => one_line(&words),
            Err(other) => resume_unwind(other),
        },
    }
}

fn one_line(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}
