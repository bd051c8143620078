//! The companding laws of telephony, at 16 bits as every decoder has them.
//!
//! Source: ITU-T G.711 (11/88), tables 1 and 2.

/// A-law: an inverted sign bit, three of segment, four of interval, even bits inverted; 13 bits in the high bits of 16.
pub fn a_law_decoded(code: u8) -> i16 {
    let code = code ^ 0x55;
    let (segment, interval) = ((code >> 4) & 7, i16::from(code & 0xf));
    let magnitude = match segment {
        0 => (interval << 4) + 8,
        _ => ((interval << 4) + 0x108) << (segment - 1),
    };
    if code & 0x80 == 0 {
        -magnitude
    } else {
        magnitude
    }
}

/// What is added to a magnitude at 16 bits, so that every segment begins at a power of two.
const MU_BIAS: i16 = 0x84;

/// mu-law: as A-law, but with every bit inverted and a bias of 33 at 14 bits.
pub fn mu_law_decoded(code: u8) -> i16 {
    let code = !code;
    let (segment, interval) = ((code >> 4) & 7, i16::from(code & 0xf));
    let magnitude = (((interval << 3) + MU_BIAS) << segment) - MU_BIAS;
    if code & 0x80 == 0 {
        magnitude
    } else {
        -magnitude
    }
}

/// The code of the interval of mu-law that a sample lies in; what is beyond the last is clipped to it.
pub fn mu_law_encoded(sample: i16) -> u8 {
    // 32635 and the bias fill the eighth segment.
    let magnitude = sample.unsigned_abs().min(32635) + MU_BIAS as u16;
    let segment = (8 - magnitude.leading_zeros()) as u8;
    let interval = (magnitude >> (segment + 3)) as u8 & 0xf;
    let sign = if sample < 0 { 0x80 } else { 0 };
    !(sign | segment << 4 | interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ends of both laws, their smallest steps, signs that mirror.
    #[test]
    fn codes_stand_for_the_tables_values() {
        for (code, value) in [
            (0xff, 0),
            (0xfe, 8),
            (0x80, 32124),
            (0x00, -32124),
            (0x7e, -8),
        ] {
            assert_eq!(mu_law_decoded(code), value, "mu {code:#x}");
        }
        for (code, value) in [(0xd5, 8), (0x55, -8), (0xaa, 32256), (0x2a, -32256)] {
            assert_eq!(a_law_decoded(code), value, "A {code:#x}");
        }
        for code in 0..0x80 {
            for law in [a_law_decoded, mu_law_decoded] {
                assert_eq!(law(code), -law(code | 0x80));
            }
        }
    }

    #[test]
    fn samples_go_to_the_interval_that_they_lie_in() {
        let mut last = i16::MIN;
        for sample in -32635..=32635 {
            let code = mu_law_encoded(sample);
            let value = mu_law_decoded(code);
            // The widest interval of a segment has 8 steps of it at 16 bits.
            let half = 4i32 << ((!code >> 4) & 7);
            assert!(
                (i32::from(value) - i32::from(sample)).abs() <= half,
                "{sample}: {value}"
            );
            assert!(value >= last, "{sample}");
            last = value;
        }
        assert_eq!(mu_law_encoded(i16::MIN), 0x00);
        assert_eq!(mu_law_encoded(i16::MAX), 0x80);
        for code in 0..=255 {
            // Minus zero comes back as zero.
            let back = mu_law_encoded(mu_law_decoded(code));
            assert!(back == code || code == 0x7f, "{code:#x}");
        }
    }
}
