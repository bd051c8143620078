//! FLAC, Ogg, MP3 and MPEG-4 through symphonia, with a decoder of Opus added to its own. A stream that ends early or has a gap, or whose content is not what its
//! own length or checksum states, is an error and not a shorter recording.

use std::path::Path;
use std::sync::LazyLock;

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, SeekMode, SeekTo, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, ReadOnlySource};
use symphonia::core::units::Timestamp;

use super::input::Bytes;
use super::mp4::{Edits, Presented};
use super::opus::OpusDecoder;
use super::{elementary, ogg};
use crate::error::{Error, Result};
use crate::io::panics::caught;

/// Those of symphonia, and Opus.
static CODECS: LazyLock<CodecRegistry> = LazyLock::new(|| {
    let mut codecs = CodecRegistry::new();
    symphonia::default::register_enabled_codecs(&mut codecs);
    codecs.register_audio_decoder::<OpusDecoder>();
    codecs
});

/// What the file begins as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Flac,
    OggFlac,
    OggVorbis,
    OggOpus,
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
            Self::OggOpus => "Ogg Opus audio",
            Self::Mp3 => "MP3 audio",
            Self::Mp4 => "MPEG-4 audio (AAC-LC or ALAC)",
            Self::Adts => "AAC-LC audio in ADTS",
        }
    }

    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Flac => "flac",
            Self::OggFlac | Self::OggVorbis => "ogg",
            Self::OggOpus => "opus",
            Self::Mp3 => "mp3",
            Self::Mp4 => "m4a",
            Self::Adts => "aac",
        }
    }

    /// Whether pages hold it, one stream after the other.
    fn is_ogg(self) -> bool {
        matches!(self, Self::OggFlac | Self::OggVorbis | Self::OggOpus)
    }

    fn source(self, bytes: Bytes) -> Box<dyn MediaSource> {
        match self {
            // From a source that it can seek, symphonia would guess the length from the bit rate; only a length
            // that the file itself states may be compared.
            Self::Mp3 | Self::Adts => Box::new(ReadOnlySource::new(bytes)),
            _ => Box::new(bytes),
        }
    }
}

/// The audio track of a file, its first block decoded.
pub(super) struct CompressedStream {
    codec: Codec,
    reader: Box<dyn FormatReader>,
    track: Track,
    /// Whether samples are compared with the file's MD5.
    verify: bool,
    pub(super) channels: usize,
    pub(super) sample_rate_hz: u32,
    /// Frames of the track so far.
    decoded: u64,
    presented: Presented,
    block: Vec<f32>,
    over: bool,
}

impl CompressedStream {
    /// Opens a file from its beginning. With `verify`, its samples are compared with its MD5 at the end.
    pub(super) fn open(mut bytes: Bytes, codec: Codec, verify: bool, name: &Path) -> Result<Self> {
        match codec {
            _ if codec.is_ogg() => ogg::check_pages(&mut bytes, name)?,
            Codec::Mp3 | Codec::Adts => elementary::check_frames(&mut bytes, name)?,
            Codec::Flac => elementary::leave_out_tail_tag(&mut bytes, name)?,
            _ => {}
        }
        let edits = match codec {
            Codec::Mp4 => Edits::read(&mut bytes, name)?,
            _ => Edits::default(),
        };
        let refuse = |error: SymphoniaError| Error::format(name, codec.name(), describe(&error));
        let mut stream = guarded(|| Self::start(bytes, codec, verify)).map_err(refuse)?;
        let Track { id, frames, .. } = stream.track;
        stream.presented = edits.of(id, frames, stream.sample_rate_hz, name)?;
        stream.decode(name)?;
        if stream.over {
            stream.check_whole(name)?;
            return Err(Error::format(name, "audio samples", "none"));
        }
        Ok(stream)
    }

    fn start(bytes: Bytes, codec: Codec, verify: bool) -> Result<Self, SymphoniaError> {
        let stream = MediaSourceStream::new(codec.source(bytes), Default::default());
        let reader = symphonia::default::get_probe().probe(
            &Hint::new(),
            stream,
            FormatOptions::default(),
            Default::default(),
        )?;
        let track = Track::of(&*reader, verify)?;
        Ok(Self {
            codec,
            reader,
            verify,
            channels: 0,
            sample_rate_hz: track.stated_rate_hz,
            track,
            decoded: 0,
            presented: Presented::ALL,
            block: Vec::new(),
            over: false,
        })
    }

    /// Frames that the file states; of Ogg, where another stream may follow the first, none.
    pub(super) fn stated_frames(&self) -> Option<u64> {
        let left = self.track.frames?.saturating_sub(self.presented.skip);
        (!self.codec.is_ogg()).then_some(left.min(self.presented.samples))
    }

