//! What the tests that run the binary share.
pub mod browser;
pub mod corpus;
pub mod killed;
pub mod references;
pub mod speech;
pub mod training;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

pub use references::run_reference;

/// Runs `unbraid` in a folder.
pub fn unbraid(folder: &Path, args: &[&str]) -> Output {
    unbraid_with(folder, args, b"")
}

/// Runs `unbraid` in a folder, with something on its standard input. Tests run side by side, and threads of
/// libtorch that wait for each other on cores that are taken cost minutes: each run gets one.
pub fn unbraid_with(folder: &Path, args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_unbraid"))
        .env("OMP_NUM_THREADS", "1")
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A child that refuses its arguments closes its input unread.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// Runs `unbraid`, which has to succeed.
pub fn succeed(folder: &Path, args: &[&str]) -> Vec<u8> {
    let output = unbraid(folder, args);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {error}");
    output.stdout
}

/// Runs `unbraid`, which has to refuse with one line; the line.
pub fn fail(folder: &Path, args: &[&str], input: &[u8]) -> String {
    let output = unbraid_with(folder, args, input);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{args:?}: {error}");
    assert_eq!(error.lines().count(), 1, "{args:?}: {error}");
    error.trim_end().to_string()
}

/// The project's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Writes a file and its folders.
pub fn put(path: &Path, content: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// The names in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A matrix of so many rows as `numpy.save` writes it.
pub fn npy(rows: usize, values: &[f32]) -> Vec<u8> {
    let columns = values.len() / rows;
    let header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    bytes.extend_from_slice(format!("{header:<117}\n").as_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}
