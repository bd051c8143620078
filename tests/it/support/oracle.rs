//! References in Python.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A Python with the packages of `tests/requirements.txt`, or a line that says which test is skipped.
pub fn python(test: &str) -> Option<PathBuf> {
    let python = std::env::var_os("UNBRAID_PYTHON").map(PathBuf::from);
    if python.is_none() {
        eprintln!("skipped: {test}: UNBRAID_PYTHON is not set");
    }
    python
}

/// A Python with the packages of `benches/peers/requirements.txt`, PyTorch among them, or a line that says which test is
/// skipped.
pub fn peers(test: &str) -> Option<PathBuf> {
    let python = std::env::var_os("UNBRAID_PEERS").map(PathBuf::from);
    if python.is_none() {
        eprintln!("skipped: {test}: UNBRAID_PEERS is not set");
    }
    python
}

/// Runs a script of `tests/oracles` in a folder; it has to succeed.
pub fn oracle(python: &Path, folder: &Path, script: &str, args: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/oracles")
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
