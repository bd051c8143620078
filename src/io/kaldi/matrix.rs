//! Matrices: `FM`, `DM`, the compressed forms, and text. Of single precision `FM` is written, of double precision (as
//! Kaldi keeps statistics) `DM`; every form is read as either.

use ndarray::{Array2, s};

use super::compressed::{self, Compression, Format};
use super::mismatch::{Mismatch, header_size};
use super::object::{KaldiObject, kind_of, kind_of_array, reals};
use super::range::Range;
use super::real::Real;
use super::text;
use crate::error::Result;
use crate::io::foreign::{Array, Shape};
use crate::io::input::Input;

/// The header of a binary matrix: the layout of its numbers, and its shape.
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

impl<R: Real> KaldiObject for Array2<R> {
    const KIND: &'static str = R::KIND;
    const COMPRESSES: bool = R::COMPRESSES;

    fn read_binary(input: &mut Input) -> Result<Self> {
        let header = read_header(input)?;
        let (rows, cols) = (header.rows, header.cols);
        let count = rows as u64 * cols as u64;
        let values = match header.layout {
            Layout::Single => R::from_singles(read_singles(input, count)?),
            Layout::Double => R::from_doubles(read_doubles(input, count)?),
            Layout::Compressed(header) => R::from_singles(compressed::read(input, &header)?),
        };
        shaped(input, rows, cols, values)
    }

    fn read_text(input: &mut Input) -> Result<Self> {
        let (cols, values) = text::read_rows(input)?;
        let rows = values.len().checked_div(cols).unwrap_or(0);
        shaped(input, rows, cols, values)
    }

    fn from_array(array: Array) -> Result<Self, Mismatch> {
        let shape = shape_of(array.shape)
            .map_err(|odd| Mismatch::new(odd.expected, kind_of_array(&array)))?;
        Array2::from_shape_vec(shape, reals(array.values)?)
            .map_err(|error| Mismatch::new(format!("{shape:?} values"), error.to_string()))
    }

    fn write_binary(
        &self,
        compression: Option<Compression>,
        out: &mut Vec<u8>,
    ) -> Result<(), Mismatch> {
        check_shape(self)?;
        if let Some(compression) = compression {
            return R::compress(self, compression, out);
        }
        write_header::<R>(self.nrows(), self.ncols(), out)?;
        for value in self {
            value.write_bytes(out);
        }
        Ok(())
    }

    fn write_text(&self, out: &mut Vec<u8>) -> Result<(), Mismatch> {
        check_shape(self)?;
        out.extend_from_slice(TEXT_BEGIN);
        for row in self.rows() {
            write_text_row(row, out);
        }
        out.extend_from_slice(text_end(self.is_empty()));
        Ok(())
    }

    fn crop(self, range: &Range) -> Result<Self, Mismatch> {
        let (rows, cols) = range.of(self.dim())?;
        Ok(self.slice(s![rows, cols]).to_owned())
    }
}

/// Rows and columns of an array of another program.
pub(super) fn shape_of(shape: Shape) -> Result<(usize, usize), Mismatch> {
    match shape {
        // Kaldi has one empty matrix.
        Shape::Matrix(0, _) | Shape::Matrix(_, 0) => Ok((0, 0)),
        Shape::Matrix(rows, cols) => Ok((rows, cols)),
        Shape::Vector(_) => Err(Mismatch::new(EXPECTED, "a vector")),
    }
}

/// Appends a binary matrix up to its numbers.
pub(super) fn write_header<R: Real>(
    rows: usize,
    cols: usize,
    out: &mut Vec<u8>,
) -> Result<(), Mismatch> {
    out.extend_from_slice(R::TOKEN);
    for size in [rows, cols] {
        out.push(4);
        out.extend_from_slice(&header_size(size)?);
    }
    Ok(())
}

/// The beginning of a matrix in text.
pub(super) const TEXT_BEGIN: &[u8] = b" [";

/// Appends a row of a matrix in text.
pub(super) fn write_text_row<'a, R: Real>(row: impl IntoIterator<Item = &'a R>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\n ");
    for &value in row {
        out.push(b' ');
        value.write_text(out);
    }
    out.push(b' ');
}

/// The end of a matrix in text.
pub(super) fn text_end(empty: bool) -> &'static [u8] {
    if empty { b" ]\n" } else { b"]\n" }
}

