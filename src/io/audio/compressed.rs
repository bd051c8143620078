//! FLAC, Ogg Vorbis and MP3 through symphonia. A stream that ends early, or whose content is not what its
//! own length or checksum says, is an error and not a shorter recording.

use std::io::Cursor;
use std::path::Path;

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, ReadOnlySource};

use super::Decoded;
use crate::error::{Error, Result};

/// Samples of all channels together, 18 hours at 16 kHz: a few bytes of FLAC can say a second of silence, and
/// a file may not take all memory with them.
const MAX_SAMPLES: usize = 1 << 30;

/// What the file begins as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Flac,
    OggVorbis,
    Mp3,
}

impl Codec {
    fn name(self) -> &'static str {
        match self {
            Self::Flac => "FLAC audio",
            Self::OggVorbis => "Ogg Vorbis audio",
            Self::Mp3 => "MP3 audio",
        }
    }

    fn source(self, bytes: Vec<u8>) -> Box<dyn MediaSource> {
        let bytes = Cursor::new(bytes);
        match self {
            // From a source that it can seek, symphonia would guess an MP3's length from its bit rate; only
            // a length that the file itself states may be held against it.
            Self::Mp3 => Box::new(ReadOnlySource::new(bytes)),
            Self::Flac | Self::OggVorbis => Box::new(bytes),
        }
    }
}

pub(super) fn decode(bytes: Vec<u8>, codec: Codec, name: &Path) -> Result<Decoded> {
    if codec == Codec::OggVorbis {
        check_last_page(&bytes, name)?;
    }
    let refuse = |error: SymphoniaError| Error::format(name, codec.name(), describe(&error));
    let stream = MediaSourceStream::new(codec.source(bytes), Default::default());
    let mut reader = symphonia::default::get_probe()
        .probe(
            &Hint::new(),
            stream,
            FormatOptions::default(),
            Default::default(),
        )
        .map_err(refuse)?;
    let mut track = AudioTrack::open(reader.as_ref()).map_err(refuse)?;
    let decoded = track.decode(reader.as_mut()).map_err(refuse)?;
    track.check_whole(&decoded, codec, name)?;
    Ok(decoded)
}

/// The audio track of a file, and what the file says of its length.
struct AudioTrack {
    id: u32,
    stated_frames: Option<u64>,
    decoder: Box<dyn AudioDecoder>,
}

impl AudioTrack {
    fn open(reader: &dyn FormatReader) -> Result<Self, SymphoniaError> {
        let track = (reader.default_track(TrackType::Audio))
            .ok_or(SymphoniaError::Unsupported("no audio track"))?;
        let parameters = (track
            .codec_params
            .as_ref()
            .and_then(|params| params.audio()))
        .ok_or(SymphoniaError::Unsupported("no audio codec"))?;
        let options = AudioDecoderOptions::default().verify(true);
        Ok(Self {
            id: track.id,
            stated_frames: track.num_frames,
            decoder: symphonia::default::get_codecs().make_audio_decoder(parameters, &options)?,
        })
    }

    fn decode(&mut self, reader: &mut dyn FormatReader) -> Result<Decoded, SymphoniaError> {
        let mut decoded = Decoded {
            interleaved: Vec::new(),
            channels: 0,
            sample_rate_hz: 0,
        };
        let mut block = Vec::new();
        while let Some(packet) = reader.next_packet()? {
            if packet.track_id != self.id {
                continue;
            }
            let buffer = self.decoder.decode(&packet)?;
            let (rate, channels) = (buffer.spec().rate(), buffer.spec().channels().count());
            if decoded.channels != 0
                && (decoded.sample_rate_hz, decoded.channels) != (rate, channels)
            {
                let reason = "sample rate or channels change on the way";
                return Err(SymphoniaError::Unsupported(reason));
            }
            (decoded.sample_rate_hz, decoded.channels) = (rate, channels);
            buffer.copy_to_vec_interleaved(&mut block);
            if decoded.interleaved.len() + block.len() > MAX_SAMPLES {
                return Err(SymphoniaError::Unsupported("more than 2^30 samples"));
            }
            decoded.interleaved.extend_from_slice(&block);
        }
        Ok(decoded)
    }

    /// Compares what came out with the length and the checksum that the file states, where it does.
    fn check_whole(&mut self, decoded: &Decoded, codec: Codec, name: &Path) -> Result<()> {
        let frames = (decoded.interleaved.len() / decoded.channels.max(1)) as u64;
        match self.stated_frames {
            // An MP3 encoder's padding is not always stated, so that more may come than was said.
            Some(stated) if frames < stated && codec != Codec::OggVorbis => {
                let found = format!("{frames}: the file is cut short");
                return Err(Error::format(name, format!("{stated} samples"), found));
            }
            _ => {}
        }
        if self.decoder.finalize().verify_ok == Some(false) {
            let expected = "the samples that the header's MD5 was made of";
            return Err(Error::format(name, expected, "others: the file is damaged"));
        }
        Ok(())
    }
}

/// Holds an Ogg file to its end: its last page has to be whole and to carry the end-of-stream flag
/// (RFC 3533, section 6: flags in byte 5, segment count in byte 26, then the segments' lengths).
fn check_last_page(bytes: &[u8], name: &Path) -> Result<()> {
    const END_OF_STREAM: u8 = 0x04;
    let start = bytes.windows(4).rposition(|window| window == b"OggS");
    let page = &bytes[start.unwrap_or(bytes.len())..];
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
