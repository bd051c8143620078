//! A network of the user's own, from one tensor to another: a TorchScript module or an ONNX model, whichever its file
//! holds. A TorchScript module is a program: load only those that you trust.

mod onnx;

use std::path::{Path, PathBuf};

use tch::{CModule, Device, Tensor, no_grad};

use self::onnx::OnnxModel;
use crate::error::{Error, Result};
use crate::io::inputs;

/// The first bytes of a zip archive, as `torch.jit.save` writes it.
const ZIP: &[u8] = b"PK";
/// The first byte of an ONNX model: the tag of its field 1, `ir_version`.
const IR_VERSION: &[u8] = &[0x08];

/// A network of the user's own.
#[derive(Debug)]
pub(crate) struct OutsideModule {
    path: PathBuf,
    checksum: String,
    network: Network,
}

/// What runs it.
#[derive(Debug)]
enum Network {
    TorchScript(CModule, Device),
    Onnx(Box<OnnxModel>),
}

impl OutsideModule {
    /// Reads a file. A TorchScript module computes on `device`, an ONNX model on the CPU.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file; [`Error::Format`] for one that is neither, is damaged, or cannot be run.
    pub(crate) fn open(path: &Path, device: Device) -> Result<Self> {
        let bytes = inputs::bytes(path)?;
        let own = crc32c::crc32c(&bytes);
        let (network, crc) = if bytes.starts_with(ZIP) {
            (torch_script(path, &bytes, device)?, own)
        } else if bytes.starts_with(IR_VERSION) {
            let (model, crc) = OnnxModel::read(path, bytes, own)?;
            (Network::Onnx(Box::new(model)), crc)
        } else {
            let expected = "a TorchScript module (torch.jit.save) or an ONNX model";
            return Err(Error::format(path, expected, beginning(&bytes)));
        };
        Ok(Self {
            path: path.to_path_buf(),
            checksum: format!("{crc:08x}"),
            network,
        })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// CRC-32C of the file and of those with its weights, in hexadecimal.
    pub(crate) fn checksum(&self) -> &str {
        &self.checksum
    }

    /// The output for an input of f32, on the CPU, of any shape and kind.
    ///
    /// # Errors
    /// In words, why the network refuses the input.
    pub(crate) fn forward(&self, input: &Tensor) -> Result<Tensor, String> {
        match &self.network {
            Network::TorchScript(module, device) => {
                let output = no_grad(|| module.forward_ts(&[input.to_device(*device)]));
                let output = output.map_err(|error| Error::from(error).to_string())?;
                Ok(output.to_device(Device::Cpu))
            }
            Network::Onnx(model) => model.forward(input),
        }
    }
}

fn torch_script(path: &Path, bytes: &[u8], device: Device) -> Result<Network> {
    let module = CModule::load_data_on_device(&mut &bytes[..], device);
    let mut module = module.map_err(|error| {
        let found = Error::from(error).to_string();
        Error::format(path, "a TorchScript module (torch.jit.save)", found)
    })?;
    module.f_set_eval()?;
    Ok(Network::TorchScript(module, device))
}

/// The first bytes of a file that is neither.
fn beginning(bytes: &[u8]) -> String {
    match bytes {
        [] => "an empty file".into(),
        _ => {
            let first = bytes[..bytes.len().min(8)].escape_ascii();
            format!("a file that begins with \"{first}\"")
        }
    }
}
