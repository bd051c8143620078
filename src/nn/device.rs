//! The device of tensors. One binary serves CPU and GPU: libtorch's CUDA library is loaded at run time, from the folder
//! of the libtorch in use, and registers itself with the loaded libtorch.

use std::ffi::CString;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Device;

use crate::error::{Error, Result};

/// The libtorch version that the crate is built with; torch-sys accepts no other.
pub const LIBTORCH: &str = "2.11.0";

/// Device to compute on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// A GPU where there is one, else the CPU.
    #[default]
    Auto,
    /// The CPU. Runs are reproducible bit for bit.
    Cpu,
    /// The first NVIDIA GPU. An error names what is missing if there is none.
    Cuda,
}

impl DeviceChoice {
    /// Finds the device.
    ///
    /// # Errors
    /// [`Error::Option`] for [`DeviceChoice::Cuda`] when libtorch's CUDA library or a GPU is missing.
    pub fn resolve(self) -> Result<Device> {
        match self {
            DeviceChoice::Cpu => Ok(Device::Cpu),
            DeviceChoice::Auto => Ok(cuda().unwrap_or(Device::Cpu)),
            DeviceChoice::Cuda => {
                cuda().map_err(|why| Error::option("--device cuda", "a usable NVIDIA GPU", why))
            }
        }
    }
}

/// The first GPU, or the reason why there is none.
fn cuda() -> std::result::Result<Device, String> {
    load_cuda()?;
    if tch::Cuda::is_available() {
        Ok(Device::Cuda(0))
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
    fn an_error_for_cuda_names_what_is_missing() {
        if let Err(error) = DeviceChoice::Cuda.resolve() {
            assert!(error.to_string().starts_with("--device cuda: expected"));
        }
        assert!(DeviceChoice::Auto.resolve().is_ok());
    }
}
