//! Opus, of which symphonia takes Ogg apart and decodes nothing: a decoder for its registry. What comes out is at 48 kHz,
//! whatever rate was encoded, without the encoder's delay, at the gain that the header states.
//!
//! The decoder is opus-rs. It follows libopus but in frames of 2.5 ms, which are refused. Where a stream goes from one
//! mode to another without help of its encoder, libopus makes up 2.5 ms; here these differ from its.
//!
//! Sources: RFC 6716, section 3.1, for packets; RFC 7845, sections 4 and 5.1, for Ogg.

use symphonia::core::audio::layouts::{CHANNEL_LAYOUT_MONO, CHANNEL_LAYOUT_STEREO};
use symphonia::core::audio::{
    AsGenericAudioBufferRef, AudioBuffer, AudioMut, AudioSpec, GenericAudioBufferRef,
};
use symphonia::core::codecs::CodecInfo;
use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::codecs::audio::{
    AudioCodecParameters, AudioDecoder, AudioDecoderOptions, FinalizeResult,
};
use symphonia::core::codecs::registry::{RegisterableAudioDecoder, SupportedAudioCodec};
use symphonia::core::errors::{Error, Result};
use symphonia::core::packet::PacketRef;

/// The rate at which positions and delays are counted, and all streams are decoded.
const RATE_HZ: u32 = 48_000;
/// The longest packet, 120 ms, in samples of one channel.
const LONGEST: usize = 5760;

/// The identification header of a stream.
struct Head {
    channels: usize,
    /// Samples to leave out at the beginning.
    pre_skip: usize,
    /// What samples are multiplied by.
    gain: f32,
}

impl Head {
    /// Reads `OpusHead`; refuses a map of channels, as more than two have: their packets may hold several streams.
    fn of(bytes: &[u8]) -> Result<Self> {
        let header: Option<&[u8; 19]> = bytes.first_chunk();
        let header = header.ok_or(Error::DecodeError("a header that is cut short"))?;
        let (channels, family) = (usize::from(header[9]), header[18]);
        if family != 0 || !(1..=2).contains(&channels) {
            return Err(Error::Unsupported("Opus with a map of its channels"));
        }
        let decibels = f32::from(i16::from_le_bytes([header[16], header[17]])) / 256.0;
        Ok(Self {
            channels,
            pre_skip: usize::from(u16::from_le_bytes([header[10], header[11]])),
            gain: 10f32.powf(decibels / 20.0),
        })
    }
}

/// A stream of packets, decoded one after the other.
pub(super) struct OpusDecoder {
    parameters: AudioCodecParameters,
    head: Head,
    decoder: opus_rs::OpusDecoder,
    /// Samples that are still to be left out.
    skip: usize,
    interleaved: Vec<f32>,
    buffer: AudioBuffer<f32>,
}

impl OpusDecoder {
    fn of(parameters: &AudioCodecParameters) -> Result<Self> {
        let head = Head::of(parameters.extra_data.as_deref().unwrap_or_default())?;
        let layout = match head.channels {
            1 => CHANNEL_LAYOUT_MONO,
            _ => CHANNEL_LAYOUT_STEREO,
        };
        Ok(Self {
            parameters: parameters.clone(),
            decoder: new_decoder(head.channels)?,
            skip: head.pre_skip,
            interleaved: vec![0.0; LONGEST * head.channels],
            buffer: AudioBuffer::new(AudioSpec::new(RATE_HZ, layout), LONGEST),
            head,
        })
    }

    /// Decodes a packet into the buffer, trimmed.
    fn fill(&mut self, packet: &PacketRef<'_>) -> Result<()> {
        if packet.data.first().is_some_and(|&toc| is_shortest(toc)) {
            return Err(Error::Unsupported("Opus in frames of 2.5 ms"));
        }
        let decoded = self
            .decoder
            .decode(packet.data, LONGEST, &mut self.interleaved);
        let frames = decoded.map_err(|_| Error::DecodeError("no packet of Opus"))?;
        let samples = &mut self.interleaved[..frames * self.head.channels];
        for sample in samples.iter_mut() {
            *sample *= self.head.gain;
        }
        self.buffer.render_uninit(Some(frames));
        self.buffer.copy_from_slice_interleaved(&samples);
        let skipped = self.skip.min(frames);
        self.skip -= skipped;
        let beyond = usize::try_from(packet.trim_end.get()).unwrap_or(frames);
        self.buffer.trim(skipped, beyond.min(frames - skipped));
        Ok(())
    }
}

/// Whether the first byte of a packet is that of CELT frames of 2.5 ms.
fn is_shortest(toc: u8) -> bool {
    toc & 0b1001_1000 == 0b1000_0000
}

fn new_decoder(channels: usize) -> Result<opus_rs::OpusDecoder> {
    opus_rs::OpusDecoder::new(RATE_HZ as i32, channels).map_err(Error::Unsupported)
}

impl AudioDecoder for OpusDecoder {
    fn reset(&mut self) {
        if let Ok(decoder) = new_decoder(self.head.channels) {
            self.decoder = decoder;
        }
    }

    fn codec_info(&self) -> &CodecInfo {
        &Self::supported_codecs()[0].info
    }

    fn codec_params(&self) -> &AudioCodecParameters {
        &self.parameters
    }

    fn decode_ref(&mut self, packet: &PacketRef<'_>) -> Result<GenericAudioBufferRef<'_>> {
        self.buffer.clear();
        self.fill(packet)?;
        Ok(self.buffer.as_generic_audio_buffer_ref())
    }

    fn finalize(&mut self) -> FinalizeResult {
        FinalizeResult::default()
    }

    fn last_decoded(&self) -> GenericAudioBufferRef<'_> {
        self.buffer.as_generic_audio_buffer_ref()
    }
}

impl RegisterableAudioDecoder for OpusDecoder {
    fn try_registry_new(
        parameters: &AudioCodecParameters,
        _: &AudioDecoderOptions,
    ) -> Result<Box<dyn AudioDecoder>> {
        Ok(Box::new(Self::of(parameters)?))
    }

    fn supported_codecs() -> &'static [SupportedAudioCodec] {
        &[SupportedAudioCodec {
            id: CODEC_ID_OPUS,
            info: CodecInfo {
                short_name: "opus",
                long_name: "Opus",
                profiles: &[],
            },
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortest_frames_are_those_of_the_rfc() {
        for config in 0..32 {
            let shortest = [16, 20, 24, 28].contains(&config);
            assert_eq!(is_shortest(config << 3 | 5), shortest, "{config}");
        }
    }
}
