//! Vectors (`FV`, `DV`, text) and integer vectors.

use ndarray::{Array1, s};

use super::compressed::Compression;
use super::matrix::{read_doubles, read_singles};
use super::mismatch::{Mismatch, header_size};
use super::object::{KaldiObject, kind_of, kind_of_array, reals};
use super::range::Range;
use super::real::Real;
use super::text;
use crate::error::Result;
use crate::io::foreign::{Array, Shape, Values};
use crate::io::input::Input;

const EXPECTED: &str = "a vector (extract --pool utterance writes one per utterance)";

impl KaldiObject for Array1<f32> {
    const KIND: &'static str = "vector";

    fn read_binary(input: &mut Input) -> Result<Self> {
        let token = input.token(EXPECTED)?;
        if token != "FV" && token != "DV" {
            return Err(input.fault(EXPECTED, kind_of(&token)));
        }
        let size = input.tagged_i32("a dimension")?;
        let size = input.count(size, "a dimension from 0")? as u64;
        let values = match token.as_str() {
            "FV" => read_singles(input, size)?,
            _ => f32::from_doubles(read_doubles(input, size)?),
        };
        Ok(Array1::from_vec(values))
    }

    fn read_text(input: &mut Input) -> Result<Self> {
        text::read_row(input).map(Array1::from_vec)
    }

    /// A matrix of one row is a vector too.
    fn from_array(array: Array) -> Result<Self, Mismatch> {
        let vector = match array.shape {
            Shape::Vector(_) => !matches!(array.values, Values::Integer(_)),
            Shape::Matrix(rows, _) => rows == 1,
        };
        match vector {
            true => reals(array.values).map(Array1::from_vec),
            false => Err(Mismatch::new(EXPECTED, kind_of_array(&array))),
        }
    }

    fn write_binary(&self, _: Option<Compression>, out: &mut Vec<u8>) -> Result<(), Mismatch> {
        out.extend_from_slice(b"FV \x04");
        out.extend_from_slice(&header_size(self.len())?);
        for value in self {
            out.extend_from_slice(&value.to_le_bytes());
        }
        Ok(())
    }

    fn write_text(&self, out: &mut Vec<u8>) -> Result<(), Mismatch> {
        out.extend_from_slice(b" [");
        for &value in self {
            out.push(b' ');
            Real::write_text(value, out);
        }
        out.extend_from_slice(b" ]\n");
        Ok(())
    }

    fn crop(self, range: &Range) -> Result<Self, Mismatch> {
        let rows = range.of_vector(self.len())?;
        Ok(self.slice(s![rows]).to_owned())
    }
}

impl KaldiObject for Vec<i32> {
    const KIND: &'static str = "integer vector";

    fn from_array(array: Array) -> Result<Self, Mismatch> {
        let (Shape::Vector(_), Values::Integer(values)) = (array.shape, &array.values) else {
            return Err(Mismatch::new("an integer vector", kind_of_array(&array)));
        };
        let whole = |value: &i64| {
            i32::try_from(*value)
                .map_err(|_| Mismatch::new("integers of 32 bits", value.to_string()))
        };
        values.iter().map(whole).collect()
    }

    fn read_binary(input: &mut Input) -> Result<Self> {
        // A letter begins the type of a matrix or of a vector of reals.
        if input.peek()?.is_some_and(|byte| byte.is_ascii_alphabetic()) {
            let found = input.token("a type")?;
            return Err(input.fault("an integer vector", kind_of(&found)));
        }
        let size = input.tagged_i32("the length of an integer vector")?;
        let size = input.count(size, "a length from 0")?;
        let bytes = input.bytes(size as u64 * 5, "integers")?;
        let (elements, _) = bytes.as_chunks::<5>();
        elements
            .iter()
            .map(|&[tag, a, b, c, d]| match tag {
                4 => Ok(i32::from_le_bytes([a, b, c, d])),
                _ => Err(input.fault("the byte 4 before each integer", tag.to_string())),
            })
            .collect()
    }

    fn read_text(input: &mut Input) -> Result<Self> {
        let line = input.line()?;
        line.split_ascii_whitespace()
            .map(|word| {
                word.parse()
                    .map_err(|_| input.fault("integers of 32 bits", format!("'{word}'")))
            })
            .collect()
    }

    fn write_binary(&self, _: Option<Compression>, out: &mut Vec<u8>) -> Result<(), Mismatch> {
        out.push(4);
        out.extend_from_slice(&header_size(self.len())?);
        for value in self {
            out.push(4);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Ok(())
    }

    fn write_text(&self, out: &mut Vec<u8>) -> Result<(), Mismatch> {
        for value in self {
            out.extend_from_slice(value.to_string().as_bytes());
            out.push(b' ');
        }
        out.push(b'\n');
        Ok(())
    }

    fn crop(self, range: &Range) -> Result<Self, Mismatch> {
        Ok(self[range.of_vector(self.len())?].to_vec())
    }
}
