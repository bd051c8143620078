//! Ogg, page by page: its demuxer skips pages that are damaged or missing, so that a damaged recording would come
//! out shorter. Here every page has to be whole, and the next of its stream.
//!
//! Source: RFC 3533, section 6.

use std::collections::HashMap;
use std::path::Path;

use super::input::Bytes;
use crate::error::{Error, Result};

const BEGIN_OF_STREAM: u8 = 0x02;
const END_OF_STREAM: u8 = 0x04;
const HEADER: usize = 27;

/// A page that is whole.
struct Page {
    flags: u8,
    serial: u32,
    number: u32,
    bytes: u64,
}

/// Goes over all pages of a file, and leaves the bytes at their beginning. What stands behind the end of a stream and is
/// no page is not looked at.
///
/// # Errors
/// [`Error::Format`] for a page that is damaged or missing, with its place, and for a file whose last page is not the end of
/// its stream.
pub(super) fn check_pages(bytes: &mut Bytes, name: &Path) -> Result<()> {
    let (mut at, mut ended) = (0, false);
    let mut next_number: HashMap<u32, u32> = HashMap::new();
    let wrong = |expected: String, found: &str| Err(Error::format(name, expected, found));
    loop {
        bytes.go_to(at, name)?;
        let start = bytes.here(4).map_err(Error::io(name))?;
        if start != *b"OggS" && (ended || start.is_empty()) {
            break;
        }
        let Some(page) = read_page(bytes, name)? else {
            let expected = format!("a whole Ogg page at byte {at}");
            return wrong(
                expected,
                "another or a cut one: the file is damaged or cut short",
            );
        };
        let due = next_number.get(&page.serial).copied();
        match due.filter(|_| page.flags & BEGIN_OF_STREAM == 0) {
            Some(due) if due != page.number => {
                let expected = format!("page {due} of the Ogg stream at byte {at}");
                let found = format!("page {}: the file is damaged", page.number);
                return wrong(expected, &found);
            }
            _ => next_number.insert(page.serial, page.number.wrapping_add(1)),
        };
        ended = page.flags & END_OF_STREAM != 0;
        at += page.bytes;
    }
    if !ended {
        let expected = "a last Ogg page with the end-of-stream flag".to_string();
        return wrong(expected, "none: the file is cut short");
    }
    bytes.go_to(0, name)
}

/// The page at the position; none where it is truncated or its checksum is wrong.
fn read_page(bytes: &mut Bytes, name: &Path) -> Result<Option<Page>> {
    let Some(mut header) = bytes
        .array::<HEADER>(name)?
        .filter(|header| header.starts_with(b"OggS"))
    else {
        return Ok(None);
    };
    let word = |at: usize| {
        u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let (serial, number, stated) = (word(14), word(18), word(22));
    header[22..26].fill(0);
    let lengths = bytes
        .next(usize::from(header[26]))
        .map_err(Error::io(name))?;
    let length: usize = lengths.iter().map(|&length| usize::from(length)).sum();
    let body = bytes.next(length).map_err(Error::io(name))?;
    let whole = lengths.len() == usize::from(header[26]) && body.len() == length;
    let parts = [&header[..], &lengths, &body];
    Ok((whole && checksum(&parts) == stated).then_some(Page {
        flags: header[5],
        serial,
        number,
        bytes: (HEADER + lengths.len() + length) as u64,
    }))
}

/// CRC-32 of polynomial 0x04c11db7, high bit first, from 0.
pub(super) fn checksum(parts: &[&[u8]]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut crc = (byte as u32) << 24;
            let mut bit = 0;
            while bit < 8 {
                crc = (crc << 1) ^ ((crc >> 31) * 0x04c1_1db7);
                bit += 1;
            }
            table[byte] = crc;
            byte += 1;
        }
        table
    };
    let bytes = parts.iter().flat_map(|part| part.iter());
    bytes.fold(0, |crc: u32, &byte| {
        (crc << 8) ^ TABLE[usize::from((crc >> 24) as u8 ^ byte)]
    })
}