/// Reads from after `\0B` to the numbers.
pub(super) fn read_header(input: &mut Input) -> Result<Header> {
    let token = input.token(EXPECTED)?;
    read_sizes(&token, input)
}

const EXPECTED: &str = "a matrix";

/// Reads from after the token to the numbers.
pub(super) fn read_sizes(token: &str, input: &mut Input) -> Result<Header> {
    let layout = match token {
        "FM" => Layout::Single,
        "DM" => Layout::Double,
        "CM" => Layout::Compressed(compressed::read_header(input, Format::ColumnHeaders)?),
        "CM2" => Layout::Compressed(compressed::read_header(input, Format::TwoByte)?),
        "CM3" => Layout::Compressed(compressed::read_header(input, Format::OneByte)?),
        other => return Err(input.fault(EXPECTED, kind_of(other))),
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

impl Header {
    /// Bytes of the whole matrix, from `\0B` on.
    pub(super) fn size(&self) -> u64 {
        let (cols, numbers) = (self.cols as u64, self.rows as u64 * self.cols as u64);
        match &self.layout {
            Layout::Single => 15 + 4 * numbers,
            Layout::Double => 15 + 8 * numbers,
            Layout::Compressed(header) => match header.format {
                Format::ColumnHeaders => 21 + 8 * cols + numbers,
                Format::TwoByte => 22 + 2 * numbers,
                Format::OneByte => 22 + numbers,
            },
        }
    }
}

pub(super) fn read_singles(input: &mut Input, count: u64) -> Result<Vec<f32>> {
    let bytes = input.bytes(count * 4, "single precision numbers")?;
    let (numbers, _) = bytes.as_chunks::<4>();
    Ok(numbers.iter().map(|b| f32::from_le_bytes(*b)).collect())
}

pub(super) fn read_doubles(input: &mut Input, count: u64) -> Result<Vec<f64>> {
    let bytes = input.bytes(count.saturating_mul(8), "double precision numbers")?;
    let (numbers, _) = bytes.as_chunks::<8>();
    Ok(numbers.iter().map(|b| f64::from_le_bytes(*b)).collect())
}

fn shaped<T>(input: &Input, rows: usize, cols: usize, values: Vec<T>) -> Result<Array2<T>> {
    let found = values.len();
    Array2::from_shape_vec((rows, cols), values).map_err(|_| {
        input.fault(
            format!("a matrix of {rows} by {cols}"),
            format!("{found} numbers"),
        )
    })
}

/// Kaldi has one empty matrix, 0 by 0.
fn check_shape<T>(matrix: &Array2<T>) -> Result<(), Mismatch> {
    let (rows, cols) = matrix.dim();
    if (rows == 0) == (cols == 0) {
        return Ok(());
    }
    Err(Mismatch::new(
        "rows and columns, or neither",
        format!("{rows} by {cols}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::super::{TableReader, TableWriter};
    use super::*;

    fn round_trip<W: KaldiObject, R: KaldiObject>(value: &W, flags: &str) -> Result<R> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let mut writer = TableWriter::create(&format!("ark{flags}:{}", path.display()))?;
        writer.write("a", value)?;
        writer.finish()?;
        let mut reader = TableReader::open(&format!("ark:{}", path.display()))?;
        reader.next().unwrap().map(|(_, value)| value)
    }

    #[test]
    fn every_bit_comes_back() {
        let value = ndarray::array![[0.1, -1e300, 5e-324], [1.0 / 3.0, 1e17, 0.0]];
        for flags in ["", ",t"] {
            assert_eq!(round_trip::<_, Array2<f64>>(&value, flags).unwrap(), value);
        }
        let empty = Array2::<f64>::zeros((0, 0));
        assert_eq!(round_trip::<_, Array2<f64>>(&empty, "").unwrap(), empty);
    }

    #[test]
    fn single_precision_is_read_as_well() {
        let single = ndarray::array![[0.1f32, 2.0]];
        let read: Array2<f64> = round_trip(&single, "").unwrap();
        assert_eq!(read, single.mapv(f64::from));
        let back: Array2<f32> = round_trip(&read, "").unwrap();
        assert_eq!(back, single);
        assert!(round_trip::<_, Array2<f64>>(&vec![1, 2], "").is_err());
    }
}
