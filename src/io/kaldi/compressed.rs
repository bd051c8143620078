//! Compressed matrices: one or two bytes per number. Arithmetic follows Kaldi's `compressed-matrix.cc` step by
//! step, in the same precision, so that what is written and what is read back equal Kaldi's bit for bit.

use ndarray::{Array2, ArrayView1};

use super::mismatch::{Mismatch, header_size};
use crate::error::Result;
use crate::io::input::Input;

/// The format of compressed matrices. All are lossy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// [`Compression::ColumnHeaders`] above 8 rows, else [`Compression::TwoByte`].
    Auto,
    /// `CM`: one byte per number, stretched between each column's quartiles. For features.
    ColumnHeaders,
    /// `CM2`: two bytes per number between the matrix's least and greatest.
    TwoByte,
    /// `CM3`: one byte per number between the matrix's least and greatest.
    OneByte,
}

/// The layout of compressed numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    ColumnHeaders,
    TwoByte,
    OneByte,
}

/// The fields after the token: least number, range, shape.
pub(super) struct Header {
    pub(super) format: Format,
    min: f32,
    range: f32,
    pub(super) rows: usize,
    pub(super) cols: usize,
}

pub(super) fn read_header(input: &mut Input, format: Format) -> Result<Header> {
    let min = f32::from_le_bytes(input.array("a least number")?);
    let range = f32::from_le_bytes(input.array("a range")?);
    let rows = i32::from_le_bytes(input.array("a number of rows")?);
    let cols = i32::from_le_bytes(input.array("a number of columns")?);
    Ok(Header {
        format,
        min,
        range,
        rows: input.count(rows, "a number of rows from 0")?,
        cols: input.count(cols, "a number of columns from 0")?,
    })
}

/// Reads the numbers, row by row.
pub(super) fn read(input: &mut Input, header: &Header) -> Result<Vec<f32>> {
    let count = header.rows as u64 * header.cols as u64;
    const EXPECTED: &str = "compressed numbers";
    match header.format {
        Format::ColumnHeaders => read_columns(input, header),
        Format::TwoByte => {
            let bytes = input.bytes(count * 2, EXPECTED)?;
            let step = (f64::from(header.range) * (1.0 / 65535.0)) as f32;
            let (numbers, _) = bytes.as_chunks::<2>();
            Ok(numbers
                .iter()
                .map(|b| header.min + f32::from(u16::from_le_bytes(*b)) * step)
                .collect())
        }
        Format::OneByte => {
            let bytes = input.bytes(count, EXPECTED)?;
            let step = (f64::from(header.range) * (1.0 / 255.0)) as f32;
            Ok(bytes
                .iter()
                .map(|&b| header.min + f32::from(b) * step)
                .collect())
        }
    }
}

fn read_columns(input: &mut Input, header: &Header) -> Result<Vec<f32>> {
    let (rows, cols) = (header.rows, header.cols);
    let heads = input.bytes(cols as u64 * 8, "column headers")?;
    let bytes = input.bytes(rows as u64 * cols as u64, "compressed numbers")?;
    let mut values = vec![0.0; bytes.len()];
    let (heads, _) = heads.as_chunks::<8>();
    for (col, (head, column)) in heads
        .iter()
        .zip(bytes.chunks_exact(rows.max(1)))
        .enumerate()
    {
        let quartiles = Quartiles::decode(head, header);
        for (row, &byte) in column.iter().enumerate() {
            values[row * cols + col] = quartiles.expand(byte);
        }
    }
    Ok(values)
}

