//! What a file is, by its first bytes and never by its name: an MP3 called `.wav` is read as MP3, and what is not read
//! here is named.

use super::compressed::Codec;

/// A kind of file that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Riff,
    Aiff,
    Sphere,
    Au,
    Caf,
    Compressed(Codec),
}

impl Kind {
    /// Bytes that identify a file's kind, including Ogg's first packet.
    pub(super) const LOOK: usize = 64;

    /// The kind; or what a file is instead.
    pub(super) fn of(start: &[u8]) -> Result<Self, String> {
        match start {
            [b'R', b'I', b'F', b'F' | b'X', ..] => riff(start),
            [b'R', b'F', b'6', b'4', ..] | [b'B', b'W', b'6', b'4', ..] => Ok(Self::Riff),
            [
                b'F',
                b'O',
                b'R',
                b'M',
                _,
                _,
                _,
                _,
                b'A',
                b'I',
                b'F',
                b'F' | b'C',
                ..,
            ] => Ok(Self::Aiff),
            [b'N', b'I', b'S', b'T', b'_', b'1', b'A', ..] => Ok(Self::Sphere),
            [b'.', b's', b'n', b'd', ..] => Ok(Self::Au),
            [b'f', b'L', b'a', b'C', ..] => Ok(Self::Compressed(Codec::Flac)),
            [b'O', b'g', b'g', b'S', ..] => ogg(start),
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => Ok(Self::Compressed(Codec::Mp4)),
            [b'c', b'a', b'f', b'f', ..] => Ok(Self::Caf),
            [b'I', b'D', b'3', ..] => Ok(Self::Compressed(Codec::Mp3)),
            // The 12 sync bits of ADTS and a layer of 0; the 11 of an MPEG frame with a layer that is not.
            [0xff, second, ..] if second & 0xf6 == 0xf0 => Ok(Self::Compressed(Codec::Adts)),
            [0xff, second, ..] if second & 0xe0 == 0xe0 && second & 0x06 != 0 => {
                Ok(Self::Compressed(Codec::Mp3))
            }
            _ => Err(describe(start)),
        }
    }

    /// The usual extension of its files.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Riff => "wav",
            Self::Aiff => "aiff",
            Self::Sphere => "sph",
            Self::Au => "au",
            Self::Caf => "caf",
            Self::Compressed(codec) => codec.extension(),
        }
    }

    /// What it is called in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Riff => "WAV audio",
            Self::Aiff => "AIFF audio",
            Self::Sphere => "SPHERE audio",
            Self::Au => "audio of an .au file",
            Self::Caf => "CAF audio",
            Self::Compressed(codec) => codec.name(),
        }
    }
}

fn riff(start: &[u8]) -> Result<Kind, String> {
    match start.get(8..12) {
        Some(b"AVI ") => Err("an AVI video, which is not read".into()),
        _ if start.len() < 12 => Err(describe(start)),
        _ => Ok(Kind::Riff),
    }
}

/// The first packet of an Ogg page identifies the codec; the page's header has 27 bytes and its lengths.
fn ogg(start: &[u8]) -> Result<Kind, String> {
    let segments = start.get(26).map_or(0, |&count| usize::from(count));
    let packet = start.get(27 + segments..).unwrap_or_default();
    let codec = match packet {
        [1, b'v', b'o', b'r', b'b', b'i', b's', ..] => {
            return Ok(Kind::Compressed(Codec::OggVorbis));
        }
        [0x7f, b'F', b'L', b'A', b'C', ..] => return Ok(Kind::Compressed(Codec::OggFlac)),
        [b'O', b'p', b'u', b's', b'H', b'e', b'a', b'd', ..] => {
            return Ok(Kind::Compressed(Codec::OggOpus));
        }
        [b'S', b'p', b'e', b'e', b'x', ..] => "Speex",
        [0x80, b't', b'h', b'e', b'o', ..] => "Theora video",
        _ => "another codec",
    };
    Err(format!("{codec} in Ogg, {THE_WAY}"))
}

/// What can be done about audio that is not read here.
const THE_WAY: &str =
    "which is not read: ffmpeg makes a WAV of it, in wav.scp as 'ffmpeg -i FILE -f wav - |'";

