//! The device of tensors. One binary serves CPU and GPU: libtorch's CUDA library is loaded at run time, from the folder
//! of the libtorch in use, and registers itself with the loaded libtorch.

use std::ffi::CString;
use std::fmt::{self, Display};
use std::path::PathBuf;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tch::Device;

use crate::error::{Error, Result};

/// The libtorch version that the crate is built with; torch-sys accepts no other.
pub const LIBTORCH: &str = "2.11.0";

/// Device to compute on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// A GPU where there is one, else the CPU.
    #[default]
    Auto,
    /// The CPU. Runs are reproducible bit for bit.
    Cpu,
    /// An NVIDIA GPU: the first one, or of several ranks on a machine one for each. `cuda:1` names the second one. An error
    /// names what is missing if there is none.
    Cuda,
    /// The NVIDIA GPU of this number, from 0.
    #[schemars(skip)]
    CudaNumber(usize),
}

impl Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda => f.write_str("cuda"),
            Self::CudaNumber(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let number = |text: &str| text.strip_prefix("cuda:")?.parse().ok();
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda),
            _ => number(text).map(Self::CudaNumber).ok_or_else(|| {
                format!("unknown device `{text}`, expected `auto`, `cpu`, `cuda` or, for the second GPU, `cuda:1`")
            }),
        }
    }
}

impl Serialize for DeviceChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DeviceChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl DeviceChoice {
    /// Finds the device.
    ///
    /// # Errors
    /// [`Error::Option`] for a GPU when libtorch's CUDA library or the GPU is missing.
    pub fn resolve(self) -> Result<Device> {
        self.resolve_for((0, 1))
    }

    /// As [`DeviceChoice::resolve`], for process number `local` of `here` on this machine that work together: each has the GPU
    /// of its number, if none is named.
    ///
    /// # Errors
    /// As [`DeviceChoice::resolve`].
    pub fn resolve_for(self, (local, here): (usize, usize)) -> Result<Device> {
        let number = match self {
            DeviceChoice::Cpu => return Ok(Device::Cpu),
            DeviceChoice::Auto if gpus().is_err() => return Ok(Device::Cpu),
            DeviceChoice::Auto | DeviceChoice::Cuda => local,
            DeviceChoice::CudaNumber(number) => number,
        };
        let refusal = |expected: &str, found: String| {
            Error::option(format!("--device {self}"), expected, found)
        };
        match gpus() {
            Ok(count) if number < count => Ok(Device::Cuda(number)),
            Ok(count) if here > 1 && !matches!(self, Self::CudaNumber(_)) => {
                let expected = format!("{here} NVIDIA GPUs, one for each rank of this machine");
                Err(refusal(&expected, count.to_string()))
            }
            Ok(count) => {
                let expected = format!("a number below {count}, the NVIDIA GPUs of this machine");
                Err(refusal(&expected, number.to_string()))
            }
            Err(why) => Err(refusal("a usable NVIDIA GPU", why)),
        }
    }
}

/// Number of GPUs, at least one, or the reason why there is none.
fn gpus() -> std::result::Result<usize, String> {
    load_cuda()?;
    if tch::Cuda::is_available() {
        Ok(usize::try_from(tch::Cuda::device_count()).unwrap_or(0))
    } else {
        Err("no NVIDIA driver or GPU on this machine".into())
    }
}

/// Loads `libtorch_cuda.so` from the folder of the loaded `libtorch_cpu.so`, once per process.
fn load_cuda() -> std::result::Result<(), String> {
    static LOADED: std::sync::OnceLock<std::result::Result<(), String>> =
        std::sync::OnceLock::new();
    LOADED
        .get_or_init(|| {
            let library = torch_folder()
                .ok_or("no libtorch_cpu.so in this process")?
                .join("libtorch_cuda.so");
            if !library.exists() {
                return Err(format!(
                    "no {}: point LD_LIBRARY_PATH at the lib folder of a PyTorch {LIBTORCH} with CUDA",
                    library.display()
                ));
            }
            open_global(library)
        })
        .clone()
}

/// The folder that the running process has loaded libtorch from.
fn torch_folder() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let path = maps
        .lines()
        .filter_map(|line| line.find('/').map(|start| &line[start..]))
        .find(|path| path.ends_with("/libtorch_cpu.so"))?;
    Some(PathBuf::from(path).parent()?.to_path_buf())
}

fn open_global(library: PathBuf) -> std::result::Result<(), String> {
    let name = CString::new(library.as_os_str().as_encoded_bytes())
        .map_err(|_| "a path with a NUL byte")?;
    // SAFETY: `name` is a NUL-terminated string; libtorch_cuda's initialisers only register its kernels.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    if !handle.is_null() {
        return Ok(());
    }
    // SAFETY: dlerror returns NULL or a string that stays valid until this thread's next dl call.
    let reason = unsafe {
        let text = libc::dlerror();
        if text.is_null() {
            "unknown reason".into()
        } else {
            std::ffi::CStr::from_ptr(text)
                .to_string_lossy()
                .into_owned()
        }
    };
    Err(format!(
        "a {} that does not load ({reason})",
        library.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loaded_libtorch_is_found() {
        let _touch = tch::Tensor::from_slice(&[0f32]);
        assert!(torch_folder().unwrap().join("libtorch_cpu.so").exists());
    }

    #[test]
    fn a_library_that_does_not_load_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("libtorch_cuda.so");
        std::fs::write(&library, "no library").unwrap();
        let why = open_global(library.clone()).unwrap_err();
        let message = format!("a {} that does not load (", library.display());
        assert!(why.starts_with(&message), "{why}");
    }

    #[test]
    fn a_device_is_read_as_it_is_written() {
        for (text, device) in [
            ("auto", DeviceChoice::Auto),
            ("cpu", DeviceChoice::Cpu),
            ("cuda", DeviceChoice::Cuda),
            ("cuda:0", DeviceChoice::CudaNumber(0)),
            ("cuda:12", DeviceChoice::CudaNumber(12)),
        ] {
            assert_eq!(text.parse(), Ok(device));
            assert_eq!(device.to_string(), text);
        }
        for text in ["", "gpu", "cuda:", "cuda:-1", "cuda:1x", "Cpu"] {
            let error = text.parse::<DeviceChoice>().unwrap_err();
            assert!(
                error.starts_with(&format!("unknown device `{text}`")),
                "{error}"
            );
        }
    }

    #[test]
    fn an_error_for_cuda_names_what_is_missing() {
        if let Err(error) = DeviceChoice::CudaNumber(99).resolve() {
            assert!(error.to_string().starts_with("--device cuda:99: expected"));
        }
        if let Err(error) = DeviceChoice::Cuda.resolve() {
            assert!(error.to_string().starts_with("--device cuda: expected"));
        }
        assert!(DeviceChoice::Auto.resolve().is_ok());
    }
}