/// Appends a matrix in the format of `compression`.
pub(super) fn write(
    matrix: &Array2<f32>,
    compression: Compression,
    out: &mut Vec<u8>,
) -> Result<(), Mismatch> {
    let format = match compression {
        Compression::Auto if matrix.nrows() > 8 => Format::ColumnHeaders,
        Compression::Auto | Compression::TwoByte => Format::TwoByte,
        Compression::ColumnHeaders => Format::ColumnHeaders,
        Compression::OneByte => Format::OneByte,
    };
    // Kaldi writes every empty matrix as CM.
    if matrix.is_empty() {
        out.extend_from_slice(b"CM ");
        out.extend_from_slice(&[0; 16]);
        return Ok(());
    }
    let header = Header::of(matrix, format)?;
    header.write(out)?;
    match format {
        Format::ColumnHeaders => write_columns(matrix, &header, out),
        Format::TwoByte => matrix
            .iter()
            .for_each(|&v| out.extend_from_slice(&header.to_u16(v).to_le_bytes())),
        Format::OneByte => matrix.iter().for_each(|&v| out.push(header.to_u8(v))),
    }
    Ok(())
}

fn write_columns(matrix: &Array2<f32>, header: &Header, out: &mut Vec<u8>) {
    let ranks: Vec<[u16; 4]> = matrix
        .columns()
        .into_iter()
        .map(|c| header.ranks(c))
        .collect();
    for rank in ranks.iter().flatten() {
        out.extend_from_slice(&rank.to_le_bytes());
    }
    for (column, ranks) in matrix.columns().into_iter().zip(ranks) {
        let quartiles = Quartiles::of(ranks, header);
        out.extend(column.iter().map(|&v| quartiles.shrink(v)));
    }
}

impl Header {
    fn of(matrix: &Array2<f32>, format: Format) -> Result<Self, Mismatch> {
        if let Some(odd) = matrix.iter().find(|v| !v.is_finite()) {
            return Err(Mismatch::new("finite numbers to compress", odd.to_string()));
        }
        let min = matrix.iter().copied().fold(f32::INFINITY, f32::min);
        let mut max = matrix.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if max == min {
            max = (f64::from(min) + (1.0 + f64::from(min.abs()))) as f32;
        }
        let range = max - min;
        if !range.is_finite() {
            return Err(Mismatch::new(
                "numbers whose range is finite in single precision",
                format!("{min} to {max}"),
            ));
        }
        let (rows, cols) = matrix.dim();
        Ok(Self {
            format,
            min,
            range,
            rows,
            cols,
        })
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), Mismatch> {
        out.extend_from_slice(match self.format {
            Format::ColumnHeaders => b"CM ",
            Format::TwoByte => b"CM2 ",
            Format::OneByte => b"CM3 ",
        });
        out.extend_from_slice(&self.min.to_le_bytes());
        out.extend_from_slice(&self.range.to_le_bytes());
        out.extend_from_slice(&header_size(self.rows)?);
        out.extend_from_slice(&header_size(self.cols)?);
        Ok(())
    }

    fn share(&self, value: f32) -> f32 {
        ((value - self.min) / self.range).clamp(0.0, 1.0)
    }

    // 0.499 and not 0.5, as in Kaldi: 1.0 must not round up and over.
    fn to_u16(&self, value: f32) -> u16 {
        (f64::from(self.share(value) * 65535.0) + 0.499) as u16
    }

    fn to_u8(&self, value: f32) -> u8 {
        (f64::from(self.share(value) * 255.0) + 0.499) as u8
    }

    /// Least, quarter, three quarters and greatest of a column, each above the one before.
    fn ranks(&self, column: ArrayView1<f32>) -> [u16; 4] {
        let mut sorted = column.to_vec();
        sorted.sort_unstable_by(f32::total_cmp);
        let n = sorted.len();
        let at = match n {
            5.. => [0, n / 4, 3 * (n / 4), n - 1],
            _ => [0, 1, 2, 3],
        };
        let rank = |i: usize| sorted.get(at[i]).map_or(0, |&v| self.to_u16(v));
        let p0 = rank(0).min(65532);
        let p25 = rank(1).max(p0 + 1).min(65533);
        let p75 = rank(2).max(p25 + 1).min(65534);
        let p100 = rank(3).max(p75 + 1);
        [p0, p25, p75, p100]
    }
}

