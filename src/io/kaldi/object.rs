//! The objects of an archive.

use super::compressed::Compression;
use super::input::Input;
use super::mismatch::Mismatch;
use super::range::Range;
use crate::error::Result;

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

/// Reads an object in either form: `\0B` marks the binary one.
pub(crate) fn read<T: KaldiObject>(input: &mut Input) -> Result<T> {
    if input.peek()? == Some(0) {
        binary_mark(input)?;
        T::read_binary(input)
    } else {
        T::read_text(input)
    }
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
