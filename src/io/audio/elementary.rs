//! MP3 and ADTS, frame by frame: their decoder skips bytes that are no frame and continues after them, so that a damaged
//! recording would come out shorter. Here the frames have to follow each other without a gap.
//!
//! Sources: ISO 11172-3, section 2.4.1, and ISO 13818-3 for MPEG frames; ISO 13818-7, section 6.2, for ADTS; ID3v2.4,
//! section 3.1, for the tags between and after them.

use std::path::Path;

use symphonia::core::io::MediaSource;

use super::input::Bytes;
use crate::error::{Error, Result};

/// Tags after the last frame: ID3v1, APE, Lyrics3.
const TAIL_TAGS: [&[u8]; 3] = [b"TAG", b"APETAGEX", b"LYRICSBEGIN"];
/// Bytes that identify frames and tags.
const LOOK: usize = 11;

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frame {
    /// Of the whole frame, header included.
    bytes: u64,
    samples: u64,
    rate_hz: u32,
    /// What no frame of a stream changes: version, layer and rate; in ADTS the channels too.
    stream: u32,
}

impl Frame {
    /// The frame that begins so; none for other bytes, and for MPEG frames of layers I and II.
    fn of(start: &[u8]) -> Option<Self> {
        match *start {
            [0xff, b, c, d, e, f, ..] if b & 0xf6 == 0xf0 => Self::adts([b, c, d, e, f]),
            [0xff, b, c, _, ..] if b & 0xe6 == 0xe2 => Self::layer_three(b, c),
            _ => None,
        }
    }

    fn adts([b, c, d, e, f]: [u8; 5]) -> Option<Self> {
        const RATES_HZ: [u32; 13] = [
            96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350,
        ];
        let bytes = u64::from(d & 3) << 11 | u64::from(e) << 3 | u64::from(f) >> 5;
        (bytes >= 7).then_some(Self {
            bytes,
            samples: 1024,
            rate_hz: *RATES_HZ.get(usize::from(c >> 2 & 15))?,
            stream: u32::from_be_bytes([0, b, c & !2, d & 0xc0]),
        })
    }

