//! The text forms of numbers: `[` rows of numbers `]`.

use std::fmt::{Display, LowerExp};
use std::io::Write;
use std::str::FromStr;

use crate::error::Result;
use crate::io::input::Input;

/// Reads a matrix, `[`, rows that end at newlines or `;`, `]`: its columns (0 when empty) and its numbers
/// row by row.
pub(super) fn read_rows<T: FromStr>(input: &mut Input) -> Result<(usize, Vec<T>)> {
    open(input)?;
    let (mut cols, mut row_start) = (0, 0);
    let (mut values, mut word) = (Vec::new(), Vec::new());
    loop {
        let end = skip_blanks(input)?;
        let row = values.len() - row_start;
        if end.is_some() && row > 0 {
            if cols != 0 && row != cols {
                return Err(input.fault(format!("{cols} numbers in each row"), row.to_string()));
            }
            (cols, row_start) = (row, values.len());
        }
        match end {
            Some(End::Object) => {
                close(input)?;
                return Ok((cols, values));
            }
            Some(End::Row) => {}
            None => values.push(number(input, &mut word)?),
        }
    }
}

/// Reads a vector, `[` numbers `]`, all on one line.
pub(super) fn read_row(input: &mut Input) -> Result<Vec<f32>> {
    open(input)?;
    let (mut values, mut word) = (Vec::new(), Vec::new());
    loop {
        match skip_blanks(input)? {
            Some(End::Object) => {
                close(input)?;
                return Ok(values);
            }
            Some(End::Row) => return Err(input.fault("a ']' on the vector's line", "its end")),
            None => values.push(number(input, &mut word)?),
        }
    }
}

enum End {
    Row,
    Object,
}

/// Passes the space before a number, or the one byte that ends a row or the object.
fn skip_blanks(input: &mut Input) -> Result<Option<End>> {
    loop {
        let end = match input.peek()? {
            Some(b' ' | b'\t' | b'\r') => None,
            Some(b'\n' | b';') => Some(End::Row),
            Some(b']') => Some(End::Object),
            Some(_) => return Ok(None),
            None => return Err(input.fault("a number or ']'", "the end of the file")),
        };
        input.skip();
        if end.is_some() {
            return Ok(end);
        }
    }
}

fn open(input: &mut Input) -> Result<()> {
    loop {
        match input.byte("'['")? {
            b' ' | b'\t' => {}
            b'[' => return Ok(()),
            byte => {
                let found = format!("{:?}", char::from(byte));
                return Err(input.fault("'[' or the binary mark \\0B", found));
            }
        }
    }
}

/// After `]` the line ends.
fn close(input: &mut Input) -> Result<()> {
    loop {
        match input.peek()? {
            None => return Ok(()),
            Some(b'\n') => {
                input.skip();
                return Ok(());
            }
            Some(b' ' | b'\t' | b'\r') => input.skip(),
            Some(byte) => {
                let found = format!("{:?}", char::from(byte));
                return Err(input.fault("the end of the line after ']'", found));
            }
        }
    }
}

/// Reads a number by way of the buffer `word`.
fn number<T: FromStr>(input: &mut Input, word: &mut Vec<u8>) -> Result<T> {
    let word = input.word(word)?;
    if input.peek()?.is_none() {
        return Err(input.fault("a number or ']'", "the end of the file"));
    }
    word.parse()
        .map_err(|_| input.fault("a number", format!("'{word}'")))
}

/// Writes the shortest form that reads back as the same number, where Kaldi keeps six digits; in plain figures below
/// `plain`.
pub(super) fn write_number(
    value: impl Into<f64> + LowerExp + Display + Copy,
    plain: f64,
    out: &mut Vec<u8>,
) {
    let size = value.into().abs();
    // To write into memory cannot fail.
    let _ = match value {
        _ if size.is_nan() => write!(out, "nan"),
        _ if size != 0.0 && !(1e-5..plain).contains(&size) => write!(out, "{value:e}"),
        _ => write!(out, "{value}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back_as_they_were() {
        let odd = [0.0, -0.0, 1.0, 0.1, -1e-42, f32::MAX, f32::MIN_POSITIVE];
        for value in odd.into_iter().chain([f32::INFINITY, f32::NEG_INFINITY]) {
            let mut out = Vec::new();
            write_number(value, 1e7, &mut out);
            let read: f32 = std::str::from_utf8(&out).unwrap().parse().unwrap();
            assert_eq!(read.to_bits(), value.to_bits());
            assert!(out.len() < 16);
        }
    }
}
