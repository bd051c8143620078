//! The RIFF family: WAV as RIFF, big-endian RIFX, and RF64 or BW64 with sizes of 64 bits; what programs write to a
//! pipe, where no size is known; chunks of odd length with their pad byte.
//!
//! Sources: Multimedia Programming Interface and Data Specifications 1.0, chapter 2; RFC 2361 for format tags;
//! Microsoft's `WAVEFORMATEXTENSIBLE`; EBU Tech 3306 and ITU-R BS.2088 for `ds64`.

use std::path::Path;

use super::encoding::{Encoding, Order};
use super::input::Bytes;
use super::justify;
use super::opened::{Opened, checked_channels};
use super::pcm::{Extent, PcmStream};
use crate::error::{Error, Result};

/// From here to 0x7fffffff a size stands for "unknown" in what sox writes to a pipe.
const SOX_OPEN_SIZE: u32 = 0x7fff_f000;
/// No `fmt ` chunk of samples that are read here is longer.
const LONGEST_FMT: u64 = 1 << 16;
/// What follows the format tag in the sub-format of `WAVEFORMATEXTENSIBLE`.
const SUBFORMAT_TAIL: [u8; 14] = *b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71";

const DAMAGED: &str = "a fmt chunk of WAV";

/// Whether the bytes are a file of their own or lie in an archive, where more follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Surroundings {
    File,
    Archive,
}

/// Opens a WAV at the position.
pub(super) fn open(mut bytes: Bytes, around: Surroundings, name: &Path) -> Result<Opened> {
    let mut chunks = Chunks::begin(&mut bytes, name)?;
    let mut format = None;
    while let Some((id, size)) = chunks.next(&mut bytes, name)? {
        match &id {
            b"fmt " => {
                format = Some(Format::read(
                    &mut bytes,
                    u64::from(size),
                    chunks.order,
                    name,
                )?)
            }
            b"ds64" => chunks.read_ds64(&mut bytes, size, name)?,
            b"data" => {
                let Some(format) = format else {
                    return Err(Error::format(name, "a fmt chunk before the data", "none"));
                };
                let extent = chunks.extent(&mut bytes, size, around, name)?;
                return format.open(bytes, extent, name);
            }
            _ => {}
        }
        chunks.skip(&mut bytes, name)?;
    }
    Err(Error::format(name, "a data chunk", "none before the end"))
}

/// A walk over chunks: four letters, a size, the content, a pad byte after an odd size.
struct Chunks {
    order: Order,
    /// The whole form's size by its header, without the first 8 bytes.
    form_size: u32,
    begin: u64,
    /// Where the next chunk begins.
    next: u64,
    /// RF64's size of the data chunk.
    long_data: Option<u64>,
}

impl Chunks {
    fn begin(bytes: &mut Bytes, name: &Path) -> Result<Self> {
        let begin = bytes.position();
        let header = bytes
            .array::<12>(name)?
            .filter(|header| &header[8..] == b"WAVE");
        let Some([a, b, c, d, size @ .., _, _, _, _]) = header else {
            let found = "another or cut header";
            return Err(Error::format(name, "a RIFF file of type WAVE", found));
        };
        let order = match &[a, b, c, d] {
            b"RIFX" => Order::Big,
            _ => Order::Little,
        };
        Ok(Self {
            order,
            form_size: order.u32(size),
            begin,
            next: begin + 12,
            long_data: None,
        })
    }

    /// The next chunk's name and size; the position is then at its content.
    fn next(&mut self, bytes: &mut Bytes, name: &Path) -> Result<Option<([u8; 4], u32)>> {
        let Some([a, b, c, d, size @ ..]) = bytes.array::<8>(name)? else {
            return Ok(None);
        };
        let size = self.order.u32(size);
        self.next += 8 + u64::from(size) + u64::from(size & 1);
        Ok(Some(([a, b, c, d], size)))
    }