    fn layer_three(b: u8, c: u8) -> Option<Self> {
        const KBPS: [u64; 14] = [
            32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
        ];
        const LOW_KBPS: [u64; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
        const RATES_HZ: [u32; 3] = [44100, 48000, 32000];
        // MPEG 2.5, nothing, MPEG 2, MPEG 1.
        let (halvings, table) = match b >> 3 & 3 {
            0 => (2, LOW_KBPS),
            2 => (1, LOW_KBPS),
            3 => (0, KBPS),
            _ => return None,
        };
        let rate_hz = RATES_HZ.get(usize::from(c >> 2 & 3))? >> halvings;
        let kbps = table.get(usize::from(c >> 4).checked_sub(1)?)?;
        let samples = if halvings == 0 { 1152 } else { 576 };
        Some(Self {
            bytes: samples / 8 * 1000 * kbps / u64::from(rate_hz) + u64::from(c >> 1 & 1),
            samples,
            rate_hz,
            stream: u32::from_be_bytes([0, b & 0x1e, c & 0x0c, 0]),
        })
    }
}

/// Goes over all frames of a file, and leaves the bytes at their beginning. What stands before the first frame is not
/// looked at, nor is a last frame that is cut short.
///
/// # Errors
/// [`Error::Format`] with byte and time of the place where a frame is expected.
pub(super) fn check_frames(bytes: &mut Bytes, name: &Path) -> Result<()> {
    let mut at = first_frame(bytes, name)?;
    let mut first = None;
    let mut samples = 0;
    loop {
        bytes.go_to(at, name)?;
        let start = bytes.here(LOOK).map_err(Error::io(name))?;
        match (Frame::of(&start), first) {
            (Some(frame), first_or_none)
                if first_or_none.is_none_or(|f: Frame| f.stream == frame.stream) =>
            {
                first = Some(frame);
                samples += frame.samples;
                at += frame.bytes;
            }
            // No frame at all: the decoder reports the error.
            (_, None) => break,
            (_, Some(first)) => match tag_bytes(&start) {
                Some(tag) => at += tag,
                None if ends(bytes, &start, name)? => break,
                None => {
                    let seconds = samples as f64 / f64::from(first.rate_hz);
                    let expected = format!("a frame at byte {at} ({seconds:.2} s)");
                    let found = format!("\"{}\": the file is damaged", start.escape_ascii());
                    return Err(Error::format(name, expected, found));
                }
            },
        }
    }
    bytes.go_to(0, name)
}

/// Where the first frame begins after tags and what no decoder can use; the end where there is none.
fn first_frame(bytes: &mut Bytes, name: &Path) -> Result<u64> {
    let (mut at, mut junk) = (0, false);
    loop {
        bytes.go_to(at, name)?;
        let start = bytes.here(LOOK).map_err(Error::io(name))?;
        if start.is_empty() {
            return Ok(at);
        }
        if let Some(frame) = Frame::of(&start)
            && (!junk || is_followed(frame, at, bytes, name)?)
        {
            return Ok(at);
        }
        let tag = tag_bytes(&start);
        junk |= tag.is_none();
        at += tag.unwrap_or(1);
    }
}

/// Whether a frame at this place ends with the file, or before a tag or another of its stream: else it is two bytes that
/// look like one.
fn is_followed(frame: Frame, at: u64, bytes: &mut Bytes, name: &Path) -> Result<bool> {
    bytes.go_to(at + frame.bytes, name)?;
    let next = bytes.here(LOOK).map_err(Error::io(name))?;
    let followed = Frame::of(&next).is_some_and(|next| next.stream == frame.stream);
    Ok(followed || next.len() < LOOK || tag_bytes(&next).is_some())
}

/// The size of the ID3v2 tag that begins so: 7 bits in each of 4 bytes, after a header of 10.
pub(super) fn tag_bytes(start: &[u8]) -> Option<u64> {
    let [b'I', b'D', b'3', _, _, flags, a, b, c, d, ..] = *start else {
        return None;
    };
    let size = [a, b, c, d]
        .iter()
        .fold(0, |size, byte| size << 7 | u64::from(byte & 0x7f));
    let footer = if flags & 0x10 == 0 { 0 } else { 10 };
    Some(10 + size + footer)
}

/// Leaves out an ID3v1 tag at the end of a file whose decoder would take it for samples; afterwards the position is at the
/// beginning.
pub(super) fn leave_out_tail_tag(bytes: &mut Bytes, name: &Path) -> Result<()> {
    const SIZE: u64 = 128;
    let at = bytes.byte_len().unwrap_or(0).saturating_sub(SIZE);
    bytes.go_to(at, name)?;
    let is_tag = bytes.array::<3>(name)? == Some(*b"TAG");
    if is_tag {
        bytes.leave_out_last(SIZE);
    }
    bytes.go_to(0, name)
}

/// Whether the file may end here: with a tag, with zeros, or within a header.
fn ends(bytes: &mut Bytes, start: &[u8], name: &Path) -> Result<bool> {
    if start.len() < 6 || TAIL_TAGS.iter().any(|tag| start.starts_with(tag)) {
        return Ok(true);
    }
    while let Some(zeros) = bytes.array::<LOOK>(name)? {
        if zeros != [0; LOOK] {
            return Ok(false);
        }
    }
    Ok(start[0] == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 24 kbit/s at 16 kHz: 108 bytes for 36 ms.
    fn frame() -> Vec<u8> {
        let mut frame = vec![0x55; 108];
        frame[..4].copy_from_slice(b"\xff\xf3\x38\xc4");
        frame
    }

    fn message(parts: &[&[u8]]) -> Option<String> {
        let mut bytes = Bytes::memory(parts.concat());
        check_frames(&mut bytes, Path::new("x"))
            .err()
            .map(|error| error.to_string())
    }

    #[test]
    fn headers_are_of_iso() {
        let mp3 = Frame::of(b"\xff\xfb\x92\0\0\0").unwrap();
        assert_eq!((mp3.bytes, mp3.samples, mp3.rate_hz), (418, 1152, 44100));
        let half = Frame::of(&frame()).unwrap();
        assert_eq!((half.bytes, half.samples, half.rate_hz), (108, 576, 16000));
        let adts = Frame::of(b"\xff\xf1\x60\x40\x1f\xfc").unwrap();
        assert_eq!((adts.bytes, adts.samples, adts.rate_hz), (255, 1024, 16000));
        // Free format, no rate, layer II, no version, an ADTS frame shorter than its header.
        for other in [
            b"\xff\xfb\x02\0\0\0",
            b"\xff\xfb\x9c\0\0\0",
            b"\xff\xfd\x90\0\0\0",
            b"\xff\xeb\x90\0\0\0",
            b"\xff\xf1\x60\x40\0\xc0",
        ] {
            assert_eq!(Frame::of(other), None);
        }
    }

    #[test]
    fn tags_and_a_cut_frame_are_no_gap() {
        let (frame, id3) = (frame(), b"ID3\x04\0\0\0\0\0\x02ab");
        for tail in [
            &b"TAG and more"[..],
            b"APETAGEX",
            &[0; 40],
            &frame[..50],
            id3,
            b"\xff",
        ] {
            assert_eq!(
                message(&[id3, b"junk", &frame, id3, &frame, tail]),
                None,
                "{tail:?}"
            );
        }
    }

    #[test]
    fn a_gap_is_reported_with_its_position() {
        let frame = frame();
        let expected = "x: expected a frame at byte 216 (0.07 s), found ";
        let mut faster = frame.clone();
        faster[2] = 0x34;
        for gap in [&[0x55; 30][..], &frame[9..], &faster, &[0; 30]] {
            let message = message(&[&frame, &frame, gap, &frame]).unwrap();
            assert!(
                message.starts_with(expected) && message.ends_with(": the file is damaged"),
                "{message}"
            );
        }
    }
}
