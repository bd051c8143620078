//! Reference implementations in Python.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A Python with the packages of `tests/requirements.txt`; none, with a line that names the test, where there is none.
pub fn python(test: &str) -> Option<PathBuf> {
    let python = std::env::var_os("UNBRAID_PYTHON").map(PathBuf::from);
    if python.is_none() {
        eprintln!("skipped: {test}: UNBRAID_PYTHON is not set");
    }
    python
}

/// A Python with the packages of `benches/baselines/requirements.txt`, including PyTorch; none, with a line that names the
/// test, where there is none.
pub fn baselines(test: &str) -> Option<PathBuf> {
    // The second is the variable's name in earlier versions.
    let python = ["UNBRAID_BASELINES", "UNBRAID_PEERS"].map(std::env::var_os);
    let python = python.into_iter().flatten().next().map(PathBuf::from);
    if python.is_none() {
        eprintln!("skipped: {test}: UNBRAID_BASELINES is not set");
    }
    python
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
