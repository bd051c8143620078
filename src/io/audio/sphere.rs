//! NIST SPHERE and Sun/NeXT `.au`: a header of text, or of 24 bytes, and the samples.
//!
//! Sources: NIST, SPHERE 2.6, `header.doc`; the `audio(7)` page of SunOS. A SPHERE file compressed by shorten, wavpack
//! or shortpack is named and not read; `sample_checksum` is not looked at.

use std::path::Path;

use super::encoding::{Encoding, Order};
use super::input::Bytes;
use super::opened::{Opened, checked_channels};
use super::pcm::{Extent, PcmStream};
use crate::error::{Error, Result};

/// No header in use is longer: the usual one has 1024 bytes.
const LONGEST_HEADER: usize = 1 << 20;

/// Opens a SPHERE file from its beginning.
pub(super) fn open_sphere(mut bytes: Bytes, name: &Path) -> Result<Opened> {
    let header = Header::read(&mut bytes, name)?;
    let channels = checked_channels(header.number("channel_count")?.unwrap_or(1), name)?;
    let encoding = header.encoding()?;
    let sample_rate_hz = header.required("sample_rate")?;
    let frames = header.required("sample_count")?;
    let size = u64::from(frames) * (channels * encoding.bytes()) as u64;
    let stream = PcmStream::new(
        bytes,
        encoding,
        channels,
        Extent::Bytes(size),
        "the samples",
    );
    Ok(Opened::pcm(stream, sample_rate_hz))
}

/// The fields of a SPHERE header, a line each: `name -i 7`, `name -s4 text`, `name -r 0.5`.
struct Header<'a> {
    fields: Vec<(String, String)>,
    name: &'a Path,
}

impl<'a> Header<'a> {
    fn read(bytes: &mut Bytes, name: &'a Path) -> Result<Self> {
        let expected = "a SPHERE header: NIST_1A, its size, fields, end_head";
        let wrong = |found: &str| Error::format(name, expected, found);
        // Both lines have 8 bytes.
        let size = match bytes.array::<16>(name)? {
            Some(start) if start.starts_with(b"NIST_1A\n") => (std::str::from_utf8(&start[8..])
                .ok())
            .and_then(|line| line.trim().parse::<usize>().ok())
            .filter(|size| (16..=LONGEST_HEADER).contains(size))
            .ok_or_else(|| wrong("another size"))?,
            _ => return Err(wrong("another or a cut one")),
        };
        let text = bytes.start(size).map_err(Error::io(name))?;
        bytes.go_to(size as u64, name)?;
        if text.len() < size {
            return Err(wrong("the end of the file in it"));
        }
        let text = String::from_utf8_lossy(&text[16..]);
        let mut fields = Vec::new();
        for line in text.lines().map(str::trim) {
            if line == "end_head" {
                return Ok(Self { fields, name });
            }
            let mut words = line.splitn(3, ' ');
            if let (Some(key), Some(kind), Some(value)) = (words.next(), words.next(), words.next())
                && kind.starts_with('-')
            {
                fields.push((key.to_string(), value.trim().to_string()));
            }
        }
        Err(wrong("no end_head"))
    }

    fn get(&self, key: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(name, _)| name == key);
        field.map(|(_, value)| value.as_str())
    }

    fn wrong(&self, key: &str, expected: &str, found: &str) -> Error {
        Error::key(
            self.name,
            key,
            expected,
            format!("'{found}' in the SPHERE header"),
        )
    }

    fn number(&self, key: &str) -> Result<Option<u32>> {
        let Some(text) = self.get(key) else {
            return Ok(None);
        };
        (text.parse().map(Some)).map_err(|_| self.wrong(key, "a whole number", text))
    }

    fn required(&self, key: &str) -> Result<u32> {
        let missing = || Error::key(self.name, key, "a field of the SPHERE header", "none");
        self.number(key)?.ok_or_else(missing)
    }

    fn encoding(&self) -> Result<Encoding> {
        let coding = self.get("sample_coding").unwrap_or("pcm");
        let bytes = self.number("sample_n_bytes")?;
        match (coding, bytes) {
            ("pcm", Some(bytes @ 1..=4)) => {
                let bytes = bytes as usize;
                let order = self.order(bytes)?;
                Ok(Encoding::Signed { bytes, order })
            }
            ("ulaw" | "mu-law", Some(1) | None) => Ok(Encoding::MuLaw),
            ("alaw", Some(1) | None) => Ok(Encoding::ALaw),
            ("pcm" | "ulaw" | "mu-law" | "alaw", bytes) => {
                let found = bytes.map_or("none".into(), |bytes| bytes.to_string());
                Err(self.wrong(
                    "sample_n_bytes",
                    "1 to 4 for pcm, 1 for ulaw and alaw",
                    &found,
                ))
            }
            (other, _) => {
                let expected = "pcm, ulaw or alaw (sph2pipe reads compressed ones)";
                Err(self.wrong("sample_coding", expected, other))
            }
        }
    }

    /// `sample_byte_format`: the place of each byte, counted from the least, so that 01 begins with the low one.
    fn order(&self, bytes: usize) -> Result<Order> {
        match self.get("sample_byte_format") {
            None if bytes == 1 => Ok(Order::Little),
            Some("1" | "0" | "01" | "012" | "0123") => Ok(Order::Little),
            Some("10" | "210" | "3210") => Ok(Order::Big),
            other => {
                let expected = "01 or 10";
                Err(self.wrong("sample_byte_format", expected, other.unwrap_or("none")))
            }
        }
    }
}

/// Opens an `.au` file from its beginning.
pub(super) fn open_au(mut bytes: Bytes, name: &Path) -> Result<Opened> {
    let head = bytes.array::<24>(name)?.ok_or_else(|| {
        Error::format(name, "the 24 bytes of an .au header", "the end of the file")
    })?;
    let (words, _) = head.as_chunks::<4>();
    let word = |at: usize| u32::from_be_bytes(words[at]);
    let (offset, size, coding, rate, channels) = (word(1), word(2), word(3), word(4), word(5));
    let channels = checked_channels(channels, name)?;
    let order = Order::Big;
    let encoding = match coding {
        1 => Encoding::MuLaw,
        bytes @ 2..=5 => Encoding::Signed {
            bytes: bytes as usize - 1,
            order,
        },
        6 => Encoding::Float32(order),
        7 => Encoding::Float64(order),
        27 => Encoding::ALaw,
        other => {
            let expected = "integers, floats, A-law or mu-law in an .au file";
            return Err(Error::format(
                name,
                expected,
                format!("coding {other}, which is not read"),
            ));
        }
    };
    bytes.go_to(u64::from(offset.max(24)), name)?;
    let frame = channels * encoding.bytes();
    let extent = match size {
        u32::MAX => Extent::ToTheEnd,
        size => Extent::Bytes(u64::from(size) / frame as u64 * frame as u64),
    };
    let stream = PcmStream::new(bytes, encoding, channels, extent, "the samples");
    Ok(Opened::pcm(stream, rate))
}
