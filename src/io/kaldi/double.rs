//! Matrices in double precision, as Kaldi keeps statistics: `DM` is written, every other form is read too.

use ndarray::{Array2, s};

use super::compressed::{self, Compression};
use super::input::Input;
use super::matrix::{Layout, check_shape, read_header, read_singles, shaped};
use super::mismatch::{Mismatch, header_size};
use super::object::KaldiObject;
use super::range::Range;
use super::text;
use crate::error::Result;

impl KaldiObject for Array2<f64> {
    const KIND: &'static str = "double precision matrix";

    fn read_binary(input: &mut Input) -> Result<Self> {
        let header = read_header(input)?;
        let (rows, cols) = (header.rows, header.cols);
        let count = rows as u64 * cols as u64;
        let values = match header.layout {
            Layout::Double => read_doubles(input, count)?,
            Layout::Single => widened(read_singles(input, count)?),
            Layout::Compressed(header) => widened(compressed::read(input, &header)?),
        };
        shaped(input, rows, cols, values)
    }

    fn read_text(input: &mut Input) -> Result<Self> {
        let (cols, values) = text::read_rows(input)?;
        let rows = values.len().checked_div(cols).unwrap_or(0);
        shaped(input, rows, cols, values)
    }

    fn write_binary(&self, _: Option<Compression>, out: &mut Vec<u8>) -> Result<(), Mismatch> {
        check_shape(self)?;
        out.extend_from_slice(b"DM ");
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
            for value in row {
                // The shortest form that reads back as the same number.
                let size = value.abs();
                let text = match size == 0.0 || (1e-5..1e15).contains(&size) {
                    true => format!(" {value}"),
                    false => format!(" {value:e}"),
                };
                out.extend_from_slice(text.as_bytes());
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

fn read_doubles(input: &mut Input, count: u64) -> Result<Vec<f64>> {
    let bytes = input.bytes(count.saturating_mul(8), "double precision numbers")?;
    let (numbers, _) = bytes.as_chunks::<8>();
    Ok(numbers.iter().map(|b| f64::from_le_bytes(*b)).collect())
}

fn widened(values: Vec<f32>) -> Vec<f64> {
    values.into_iter().map(f64::from).collect()
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