/// Audio that is not read here, by its first bytes.
const OTHER_AUDIO: [(&[u8], &str); 14] = [
    (b"ajkg", "audio compressed by shorten"),
    (b"\x30\x26\xb2\x75", "Windows Media Audio (ASF)"),
    (b"\x1a\x45\xdf\xa3", "Matroska or WebM"),
    (b"riff\x2e\x91\xcf\x11", "Wave64 audio"),
    (b"#!AMR", "AMR speech"),
    (b"wvpk", "WavPack audio"),
    (b"MAC ", "Monkey's Audio"),
    (b"TTA1", "True Audio"),
    (b"MPCK", "Musepack audio"),
    (b"MP+", "Musepack audio"),
    (b"DSD ", "DSD audio"),
    (b"FRM8", "DSD audio"),
    (b"Creative Voice File", "a Creative Voice file"),
    (b".RMF", "RealMedia"),
];

/// What else users hand over for audio.
const OTHERS: [(&[u8], &str); 12] = [
    (b"#!SILK", "SILK speech, which is not read"),
    (b"MThd", "MIDI, which holds notes and no sound"),
    (b"\x1f\x8b", "a gzip file: unpack it first"),
    (b"BZh", "a bzip2 file: unpack it first"),
    (b"\xfd7zXZ", "an xz file: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file: unpack it first"),
    (b"PK\x03\x04", "a zip archive: unpack it first"),
    (b"%PDF", "a PDF document"),
    (b"<", "a web page or XML"),
    (
        b"version https://git-lfs",
        "a Git LFS pointer: fetch the file itself",
    ),
    (b"\x7fELF", "a program"),
    (b"\x89PNG", "a picture"),
];

/// Names what the bytes are, or shows the first four, as text where they are text.
fn describe(start: &[u8]) -> String {
    if start.is_empty() {
        return "an empty file".to_string();
    }
    let begins = |&&(magic, _): &&(&[u8], &str)| start.starts_with(magic);
    if let Some((_, what)) = OTHER_AUDIO.iter().find(begins) {
        return format!("{what}, {THE_WAY}");
    }
    match OTHERS.iter().find(begins) {
        Some((_, what)) => what.to_string(),
        None => {
            let shown = &start[..start.len().min(4)];
            format!("a file that begins with \"{}\"", shown.escape_ascii())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::audio::FORMATS;

    #[test]
    fn what_is_not_read_is_named() {
        for (start, found) in [
            (&b""[..], "an empty file"),
            (b"RIFF....", "a file that begins with \"RIFF\""),
            (b"RIFF....AVI ", "an AVI video, which is not read"),
            (b"\x00\x01", "a file that begins with \"\\x00\\x01\""),
            (b"#!SILK_V3", "SILK speech, which is not read"),
            (b"\x1f\x8b\x08", "a gzip file: unpack it first"),
            (b"<!DOCTYPE html>", "a web page or XML"),
            (
                b"OggS\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x50Speex   ",
                "Speex in Ogg, which is not read: ffmpeg makes a WAV of it, in wav.scp as 'ffmpeg -i FILE -f wav - |'",
            ),
            (b"OggS", &format!("another codec in Ogg, {THE_WAY}")),
            (
                b"ajkg\x02",
                &format!("audio compressed by shorten, {THE_WAY}"),
            ),
        ] {
            assert_eq!(Kind::of(start), Err(found.to_string()));
        }
    }

    #[test]
    fn formats_name_every_kind() {
        let kinds = [Kind::Riff, Kind::Aiff, Kind::Sphere, Kind::Au, Kind::Caf];
        let codecs = [
            Codec::Flac,
            Codec::OggFlac,
            Codec::OggVorbis,
            Codec::OggOpus,
            Codec::Mp3,
            Codec::Mp4,
            Codec::Adts,
        ];
        let kinds = kinds.into_iter().chain(codecs.map(Kind::Compressed));
        for name in kinds.map(Kind::name) {
            let words = name.split([' ', '.', '(', ')']);
            let filling = ["", "audio", "of", "an", "file", "in", "or"];
            for word in words.filter(|word| !filling.contains(word)) {
                let word = word.trim_end_matches("-LC").to_uppercase();
                assert!(FORMATS.to_uppercase().contains(&word), "{word}");
            }
        }
    }

    #[test]
    fn sync_words_distinguish_mpeg_layers_from_adts() {
        for (second, codec) in [
            (0xf1, Codec::Adts),
            (0xf9, Codec::Adts),
            (0xfb, Codec::Mp3),
            (0xf3, Codec::Mp3),
            (0xe3, Codec::Mp3),
        ] {
            assert_eq!(Kind::of(&[0xff, second]), Ok(Kind::Compressed(codec)));
        }
        assert!(Kind::of(&[0xff, 0xe1]).is_err());
        assert!(Kind::of(&[0xff]).is_err());
    }
}
