//! Arrays of other programs: their layout in a file, and their numbers as read.

use half::{bf16, f16};

use crate::error::Result;
use crate::io::input::Input;

/// The numbers of an array, row by row. Floats of 16 bits are widened, which is exact.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Single precision.
    Single(Vec<f32>),
    /// Double precision.
    Double(Vec<f64>),
    /// Integers; above the range of `i64`, its end.
    Integer(Vec<i64>),
}

impl Values {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::Single(values) => values.len(),
            Self::Double(values) => values.len(),
            Self::Integer(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What an array is to speech.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `[values]`: an embedding, or the units of an utterance.
    Vector(usize),
    /// `[frames, dims]`.
    Matrix(usize, usize),
}

/// An array of one utterance.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Its shape.
    pub shape: Shape,
    /// Its numbers, as many as its shape says.
    pub values: Values,
}

/// The type of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    F16,
    BF16,
    F32,
    F64,
    Integer { bytes: usize, signed: bool },
}

impl Element {
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::F16 | Self::BF16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
            Self::Integer { bytes, .. } => bytes,
        }
    }
}

/// How an array lies in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(super) element: Element,
    /// The highest byte of a number first.
    pub(super) big_endian: bool,
    /// Column by column.
    pub(super) fortran: bool,
    pub(crate) shape: Shape,
}

impl Layout {
    /// Of `dims`: `[values]`, `[frames, dims]` or either behind one more dimension of 1 (of floats, `[1, values]` is a matrix).
    ///
    /// # Errors
    /// What was expected and found, for other dimensions, and for more bytes than 63 bits count.
    pub(super) fn new(
        element: Element,
        (big_endian, fortran): (bool, bool),
        dims: &[usize],
    ) -> Result<Self, (&'static str, String)> {
        let units = matches!(element, Element::Integer { .. });
        let shape = match *dims {
            [values] => Shape::Vector(values),
            [1, values] if units => Shape::Vector(values),
            [frames, values] | [1, frames, values] => Shape::Matrix(frames, values),
            _ => {
                let expected = "one utterance: [frames, dims], [1, frames, dims] or [dims]";
                return Err((expected, format!("{dims:?}")));
            }
        };
        let bytes = dims
            .iter()
            .try_fold(element.bytes(), |bytes, dim| bytes.checked_mul(*dim));
        if bytes.is_none_or(|bytes| bytes > isize::MAX as usize) {
            return Err(("an array of at most 2^63 bytes", format!("{dims:?}")));
        }
        Ok(Self {
            element,
            big_endian,
            fortran,
            shape,
        })
    }

    /// Row by row, the lowest byte first.
    #[cfg(feature = "parquet")]
    pub(super) fn of(element: Element, shape: Shape) -> Self {
        Self {
            element,
            big_endian: false,
            fortran: false,
            shape,
        }
    }

    fn count(&self) -> usize {
        match self.shape {
            Shape::Vector(values) => values,
            Shape::Matrix(frames, values) => frames * values,
        }
    }

    pub(super) fn is_by_columns(&self) -> bool {
        self.fortran
    }

    /// Bytes of a row.
    pub(super) fn row_bytes(&self) -> u64 {
        let (Shape::Matrix(_, columns) | Shape::Vector(columns)) = self.shape;
        (columns * self.element.bytes()) as u64
    }

    /// Bytes of all numbers.
    pub(crate) fn bytes(&self) -> u64 {
        (self.count() * self.element.bytes()) as u64
    }

    /// Reads the numbers.
    ///
    /// # Errors
    /// [`crate::Error::Key`] where the file ends before.
    pub(crate) fn read(&self, input: &mut Input) -> Result<Array> {
        let bytes = input.bytes(self.bytes(), "numbers")?;
        let values = self.decode(&bytes);
        Ok(Array {
            shape: self.shape,
            values: match (self.fortran, self.shape) {
                (true, Shape::Matrix(frames, dims)) => by_rows(&values, frames, dims),
                _ => values,
            },
        })
    }

    fn decode(&self, bytes: &[u8]) -> Values {
        let big = self.big_endian;
        match self.element {
            Element::F16 => Values::Single(numbers(bytes, big, |b| f16::from_le_bytes(b).into())),
            Element::BF16 => Values::Single(numbers(bytes, big, |b| bf16::from_le_bytes(b).into())),
            Element::F32 => Values::Single(numbers(bytes, big, f32::from_le_bytes)),
            Element::F64 => Values::Double(numbers(bytes, big, f64::from_le_bytes)),
            Element::Integer {
                bytes: width,
                signed,
            } => {
                let numbers = bytes.chunks_exact(width);
                Values::Integer(numbers.map(|bytes| integer(bytes, big, signed)).collect())
            }
        }
    }
}

fn numbers<const N: usize, T>(bytes: &[u8], big_endian: bool, of: fn([u8; N]) -> T) -> Vec<T> {
    let (numbers, _) = bytes.as_chunks::<N>();
    let ordered = numbers.iter().map(|&(mut number)| {
        if big_endian {
            number.reverse();
        }
        of(number)
    });
    ordered.collect()
}

/// An integer of up to 8 bytes.
fn integer(bytes: &[u8], big_endian: bool, signed: bool) -> i64 {
    let mut low_first: Vec<u8> = bytes.to_vec();
    if big_endian {
        low_first.reverse();
    }
    let negative = signed && low_first.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut all = [if negative { 0xff } else { 0 }; 8];
    all[..low_first.len()].copy_from_slice(&low_first);
    match (signed, i64::from_le_bytes(all)) {
        (false, ..0) => i64::MAX,
        (_, value) => value,
    }
}

fn by_rows(columns: &Values, frames: usize, dims: usize) -> Values {
    fn transpose<T: Copy>(columns: &[T], frames: usize, dims: usize) -> Vec<T> {
        let row = |frame| (0..dims).map(move |dim| columns[dim * frames + frame]);
        (0..frames).flat_map(row).collect()
    }
    match columns {
        Values::Single(values) => Values::Single(transpose(values, frames, dims)),
        Values::Double(values) => Values::Double(transpose(values, frames, dims)),
        Values::Integer(values) => Values::Integer(transpose(values, frames, dims)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_any_width_and_order() {
        for (bytes, big, signed, expected) in [
            (&[0xff][..], false, false, 255),
            (&[0xff], false, true, -1),
            (&[1, 0], true, true, 256),
            (&[1, 0], false, true, 1),
            (&[0xff; 8], false, false, i64::MAX),
            (&[0xfe, 0xff, 0xff, 0xff], false, true, -2),
        ] {
            assert_eq!(integer(bytes, big, signed), expected, "{bytes:?}");
        }
    }

    #[test]
    fn only_one_utterance_is_an_array() {
        let shape = |element, dims: &[usize]| {
            Layout::new(element, (false, false), dims).map(|layout| layout.shape)
        };
        let unit = Element::Integer {
            bytes: 2,
            signed: true,
        };
        assert_eq!(shape(Element::F32, &[3]), Ok(Shape::Vector(3)));
        assert_eq!(shape(Element::F32, &[1, 3]), Ok(Shape::Matrix(1, 3)));
        assert_eq!(shape(unit, &[1, 3]), Ok(Shape::Vector(3)));
        assert_eq!(shape(Element::F64, &[1, 3, 2]), Ok(Shape::Matrix(3, 2)));
        for dims in [&[][..], &[2, 3, 2], &[1, 1, 3, 2], &[usize::MAX, 2]] {
            assert!(shape(Element::F32, dims).is_err(), "{dims:?}");
        }
    }
}
