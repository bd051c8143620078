//! Reference implementations in Python.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A Python with the packages of `tests/requirements.txt`.
pub fn python() -> PathBuf {
    needed("UNBRAID_PYTHON", "as scripts/references.sh makes it")
}

/// A Python with the packages of `benches/baselines/requirements.txt`, including PyTorch.
pub fn baselines() -> PathBuf {
    needed(
        "UNBRAID_BASELINES",
        "as scripts/references.sh benches/baselines/requirements.txt makes it",
    )
}

/// The folder of real corpora.
pub fn corpora() -> PathBuf {
    needed(
        "UNBRAID_CORPORA",
        "with fsdd, speechocean762, mnist and usps",
    )
}

/// The folder that `make install PREFIX=FOLDER` filled.
pub fn installed() -> PathBuf {
    needed("UNBRAID_INSTALLED", "the PREFIX of make install")
}

/// The package onnxruntime-web.
pub fn onnxruntime_web() -> PathBuf {
    needed(
        "UNBRAID_ONNXRUNTIME_WEB",
        "as scripts/onnxruntime_web.sh makes it",
    )
}

/// What a variable of the environment names. A test that needs it says so in its name, and is ignored unless asked for.
fn needed(variable: &str, what: &str) -> PathBuf {
    let path = std::env::var_os(variable).map(PathBuf::from);
    path.unwrap_or_else(|| panic!("{variable}: expected a path, {what}; found none"))
}

/// Runs a script of `tests/references` in a folder, which has to succeed.
pub fn run_reference(python: &Path, folder: &Path, script: &str, args: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/references")
        .join(script);
    let output = Command::new(python)
        .arg(script)
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {error}");
}
