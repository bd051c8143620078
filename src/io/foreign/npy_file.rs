//! One array of NumPy's format (NEP 1, versions 1 to 3), as `numpy.save` writes it. Nothing is unpickled.

use super::array::{Array, Element, Layout};
use crate::error::Result;
use crate::io::input::Input;

/// The first byte of a file, which no object of Kaldi's begins with.
pub(crate) const FIRST_BYTE: u8 = MAGIC[0];
const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// The longest header; that of an array of numbers has about 100 bytes.
const HEADER_BYTES: u64 = 1 << 16;

/// A header, and how many bytes it takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub(crate) layout: Layout,
    pub(crate) bytes: u64,
}

/// Reads an array.
///
/// # Errors
/// [`crate::Error::Key`] for another file, an array that is not one utterance's floats or integers, one that is pickled, or a
/// file that ends early.
pub(crate) fn read(input: &mut Input) -> Result<Array> {
    read_header(input)?.layout.read(input)
}

/// Reads to the numbers.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_header(input: &mut Input) -> Result<Header> {
    let magic = input.array::<6>("a .npy file, which begins with \\x93NUMPY")?;
    if magic != *MAGIC {
        let expected = "a .npy file, which begins with \\x93NUMPY";
        return Err(input.fault(expected, format!("{:?}", String::from_utf8_lossy(&magic))));
    }
    let version = input.array::<2>("a version of the format")?;
    let (length, before) = match version[0] {
        1 => (u64::from(u16::from_le_bytes(input.array("a length")?)), 10),
        2 | 3 => (u64::from(u32::from_le_bytes(input.array("a length")?)), 12),
        other => return Err(input.fault("version 1, 2 or 3 of the format", other.to_string())),
    };
    if length > HEADER_BYTES {
        let expected = format!("a header of at most {HEADER_BYTES} bytes");
        return Err(input.fault(expected, length.to_string()));
    }
    let text = input.bytes(length, "a header")?;
    Ok(Header {
        layout: parse(input, &String::from_utf8_lossy(&text))?,
        bytes: before + length,
    })
}

fn parse(input: &Input, header: &str) -> Result<Layout> {
    let odd = || {
        input.fault(
            "a header with descr, fortran_order and shape",
            header.trim(),
        )
    };
    let dims = dims(value(header, "shape").ok_or_else(odd)?).ok_or_else(odd)?;
    let descr = value(header, "descr").ok_or_else(odd)?;
    let Some(descr) = quoted(descr) else {
        return Err(input.fault("an array of numbers", "one of records"));
    };
    let fortran = match value(header, "fortran_order").ok_or_else(odd)? {
        rest if rest.starts_with("True") => true,
        rest if rest.starts_with("False") => false,
        _ => return Err(odd()),
    };
    let (order, kind) = descr.split_at_checked(1).unwrap_or(("", descr));
    if kind.starts_with('O') {
        return Err(pickled(input, &dims));
    }
    let element = element(kind).ok_or_else(|| {
        let expected = "floats of 16, 32 or 64 bits or integers of 8 to 64";
        input.fault(expected, format!("'{descr}'"))
    })?;
    let layout = Layout::new(element, (order == ">", fortran), &dims);
    layout.map_err(|(expected, found)| input.fault(expected, found))
}

/// What stands behind a key of the header, which is a Python dictionary.
fn value<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let places = ["'", "\""].map(|quote| format!("{quote}{key}{quote}"));
    let rest = places
        .iter()
        .find_map(|place| header.split_once(place.as_str()))?
        .1;
    Some(rest.trim_start().strip_prefix(':')?.trim_start())
}

fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].split_once(quote).map(|(inside, _)| inside)
}

/// A tuple of integers; Python 2 put an `L` behind long ones.
fn dims(text: &str) -> Option<Vec<usize>> {
    let (inside, _) = text.strip_prefix('(')?.split_once(')')?;
    let numbers = inside
        .split(',')
        .map(|dim| dim.trim().trim_end_matches('L'));
    let numbers = numbers.filter(|dim| !dim.is_empty());
    numbers.map(|dim| dim.parse().ok()).collect()
}

