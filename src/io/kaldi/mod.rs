//! Kaldi's archives: matrices, vectors and integer vectors under keys, in `ark` files with `scp` indices.
//!
//! Going in, a [`TableReader`] walks any read specifier (`ark:-`, `scp:feats.scp`) and a [`ScpTable`] looks
//! keys up in an `scp` file; going out, a [`TableWriter`] serves any write specifier (`ark,scp:a.ark,a.scp`).
//! What stands under a key is a [`KaldiObject`]: `Array2<f32>`, `Array1<f32>` or `Vec<i32>`. Doubles are read
//! and rounded to single precision, and single precision is written; `Array2<f64>`, for statistics, keeps them.
//!
//! Source: Kaldi, `util/kaldi-table.h`, `util/kaldi-io.h`, `matrix/kaldi-matrix.cc`,
//! `matrix/compressed-matrix.cc`.

mod compressed;
mod files;
mod location;
mod matrix;
mod mismatch;
mod object;
mod range;
mod reader;
mod real;
mod rows;
mod scp;
mod sink;
mod specifier;
mod text;
mod vector;
mod writer;

pub use crate::io::input::Input;
pub use compressed::Compression;
pub use location::file_of;
pub use mismatch::Mismatch;
pub use object::KaldiObject;
pub use range::Range;
pub use reader::{ReadOptions, TableReader, read_bare};
pub use rows::{RowShelf, RowSpool};
pub use scp::ScpTable;
pub use specifier::{ReadFlags, ReadFrom, ReadSpecifier, WriteFlags, WriteSpecifier, WriteTo};
pub use writer::{TableWriter, WriteOptions};
