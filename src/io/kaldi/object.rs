//! The objects of an archive.

use std::path::Path;

use super::compressed::Compression;
use super::mismatch::Mismatch;
use super::range::Range;
use super::real::Real;
use crate::error::Result;
use crate::io::foreign::{Array, Shape, Values, npy_file};
use crate::io::input::Input;

mod sealed {
    pub trait Sealed {}
    impl<R: super::super::real::Real> Sealed for ndarray::Array2<R> {}
    impl Sealed for ndarray::Array1<f32> {}
    impl Sealed for Vec<i32> {}
}

/// A matrix `Array2<f32>` (or, for statistics, `Array2<f64>`), a vector `Array1<f32>` or an integer vector `Vec<i32>`,
/// in Kaldi's binary and text forms.
pub trait KaldiObject: sealed::Sealed + Sized + Send + 'static {
    /// Its name in messages.
    const KIND: &'static str;
    /// Whether [`Compression`] has a format for it.
    const COMPRESSES: bool = false;

    /// Reads the binary form, from after `\0B`.
    ///
    /// # Errors
    /// [`crate::Error::Key`] for another type, impossible sizes or a file that ends early.
    fn read_binary(input: &mut Input) -> Result<Self>;

    /// Reads the text form, from after the key, to the end of its last line.
    ///
    /// # Errors
    /// [`crate::Error::Key`] for what is not the text form.
    fn read_text(input: &mut Input) -> Result<Self>;

    /// From an array of another program's file.
    ///
    /// # Errors
    /// A [`Mismatch`] for an array of another kind, and for integers that it cannot represent.
    fn from_array(array: Array) -> Result<Self, Mismatch>;

    /// Appends the binary form without `\0B`.
    ///
    /// # Errors
    /// A [`Mismatch`] for sizes that the form cannot represent, and for numbers that are not finite under
    /// compression.
    fn write_binary(
        &self,
        compression: Option<Compression>,
        out: &mut Vec<u8>,
    ) -> Result<(), Mismatch>;

    /// Appends the text form, from after the key and its space, with the newline at its end.
    ///
    /// # Errors
    /// A [`Mismatch`] for sizes that the form cannot represent.
    fn write_text(&self, out: &mut Vec<u8>) -> Result<(), Mismatch>;

    /// The part of it that `range` names.
    ///
    /// # Errors
    /// A [`Mismatch`] when the range lies outside.
    fn crop(self, range: &Range) -> Result<Self, Mismatch>;
}

/// Reads an object in either form: `\0B` marks the binary one. A list may also name a file of NumPy's.
pub(crate) fn read<T: KaldiObject>(input: &mut Input) -> Result<T> {
    match input.peek()? {
        Some(0) => {
            binary_mark(input)?;
            T::read_binary(input)
        }
        Some(npy_file::FIRST_BYTE) => {
            let array = npy_file::read(input)?;
            T::from_array(array).map_err(|mismatch| input.fault(mismatch.expected, mismatch.found))
        }
        _ => T::read_text(input),
    }
}

/// The object that an array of `path` is.
pub(super) fn of_array<T: KaldiObject>(array: Array, path: &Path, key: &str) -> Result<T> {
    T::from_array(array).map_err(|mismatch| mismatch.at(path, key))
}

/// What an array is called in messages.
pub(super) fn kind_of_array(array: &Array) -> &'static str {
    match (array.shape, &array.values) {
        (Shape::Matrix(..), _) => "a matrix",
        (Shape::Vector(_), Values::Integer(_)) => "an integer vector",
        (Shape::Vector(_), _) => "a vector",
    }
}

/// Floats of any array; integers have to be few enough that single precision holds each.
pub(super) fn reals<R: Real>(values: Values) -> Result<Vec<R>, Mismatch> {
    const EXACT: i64 = 1 << 24;
    Ok(match values {
        Values::Single(values) => R::from_singles(values),
        Values::Double(values) => R::from_doubles(values),
        Values::Integer(values) => {
            if let Some(large) = values.iter().find(|value| value.abs() > EXACT) {
                let expected = "integers of at most 2^24, which floats hold exactly";
                return Err(Mismatch::new(expected, large.to_string()));
            }
            R::from_singles(values.into_iter().map(|value| value as f32).collect())
        }
    })
}

/// The kind of object whose binary form begins with this token.
pub(super) fn kind_of(token: &str) -> String {
    match token {
        "FM" | "DM" | "CM" | "CM2" | "CM3" => "a matrix".into(),
        "FV" | "DV" => "a vector".into(),
        other => format!("an object of type '{other}'"),
    }
}

/// Skips `\0B`.
pub(crate) fn binary_mark(input: &mut Input) -> Result<()> {
    let mark = input.array::<2>("the binary mark \\0B")?;
    if mark == *b"\0B" {
        return Ok(());
    }
    Err(input.fault("the binary mark \\0B", format!("the bytes {mark:?}")))
}