    /// Goes on at this frame of FLAC, where its length is stated and no MD5 is to be made; elsewhere the position stays. Returns
    /// the position, none where the frame is not found. At the end the file is then not known to be whole.
    pub(super) fn skip_to(&mut self, frame: u64) -> Option<u64> {
        let within = self.track.frames.is_some_and(|frames| frame < frames);
        if self.codec != Codec::Flac || self.verify || !within || frame < self.decoded {
            return Some(0);
        }
        let to = SeekTo::Timestamp {
            ts: Timestamp::from(frame as i64),
            track_id: self.track.id,
        };
        // Where it came out is by the header of a frame there, whatever a seek table says.
        let found = guarded(|| self.reader.seek(SeekMode::Accurate, to)).ok()?;
        self.decoded = u64::try_from(found.actual_ts.get()).ok()?;
        self.track.decoder.reset();
        self.block.clear();
        self.presented.skip = frame;
        (self.decoded <= frame).then_some(frame)
    }

    /// Appends the next block, interleaved; false at the end, after the file was compared with its stated length and MD5.
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
        let refuse = |codec: Codec, error: SymphoniaError| {
            Error::format(name, codec.name(), describe(&error))
        };
        while self.block.is_empty() && !self.over {
            match guarded(|| self.decode_packet()) {
                // Another Ogg stream begins where the first has ended.
                Err(SymphoniaError::ResetRequired) => {
                    self.check_whole(name)?;
                    self.track = guarded(|| Track::of(&*self.reader, self.verify))
                        .map_err(|error| refuse(self.codec, error))?;
                    self.decoded = 0;
                }
                result => result.map_err(|error| refuse(self.codec, error))?,
            }
        }
        Ok(())
    }

    fn decode_packet(&mut self) -> Result<(), SymphoniaError> {
        let Some(packet) = self.reader.next_packet()? else {
            self.over = true;
            return Ok(());
        };
        if packet.track_id != self.track.id {
            return Ok(());
        }
        if self.codec == Codec::Flac && packet.pts.get() != self.decoded as i64 {
            return Err(SymphoniaError::DecodeError("samples are missing"));
        }
        let buffer = self.track.decoder.decode(&packet)?;
        let found = (buffer.spec().rate(), buffer.spec().channels().count());
        if self.channels != 0 && (self.sample_rate_hz, self.channels) != found {
            let reason = "sample rate or channels change on the way";
            return Err(SymphoniaError::Unsupported(reason));
        }
        (self.sample_rate_hz, self.channels) = found;
        buffer.copy_to_vec_interleaved(&mut self.block);
        let begin = self.decoded;
        self.decoded += (self.block.len() / self.channels.max(1)) as u64;
        let Presented { skip, samples } = self.presented;
        let inside = |at: u64| (at.clamp(begin, self.decoded) - begin) as usize * self.channels;
        self.block.truncate(inside(skip.saturating_add(samples)));
        self.block.drain(..inside(skip).min(self.block.len()));
        Ok(())
    }

    /// Compares what came out with the length and the MD5 that the file states, where it does.
    fn check_whole(&mut self, name: &Path) -> Result<()> {
        let positions = matches!(self.codec, Codec::OggVorbis | Codec::OggOpus);
        match self.track.frames {
            // An MP3 encoder's padding is not always stated, so that there may be more samples than stated. What symphonia
            // infers from positions of Ogg pages, a delay included, is no statement.
            Some(stated) if !positions && self.decoded < stated => {
                let found = format!("{}: the file is cut short", self.decoded);
                return Err(Error::format(name, format!("{stated} samples"), found));
            }
            _ => {}
        }
        let verdict = guarded(|| Ok(self.track.decoder.finalize()));
        if verdict.is_ok_and(|verdict| verdict.verify_ok == Some(false)) {
            let expected = "the samples that the header's MD5 was made of";
            return Err(Error::format(name, expected, "others: the file is damaged"));
        }
        Ok(())
    }
}

/// An audio track and its decoder.
struct Track {
    id: u32,
    /// What the file states, if it does; a rate of 0 where it does not.
    frames: Option<u64>,
    stated_rate_hz: u32,
    decoder: Box<dyn AudioDecoder>,
}

impl Track {
    /// The default audio track.
    fn of(reader: &dyn FormatReader, verify: bool) -> Result<Self, SymphoniaError> {
        let track = (reader.default_track(TrackType::Audio))
            .ok_or(SymphoniaError::Unsupported("no audio track"))?;
        let parameters = (track.codec_params.as_ref())
            .and_then(|params| params.audio())
            .ok_or(SymphoniaError::Unsupported("no audio codec"))?;
        let options = AudioDecoderOptions::default().verify(verify);
        Ok(Self {
            id: track.id,
            frames: track.num_frames,
            stated_rate_hz: parameters.sample_rate.unwrap_or(0),
            decoder: CODECS.make_audio_decoder(parameters, &options)?,
        })
    }
}

/// Decoders meet bytes that nobody has met before. A panic in one (overflows are checked here) ends its file, and not
/// the thread that reads a corpus.
fn guarded<T>(decode: impl FnOnce() -> Result<T, SymphoniaError>) -> Result<T, SymphoniaError> {
    const GAVE_UP: SymphoniaError = SymphoniaError::DecodeError("the decoder gave up");
    caught(decode).unwrap_or(Err(GAVE_UP))
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
