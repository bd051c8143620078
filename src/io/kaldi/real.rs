//! The number types of matrices: single precision, and double precision for statistics.

use std::str::FromStr;

use ndarray::Array2;

use super::compressed::{self, Compression};
use super::mismatch::Mismatch;
use super::text;

/// `f32` (`FM`), or `f64` (`DM`). Either is read from every form.
pub trait Real: FromStr + Copy + Send + 'static {
    /// The name of a matrix of this type in messages.
    const KIND: &'static str;
    /// The token of its binary form.
    const TOKEN: &'static [u8];
    /// Whether [`Compression`] has a format for it.
    const COMPRESSES: bool;

    /// From single precision.
    fn from_singles(values: Vec<f32>) -> Vec<Self>;

    /// From double precision.
    fn from_doubles(values: Vec<f64>) -> Vec<Self>;

    /// Appends its bytes, the lowest first.
    fn write_bytes(self, out: &mut Vec<u8>);

    /// Appends the shortest text that reads back as the same number.
    fn write_text(self, out: &mut Vec<u8>);

    /// Appends a matrix in the compressed form.
    ///
    /// # Errors
    /// A [`Mismatch`] for numbers that are not finite.
    fn compress(
        matrix: &Array2<Self>,
        compression: Compression,
        out: &mut Vec<u8>,
    ) -> Result<(), Mismatch>;
}

impl Real for f32 {
    const KIND: &'static str = "matrix";
    const TOKEN: &'static [u8] = b"FM ";
    const COMPRESSES: bool = true;

    fn from_singles(values: Vec<f32>) -> Vec<Self> {
        values
    }

    fn from_doubles(values: Vec<f64>) -> Vec<Self> {
        values.into_iter().map(|value| value as f32).collect()
    }

    fn write_bytes(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn write_text(self, out: &mut Vec<u8>) {
        text::write_number(self, 1e7, out);
    }

    fn compress(
        matrix: &Array2<Self>,
        compression: Compression,
        out: &mut Vec<u8>,
    ) -> Result<(), Mismatch> {
        compressed::write(matrix, compression, out)
    }
}

impl Real for f64 {
    const KIND: &'static str = "double precision matrix";
    const TOKEN: &'static [u8] = b"DM ";
    const COMPRESSES: bool = false;

    fn from_singles(values: Vec<f32>) -> Vec<Self> {
        values.into_iter().map(f64::from).collect()
    }

    fn from_doubles(values: Vec<f64>) -> Vec<Self> {
        values
    }

    fn write_bytes(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn write_text(self, out: &mut Vec<u8>) {
        text::write_number(self, 1e15, out);
    }

    fn compress(_: &Array2<Self>, _: Compression, _: &mut Vec<u8>) -> Result<(), Mismatch> {
        Err(Mismatch::new(
            "single precision, which has a compressed form",
            "double precision",
        ))
    }
}