fn element(kind: &str) -> Option<Element> {
    let integer = |bytes, signed| Element::Integer { bytes, signed };
    Some(match kind {
        "f2" => Element::F16,
        "f4" => Element::F32,
        "f8" => Element::F64,
        "b1" => integer(1, false),
        "i1" | "i2" | "i4" | "i8" => integer(width(kind), true),
        "u1" | "u2" | "u4" | "u8" => integer(width(kind), false),
        _ => return None,
    })
}

fn width(kind: &str) -> usize {
    usize::from(kind.as_bytes()[1] - b'0')
}

/// The refusal of an array of Python's objects, with the line that converts it.
fn pickled(input: &Input, dims: &[usize]) -> crate::Error {
    let (path, npz) = (input.path(), input.path().with_extension("npz"));
    let load = format!("numpy.load(\"{}\", allow_pickle=True)", path.display());
    let line = match dims {
        [] => format!("numpy.savez(\"{}\", **{load}.item())", npz.display()),
        _ => format!(
            "numpy.save(\"{}\", numpy.stack({load}).astype(\"float32\"))",
            path.display()
        ),
    };
    let expected =
        format!("an array of numbers; convert it with: python3 -c 'import numpy; {line}'");
    input.fault(expected, "pickled objects, which are not run")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::array::{Shape, Values};
    use super::*;

    fn file(header: &str, values: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(values);
        bytes
    }

    fn of(mut bytes: &[u8]) -> Result<Array> {
        read(&mut Input::new(&mut bytes, Path::new("a.npy"), "a"))
    }

    #[test]
    fn rows_and_columns_come_out_as_rows() {
        let dict =
            |order| format!("{{'descr': '|u1', 'fortran_order': {order}, 'shape': (2, 3), }}\n");
        let of = |order, values: &[u8]| of(&file(&dict(order), values)).unwrap();
        let rows = of("False", &[1, 2, 3, 4, 5, 6]);
        assert_eq!(rows, of("True", &[1, 4, 2, 5, 3, 6]));
        assert_eq!(rows.shape, Shape::Matrix(2, 3));
        assert_eq!(rows.values, Values::Integer(vec![1, 2, 3, 4, 5, 6]));
    }

    #[test]
    fn what_is_no_array_of_numbers_is_refused() {
        let header = |descr: &str, shape: &str| {
            file(
                &format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"),
                &[0; 8],
            )
        };
        for (bytes, expected) in [
            (header("'<f4'", "(2,)"), None),
            (header("'>f8'", "(1,)"), None),
            (
                header("'<f4'", "(3,)"),
                Some("12 bytes of numbers, found the end of the file after 8"),
            ),
            (
                header("'<c8'", "(1,)"),
                Some("integers of 8 to 64, found '<c8'"),
            ),
            (
                header("'|O'", "()"),
                Some("numpy.savez(\"a.npz\", **numpy.load(\"a.npy\", allow_pickle=True).item())"),
            ),
            (header("'|O'", "(2,)"), Some("numpy.stack(")),
            (
                header("[('a', '<f4')]", "(2,)"),
                Some("found one of records"),
            ),
            (header("'<f4'", "(x,)"), Some("a header with descr")),
            (header("'<f4'", "()"), Some("one utterance: ")),
            (
                header("'<f8'", "(9223372036854775807,)"),
                Some("at most 2^63 bytes"),
            ),
            (b"\x93NUMPY\x09\0".to_vec(), Some("version 1, 2 or 3")),
            (
                b"\x93NUMPY\x02\0\xff\xff\xff\xff".to_vec(),
                Some("a header of at most 65536 bytes"),
            ),
            (b"PK\x03\x04....".to_vec(), Some("begins with \\x93NUMPY")),
            (Vec::new(), Some("found the end of the file")),
        ] {
            match (of(&bytes), expected) {
                (Ok(_), None) => {}
                (Err(error), Some(expected)) => {
                    let error = error.to_string();
                    assert!(
                        error.starts_with("a.npy: a: ") && error.contains(expected),
                        "{error}"
                    );
                }
                (found, expected) => panic!("{expected:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_file_cut_at_any_byte_is_refused() {
        let whole = file(
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }\n",
            &[7; 8],
        );
        assert!(of(&whole).is_ok());
        assert!((0..whole.len()).all(|end| of(&whole[..end]).is_err()));
    }
}