    fn skip(&self, bytes: &mut Bytes, name: &Path) -> Result<()> {
        bytes.go_to(self.next, name)
    }

    /// `ds64`: the sizes of the form and of the data, 64 bits each.
    fn read_ds64(&mut self, bytes: &mut Bytes, size: u32, name: &Path) -> Result<()> {
        let sizes = match size {
            16.. => bytes.array::<16>(name)?,
            _ => None,
        };
        let Some([_, _, _, _, _, _, _, _, data @ ..]) = sizes else {
            return Err(Error::format(
                name,
                "two sizes of 64 bits in chunk 'ds64'",
                "fewer bytes",
            ));
        };
        self.long_data = Some(u64::from_le_bytes(data));
        Ok(())
    }

    /// The end of the samples that begin at the position.
    fn extent(
        &self,
        bytes: &mut Bytes,
        size: u32,
        around: Surroundings,
        name: &Path,
    ) -> Result<Extent> {
        let extent = match (self.long_data, size) {
            (Some(0 | u64::MAX), u32::MAX) => Extent::ToTheEnd,
            (Some(long), u32::MAX) => Extent::Bytes(long),
            _ if size == u32::MAX || (SOX_OPEN_SIZE..=0x7fff_ffff).contains(&size) => {
                Extent::ToTheEnd
            }
            (_, 0) if !self.chunk_follows(bytes, name)? => Extent::ToTheEnd,
            _ => Extent::Bytes(u64::from(size)),
        };
        if extent == Extent::ToTheEnd && around == Surroundings::Archive {
            let found = format!("{size:#x}, which means unknown");
            return Err(Error::format(
                name,
                "the size of a WAV inside an archive",
                found,
            ));
        }
        Ok(extent)
    }

    /// Whether an empty data chunk is followed by another within the form's stated size: it is empty then, and else
    /// its writer did not come back to set the size.
    fn chunk_follows(&self, bytes: &mut Bytes, name: &Path) -> Result<bool> {
        let here = bytes.position();
        let head = bytes.array::<8>(name)?;
        bytes.go_to(here, name)?;
        let end = self.begin + 8 + u64::from(self.form_size);
        Ok(head.is_some_and(|[a, b, c, d, size @ ..]| {
            let named = [a, b, c, d].iter().all(|byte| (0x20..0x7f).contains(byte));
            named && here + 8 + u64::from(self.order.u32(size)) <= end
        }))
    }
}

/// The format of samples in a `fmt ` chunk.
struct Format {
    tag: u16,
    channels: u16,
    sample_rate_hz: u32,
    frame_bytes: u16,
    bits: u16,
    /// Bits that count, where they are fewer than `bits`.
    valid_bits: u16,
    order: Order,
}

impl Format {
    fn read(bytes: &mut Bytes, size: u64, order: Order, name: &Path) -> Result<Self> {
        let wrong = |found: String| Error::format(name, DAMAGED, found);
        if !(14..=LONGEST_FMT).contains(&size) {
            return Err(wrong(format!("one of {size} bytes")));
        }
        let cut = || wrong("the end of the file in it".into());
        let head = bytes.array::<14>(name)?.ok_or_else(cut)?;
        let two = |at: usize| order.u16([head[at], head[at + 1]]);
        let mut format = Self {
            tag: two(0),
            channels: two(2),
            sample_rate_hz: order.u32([head[4], head[5], head[6], head[7]]),
            frame_bytes: two(12),
            bits: 0,
            valid_bits: 0,
            order,
        };
        if size >= 16 {
            format.bits = order.u16(bytes.array::<2>(name)?.ok_or_else(cut)?);
            format.valid_bits = format.bits;
        }
        if format.tag == EXTENSIBLE {
            if size < 40 {
                return Err(wrong(format!(
                    "{size} bytes of WAVE_FORMAT_EXTENSIBLE, which has 40"
                )));
            }
            // The size of the extension, the bits that count, and where each loudspeaker stands.
            let [_, _, low, high, ..] = bytes.array::<8>(name)?.ok_or_else(cut)?;
            let valid = order.u16([low, high]);
            if (1..format.bits).contains(&valid) {
                format.valid_bits = valid;
            }
            let [low, high, tail @ ..] = bytes.array::<16>(name)?.ok_or_else(cut)?;
            if tail != SUBFORMAT_TAIL {
                return Err(wrong("a sub-format that is no format tag".into()));
            }
            format.tag = order.u16([low, high]);
        }
        Ok(format)
    }