/// A column's least, quarter, three quarters and greatest.
struct Quartiles {
    p0: f32,
    p25: f32,
    p75: f32,
    p100: f32,
}

impl Quartiles {
    fn of(ranks: [u16; 4], header: &Header) -> Self {
        // Kaldi's constant is 1/65535 in single precision.
        let [p0, p25, p75, p100] =
            ranks.map(|rank| header.min + header.range * 1.525_902_2e-5_f32 * f32::from(rank));
        Self { p0, p25, p75, p100 }
    }

    fn decode(head: &[u8; 8], header: &Header) -> Self {
        let (ranks, _) = head.as_chunks::<2>();
        let mut decoded = [0; 4];
        for (rank, bytes) in decoded.iter_mut().zip(ranks) {
            *rank = u16::from_le_bytes(*bytes);
        }
        Self::of(decoded, header)
    }

    fn expand(&self, byte: u8) -> f32 {
        let (from, to, steps, of) = match byte {
            0..=64 => (self.p0, self.p25, byte, 64.0),
            65..=192 => (self.p25, self.p75, byte - 64, 128.0),
            _ => (self.p75, self.p100, byte - 192, 63.0),
        };
        let climb = (to - from) * f32::from(steps);
        (f64::from(from) + f64::from(climb) * (1.0 / of)) as f32
    }

    fn shrink(&self, value: f32) -> u8 {
        let (from, to, base, of) = if value < self.p25 {
            (self.p0, self.p25, 0, 64.0)
        } else if value < self.p75 {
            (self.p25, self.p75, 64, 128.0)
        } else {
            (self.p75, self.p100, 192, 63.0)
        };
        let share = (value - from) / (to - from);
        let steps = (f64::from(share * of) + 0.5) as i32;
        // Only in a column of nearly equal numbers does a step lie outside; 63 + 192 is 255.
        base + steps.clamp(0, of as i32) as u8
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::super::object::KaldiObject;
    use super::*;

    fn written(matrix: &Array2<f32>, compression: Compression) -> Result<Vec<u8>, Mismatch> {
        let mut out = Vec::new();
        matrix.write_binary(Some(compression), &mut out)?;
        Ok(out)
    }

    #[test]
    fn what_is_not_finite_is_refused() {
        for odd in [f32::NAN, f32::INFINITY] {
            let refused = written(&array![[1.0, odd]], Compression::Auto).unwrap_err();
            assert_eq!(refused.expected, "finite numbers to compress");
        }
        assert!(written(&array![[f32::MIN, f32::MAX]], Compression::TwoByte).is_err());
    }

    #[test]
    fn the_automatic_choice_goes_by_rows() {
        let token = |rows: usize| written(&Array2::zeros((rows, rows)), Compression::Auto).unwrap();
        assert!(token(8).starts_with(b"CM2 "));
        assert!(token(9).starts_with(b"CM "));
        assert!(token(0).starts_with(b"CM "));
    }

    #[test]
    fn each_form_is_as_near_as_its_bytes_allow() {
        let matrix = Array2::from_shape_fn((40, 3), |(r, c)| (r * r) as f32 * 0.01 - c as f32);
        for (compression, tolerance) in [
            (Compression::ColumnHeaders, 0.1),
            (Compression::TwoByte, 2e-4),
            (Compression::OneByte, 0.04),
        ] {
            let bytes = written(&matrix, compression).unwrap();
            let mut reader = &bytes[..];
            let mut input = Input::new(&mut reader, "x".as_ref(), "k");
            let read = Array2::<f32>::read_binary(&mut input).unwrap();
            let worst = (&read - &matrix).fold(0f32, |a, v| a.max(v.abs()));
            assert!(worst < tolerance, "{compression:?} {worst}");
        }
    }
}
