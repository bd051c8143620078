//! FLAC, Ogg, MP3 and MPEG-4 through symphonia. A stream that ends early, or whose content is not what its own
//! length or checksum says, is an error and not a shorter recording.

use std::panic::AssertUnwindSafe;
use std::path::Path;

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, ReadOnlySource};

use super::input::Bytes;
use crate::error::{Error, Result};

/// What the file begins as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Flac,
    OggFlac,
    OggVorbis,
    Mp3,
    /// AAC-LC or ALAC.
    Mp4,
    /// AAC-LC in a stream of its own.
    Adts,
}

impl Codec {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Flac => "FLAC audio",
            Self::OggFlac => "FLAC audio in Ogg",
            Self::OggVorbis => "Ogg Vorbis audio",
            Self::Mp3 => "MP3 audio",
            Self::Mp4 => "MPEG-4 audio (AAC-LC or ALAC)",
            Self::Adts => "AAC-LC audio in ADTS",
        }
    }

    fn source(self, bytes: Bytes) -> Box<dyn MediaSource> {
        match self {
            // From a source that it can seek, symphonia would guess the length from the bit rate; only a length
            // that the file itself states may be held against it.
            Self::Mp3 | Self::Adts => Box::new(ReadOnlySource::new(bytes)),
            _ => Box::new(bytes),
        }
    }

    fn is_ogg(self) -> bool {
        matches!(self, Self::OggFlac | Self::OggVorbis)
    }
}

/// The audio track of a file, its first block decoded.
pub(super) struct CompressedStream {
    codec: Codec,
    reader: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    pub(super) channels: usize,
    pub(super) sample_rate_hz: u32,
    stated_frames: Option<u64>,
    frames: u64,
    block: Vec<f32>,
    over: bool,
}

impl CompressedStream {
    /// Opens a file that stands at its beginning.
    pub(super) fn open(mut bytes: Bytes, codec: Codec, name: &Path) -> Result<Self> {
        if codec.is_ogg() {
            check_last_page(&mut bytes, name)?;
        }
        let refuse = |error: SymphoniaError| Error::format(name, codec.name(), describe(&error));
        let mut stream = guarded(|| Self::start(bytes, codec)).map_err(refuse)?;
        stream.decode(name)?;
        if stream.over {
            stream.check_whole(name)?;
            return Err(Error::format(name, "audio samples", "none"));
        }
        Ok(stream)
    }

    fn start(bytes: Bytes, codec: Codec) -> Result<Self, SymphoniaError> {
        let stream = MediaSourceStream::new(codec.source(bytes), Default::default());
        let reader = symphonia::default::get_probe().probe(
            &Hint::new(),
            stream,
            FormatOptions::default(),
            Default::default(),
        )?;
        let track = (reader.default_track(TrackType::Audio))
            .ok_or(SymphoniaError::Unsupported("no audio track"))?;
        let parameters = (track.codec_params.as_ref())
            .and_then(|params| params.audio())
            .ok_or(SymphoniaError::Unsupported("no audio codec"))?;
        let options = AudioDecoderOptions::default().verify(true);
        let decoder = symphonia::default::get_codecs().make_audio_decoder(parameters, &options)?;
        Ok(Self {
            codec,
            track: track.id,
            stated_frames: track.num_frames,
            decoder,
            reader,
            channels: 0,
            sample_rate_hz: 0,
            frames: 0,
            block: Vec::new(),
            over: false,
        })
    }

    /// Frames that the file states.
    pub(super) fn stated_frames(&self) -> Option<u64> {
        self.stated_frames
            .filter(|_| self.codec != Codec::OggVorbis)
    }

