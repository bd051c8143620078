//! Matrices: `FM`, `DM`, the compressed forms, and text.

use ndarray::{Array2, s};

use super::compressed::{self, Compression, Format};
use super::input::Input;
use super::mismatch::{Mismatch, header_size};
use super::object::KaldiObject;
use super::range::Range;
use super::text;
use crate::error::Result;

/// What the header of a binary matrix says: how its numbers lie, and its shape.
pub(super) struct Header {
    pub(super) layout: Layout,
    pub(super) rows: usize,
    pub(super) cols: usize,
}

pub(super) enum Layout {
    Single,
    Double,
    Compressed(compressed::Header),
}

impl KaldiObject for Array2<f32> {
    const KIND: &'static str = "matrix";
    const COMPRESSES: bool = true;

    fn read_binary(input: &mut Input) -> Result<Self> {
        let header = read_header(input)?;
        let (rows, cols) = (header.rows, header.cols);
        let values = match header.layout {
            Layout::Single => read_singles(input, rows as u64 * cols as u64)?,
            Layout::Double => read_doubles(input, rows as u64 * cols as u64)?,
            Layout::Compressed(header) => compressed::read(input, &header)?,
        };
        shaped(input, rows, cols, values)
    }

    fn read_text(input: &mut Input) -> Result<Self> {
        let (cols, values) = text::read_rows(input)?;
        let rows = values.len().checked_div(cols).unwrap_or(0);
        shaped(input, rows, cols, values)
    }

    fn write_binary(
        &self,
        compression: Option<Compression>,
        out: &mut Vec<u8>,
    ) -> Result<(), Mismatch> {
        check_shape(self)?;
        if let Some(compression) = compression {
            return compressed::write(self, compression, out);
        }
        out.extend_from_slice(b"FM ");
        for size in [self.nrows(), self.ncols()] {
            out.push(4);
            out.extend_from_slice(&header_size(size)?);
        }
        for value in self {
            out.extend_from_slice(&value.to_le_bytes());
        }
        Ok(())
    }

    fn write_text(&self, out: &mut Vec<u8>) -> Result<(), Mismatch> {
        check_shape(self)?;
        out.extend_from_slice(b" [");
        for row in self.rows() {
            out.extend_from_slice(b"\n ");
            for &value in row {
                out.push(b' ');
                text::write_number(value, out);
            }
            out.push(b' ');
        }
        out.extend_from_slice(if self.is_empty() { b" ]\n" } else { b"]\n" });
        Ok(())
    }

    fn crop(self, range: &Range) -> Result<Self, Mismatch> {
        let (rows, cols) = range.of(self.dim())?;
        Ok(self.slice(s![rows, cols]).to_owned())
    }
}

/// Reads from behind `\0B` to the numbers.
pub(super) fn read_header(input: &mut Input) -> Result<Header> {
    const EXPECTED: &str = "a matrix (FM, DM, CM, CM2 or CM3)";
    let layout = match input.token(EXPECTED)?.as_str() {
        "FM" => Layout::Single,
        "DM" => Layout::Double,
        "CM" => Layout::Compressed(compressed::read_header(input, Format::ColumnHeaders)?),
        "CM2" => Layout::Compressed(compressed::read_header(input, Format::TwoByte)?),
        "CM3" => Layout::Compressed(compressed::read_header(input, Format::OneByte)?),
        other => return Err(input.fault(EXPECTED, format!("'{other}'"))),
    };
    let (rows, cols) = match &layout {
        Layout::Compressed(header) => (header.rows, header.cols),
        _ => {
            let rows = input.tagged_i32("a number of rows")?;
            let cols = input.tagged_i32("a number of columns")?;
            (
                input.count(rows, "a number of rows from 0")?,
                input.count(cols, "a number of columns from 0")?,
            )
        }
    };
    if (rows == 0) != (cols == 0) {
        let found = format!("{rows} by {cols}");
        return Err(input.fault("rows and columns, or neither", found));
    }
    Ok(Header { layout, rows, cols })
}

pub(super) fn read_singles(input: &mut Input, count: u64) -> Result<Vec<f32>> {
    let bytes = input.bytes(count * 4, "single precision numbers")?;
    let (numbers, _) = bytes.as_chunks::<4>();
    Ok(numbers.iter().map(|b| f32::from_le_bytes(*b)).collect())
}

pub(super) fn read_doubles(input: &mut Input, count: u64) -> Result<Vec<f32>> {
    let bytes = input.bytes(count.saturating_mul(8), "double precision numbers")?;
    let (numbers, _) = bytes.as_chunks::<8>();
    Ok(numbers
        .iter()
        .map(|b| f64::from_le_bytes(*b) as f32)
        .collect())
}

pub(super) fn shaped<T>(
    input: &Input,
    rows: usize,
    cols: usize,
    values: Vec<T>,
) -> Result<Array2<T>> {
    let found = values.len();
    Array2::from_shape_vec((rows, cols), values).map_err(|_| {
        input.fault(
            format!("a matrix of {rows} by {cols}"),
            format!("{found} numbers"),
        )
    })
}

/// Kaldi knows one empty matrix, 0 by 0.
pub(super) fn check_shape<T>(matrix: &Array2<T>) -> Result<(), Mismatch> {
    let (rows, cols) = matrix.dim();
    if (rows == 0) == (cols == 0) {
        return Ok(());
    }
    Err(Mismatch::new(
        "rows and columns, or neither",
        format!("{rows} by {cols}"),
    ))
}
