//! Integers narrower than their bytes: in the high bits, as the formats have it, or in the low ones, as ALSA's `arecord`
//! writes 24 bits in 4 bytes (`S24_LE`) under the same header.
//!
//! Sources: Microsoft's `WAVEFORMATEXTENSIBLE` and the Core Audio Format Specification 1.0 for the high bits; ALSA's
//! `pcm.h` for the low ones, where the high byte repeats the sign or is 0.

use std::path::Path;

use super::encoding::{Encoding, Order};
use super::input::Bytes;
use super::pcm::{Extent, fill, word};
use crate::error::{Error, Result};

/// A multiple of 2, 3 and 4 bytes.
const BLOCK_BYTES: usize = 12 << 12;

/// The encoding of samples of `valid_bits` that begin at the position, found from the samples themselves. They are
/// read through once where the header leaves it open; afterwards the position is unchanged.
///
/// Low bits it is where every sample has a value that fits into them, and either some bit is set that would have to be 0
/// in high ones, or a whole byte is free: a recording that nowhere comes within 48 dB of full scale is the rarer case.
pub(super) fn placed(
    encoding: Encoding,
    valid_bits: u32,
    bytes: &mut Bytes,
    extent: Extent,
    name: &Path,
) -> Result<Encoding> {
    let Encoding::Signed {
        bytes: width,
        order,
    } = encoding
    else {
        return Ok(encoding);
    };
    let unused = (8 * width as u32).saturating_sub(valid_bits);
    if valid_bits == 0 || unused == 0 {
        return Ok(encoding);
    }
    let begin = bytes.position();
    let low = Place::find(width, order, unused, bytes, extent).map_err(Error::io(name))?;
    bytes.go_to(begin, name)?;
    Ok(match low.fits && (low.finer || unused >= 8) {
        true => Encoding::SignedLow {
            bytes: width,
            bits: valid_bits,
            order,
        },
        false => encoding,
    })
}

/// What is true of samples if they are taken for low bits.
struct Place {
    /// The high bits repeat the sign, or are 0, in every sample.
    fits: bool,
    /// Some of the lowest bits, which high ones would leave free, are set.
    finer: bool,
}

impl Place {
    fn find(
        width: usize,
        order: Order,
        unused: u32,
        bytes: &mut Bytes,
        extent: Extent,
    ) -> std::io::Result<Self> {
        let mut place = Self {
            fits: true,
            finer: false,
        };
        let mut left = match extent {
            Extent::Bytes(count) => count,
            Extent::ToTheEnd => u64::MAX,
        };
        let mut buffer = vec![0; BLOCK_BYTES];
        // The container's lowest bits: as many as are free.
        let lowest = ((1u64 << unused) - 1) << (32 - 8 * width);
        while place.fits && left > 0 {
            let wanted = left.min(BLOCK_BYTES as u64) as usize;
            let count = fill(bytes, &mut buffer[..wanted])?;
            for raw in buffer[..count].chunks_exact(width) {
                let sample = word(raw, order);
                let signed = sample << unused >> unused == sample;
                place.fits &= signed || sample as u32 >> (32 - unused) == 0;
                place.finer |= u64::from(sample as u32) & lowest != 0;
            }
            left = if count < wanted {
                0
            } else {
                left - count as u64
            };
        }
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LITTLE: Order = Order::Little;

    fn low(samples: &[u8], width: usize, bits: u32) -> bool {
        let mut bytes = Bytes::memory(samples.to_vec());
        let encoding = Encoding::Signed {
            bytes: width,
            order: LITTLE,
        };
        let extent = Extent::Bytes(samples.len() as u64);
        let placed = placed(encoding, bits, &mut bytes, extent, Path::new("x")).unwrap();
        assert_eq!(bytes.position(), 0);
        placed != encoding
    }

    #[test]
    fn the_used_bits_are_found_from_the_samples() {
        // 24 bits in 4 bytes: the sign repeated, 0 above it, high bits, noise over all.
        assert!(low(&[1, 2, 3, 0, 1, 2, 0xf3, 0xff], 4, 24));
        assert!(low(&[1, 2, 0xf3, 0, 1, 2, 3, 0], 4, 24));
        assert!(!low(&[0, 1, 2, 3, 0, 1, 2, 0xf3], 4, 24));
        assert!(!low(&[9, 1, 2, 3, 9, 1, 2, 0xf3], 4, 24));
        // Sixteen bits of speech within them, as a converter writes.
        assert!(low(&[0, 2, 3, 0, 0, 2, 0xf3, 0xff], 4, 24));
        // 12 bits in 2 bytes: loud in the low bits; soft in the high ones.
        assert!(low(&[0x21, 0x03, 0x21, 0xf8], 2, 12));
        assert!(!low(&[0x20, 0x03, 0x20, 0xf8], 2, 12));
        // Nothing is free.
        assert!(!low(&[1, 0, 1, 0], 2, 16));
    }
}