    fn open(&self, mut bytes: Bytes, extent: Extent, name: &Path) -> Result<Opened> {
        let channels = checked_channels(u32::from(self.channels), name)?;
        let encoding = self.encoding(name)?;
        if encoding.bytes() * channels != usize::from(self.frame_bytes) {
            let expected = format!("frames of {} bytes", encoding.bytes() * channels);
            let found = format!("{} in the fmt chunk", self.frame_bytes);
            return Err(Error::format(name, expected, found));
        }
        if let Extent::Bytes(size) = extent
            && size % u64::from(self.frame_bytes) != 0
        {
            let expected = format!("whole frames of {} bytes in chunk 'data'", self.frame_bytes);
            return Err(Error::format(name, expected, format!("{size} bytes")));
        }
        let valid_bits = u32::from(self.valid_bits);
        let encoding = justify::placed(encoding, valid_bits, &mut bytes, extent, name)?;
        let stream = PcmStream::new(bytes, encoding, channels, extent, "chunk 'data'");
        Ok(Opened::pcm(stream, self.sample_rate_hz))
    }

    fn encoding(&self, name: &Path) -> Result<Encoding> {
        let order = self.order;
        let container = usize::from(self.frame_bytes / self.channels);
        let fits = usize::from(self.bits).div_ceil(8) <= container;
        match (self.tag, self.bits, container) {
            (PCM, 1..=8, 1) => Ok(Encoding::Unsigned8),
            (PCM, 1..=32, bytes @ 2..=4) if fits => Ok(Encoding::Signed { bytes, order }),
            (IEEE_FLOAT, 32, _) => Ok(Encoding::Float32(order)),
            (IEEE_FLOAT, 64, _) => Ok(Encoding::Float64(order)),
            (A_LAW, ..) => Ok(Encoding::ALaw),
            (MU_LAW, ..) => Ok(Encoding::MuLaw),
            (PCM | IEEE_FLOAT, bits, _) => {
                let expected = "1 to 32-bit integers, or floats of 32 or 64 bits";
                let found = format!("{bits} bits in {container} bytes");
                Err(Error::format(name, expected, found))
            }
            (tag, ..) => {
                let expected = "PCM, floats, A-law or mu-law in a WAV file";
                let found = format!("{} (format {tag:#06x}), which is not read", codec(tag));
                Err(Error::format(name, expected, found))
            }
        }
    }
}

const PCM: u16 = 1;
const IEEE_FLOAT: u16 = 3;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
const EXTENSIBLE: u16 = 0xfffe;

/// The name of a codec that WAV files are met with (RFC 2361, appendix A).
fn codec(tag: u16) -> &'static str {
    match tag {
        0x02 => "Microsoft ADPCM",
        0x10 | 0x11 => "IMA ADPCM",
        0x14 | 0x40 => "G.723 ADPCM",
        0x31 => "GSM 06.10",
        0x45 | 0x64 => "G.726 ADPCM",
        0x50 => "MPEG audio",
        0x55 => "MP3",
        0xff | 0x1600..=0x1602 | 0xa106 => "AAC",
        0x160..=0x163 => "Windows Media Audio",
        0x2000 => "AC-3",
        0x704f => "Opus",
        0xf1ac => "FLAC",
        _ => "another codec",
    }
}

impl Order {
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }
}