    /// Appends the next block, interleaved; false at the end, when the file has been held against what it says.
    pub(super) fn next(&mut self, out: &mut Vec<f32>, name: &Path) -> Result<bool> {
        if self.block.is_empty() {
            self.decode(name)?;
        }
        out.append(&mut self.block);
        if self.over && out.is_empty() {
            self.check_whole(name)?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Decodes up to the next block that is not empty, or to the end.
    fn decode(&mut self, name: &Path) -> Result<()> {
        let codec = self.codec.name();
        while self.block.is_empty() && !self.over {
            guarded(|| self.decode_packet())
                .map_err(|error| Error::format(name, codec, describe(&error)))?;
        }
        Ok(())
    }

    fn decode_packet(&mut self) -> Result<(), SymphoniaError> {
        let Some(packet) = self.reader.next_packet()? else {
            self.over = true;
            return Ok(());
        };
        if packet.track_id != self.track {
            return Ok(());
        }
        let buffer = self.decoder.decode(&packet)?;
        let found = (buffer.spec().rate(), buffer.spec().channels().count());
        if self.channels != 0 && (self.sample_rate_hz, self.channels) != found {
            let reason = "sample rate or channels change on the way";
            return Err(SymphoniaError::Unsupported(reason));
        }
        (self.sample_rate_hz, self.channels) = found;
        buffer.copy_to_vec_interleaved(&mut self.block);
        self.frames += (self.block.len() / self.channels.max(1)) as u64;
        Ok(())
    }

    /// Compares what came out with the length and the checksum that the file states, where it does.
    fn check_whole(&mut self, name: &Path) -> Result<()> {
        match self.stated_frames() {
            // An MP3 encoder's padding is not always stated, so that more may come than was said.
            Some(stated) if self.frames < stated => {
                let found = format!("{}: the file is cut short", self.frames);
                return Err(Error::format(name, format!("{stated} samples"), found));
            }
            _ => {}
        }
        let verdict = guarded(|| Ok(self.decoder.finalize()));
        if verdict.is_ok_and(|verdict| verdict.verify_ok == Some(false)) {
            let expected = "the samples that the header's MD5 was made of";
            return Err(Error::format(name, expected, "others: the file is damaged"));
        }
        Ok(())
    }
}

/// Holds an Ogg file to its end: its last page has to be whole and to carry the end-of-stream flag
/// (RFC 3533, section 6: flags in byte 5, segment count in byte 26, then the segments' lengths).
fn check_last_page(bytes: &mut Bytes, name: &Path) -> Result<()> {
    const END_OF_STREAM: u8 = 0x04;
    const LONGEST_PAGE: u64 = 27 + 255 + 255 * 255;
    let end = bytes.end(LONGEST_PAGE).map_err(Error::io(name))?;
    let start = end.windows(4).rposition(|window| window == b"OggS");
    let page = &end[start.unwrap_or(end.len())..];
    let whole = page.get(26).is_some_and(|&segments| {
        let header = 27 + usize::from(segments);
        (page.get(27..header)).is_some_and(|lengths| {
            let body: usize = lengths.iter().map(|&length| usize::from(length)).sum();
            page.len() >= header + body && page[5] & END_OF_STREAM != 0
        })
    });
    if whole {
        return Ok(());
    }
    Err(Error::format(
        name,
        "a last Ogg page with the end-of-stream flag",
        "none: the file is cut short",
    ))
}

/// Decoders meet bytes that nobody has met before. A panic in one (overflows are checked here) ends its file, and not
/// the thread that reads a corpus.
fn guarded<T>(decode: impl FnOnce() -> Result<T, SymphoniaError>) -> Result<T, SymphoniaError> {
    const GAVE_UP: SymphoniaError = SymphoniaError::DecodeError("the decoder gave up");
    std::panic::catch_unwind(AssertUnwindSafe(decode)).unwrap_or(Err(GAVE_UP))
}

fn describe(error: &SymphoniaError) -> String {
    match error {
        SymphoniaError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "an early end: the file is cut short".to_string()
        }
        SymphoniaError::DecodeError(reason) => format!("damaged data ({reason})"),
        SymphoniaError::Unsupported(reason) => format!("something else ({reason})"),
        other => other.to_string(),
    }
}
