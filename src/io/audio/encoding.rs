//! The encodings of samples in uncompressed audio.

/// The encoding of one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Two's complement of 1 to 4 bytes. What a narrower sample leaves free are its low bits, so that full scale is
    /// the container's.
    Signed { bytes: usize, order: Order },
    /// The same in the low `bits` of the bytes; what the high ones hold is not looked at.
    SignedLow {
        bytes: usize,
        bits: u32,
        order: Order,
    },
    /// 8 bits around 128, as WAV has them.
    Unsigned8,
    /// IEEE 754 single precision.
    Float32(Order),
    /// IEEE 754 double precision.
    Float64(Order),
    /// ITU-T G.711 A-law.
    ALaw,
    /// ITU-T G.711 mu-law.
    MuLaw,
}

/// Which byte of a sample comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Encoding {
    /// Bytes of one sample.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Signed { bytes, .. } | Self::SignedLow { bytes, .. } => bytes,
            Self::Unsigned8 | Self::ALaw | Self::MuLaw => 1,
            Self::Float32(_) => 4,
            Self::Float64(_) => 8,
        }
    }
}
