//! PNG files with 8-bit pixels, grey or RGB.

use std::io::{BufReader, ErrorKind};
use std::path::Path;

use png::{BitDepth, ColorType, Decoder, DecodingError, Encoder, Transformations};

use super::atomic::AtomicFile;
use crate::error::{Error, Result};
use crate::io::inputs;

/// 64 Mi: images of data sets are smaller, and a damaged header must not reserve more memory.
const MOST_PIXELS: usize = 1 << 26;

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raster {
    /// 1 is grey, 3 is red, green and blue.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `[height, width, channels]`, channels fastest; 0 is black.
    pub pixels: Vec<u8>,
}

/// Reads a PNG file: grey where it is grey, else RGB. A palette becomes its colours; of 16 bits the upper 8 stay; what
/// is transparent is drawn on white. Of an animation only the first picture is read; gamma and colour
/// profiles are not applied.
///
/// # Errors
/// [`Error::Io`] when it cannot be read; [`Error::Format`] for what is no PNG file, is broken, or has more than 64 Mi
/// pixels.
pub fn read_png(path: impl AsRef<Path>) -> Result<Raster> {
    let path = path.as_ref();
    let file = inputs::open(path).map_err(Error::io(path))?;
    let mut decoder = Decoder::new(BufReader::new(file));
    decoder.set_transformations(Transformations::normalize_to_color8());
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let (width, height) = (decoder.read_header_info())
        .map(|info| (info.width as usize, info.height as usize))
        .map_err(|error| wrong(path, error))?;
    if width.saturating_mul(height) > MOST_PIXELS {
        let expected = format!("at most {MOST_PIXELS} pixels");
        let found = format!("{width} by {height}");
        return Err(Error::format(path, expected, found));
    }
    let mut reader = decoder.read_info().map_err(|error| wrong(path, error))?;
    // At most 4 bytes per pixel, and the number of pixels is bounded.
    let mut bytes = vec![0; reader.output_buffer_size().unwrap_or(4 * width * height)];
    let frame = (reader.next_frame(&mut bytes)).map_err(|error| wrong(path, error))?;
    reader.finish().map_err(|error| wrong(path, error))?;
    bytes.truncate(frame.buffer_size());
    let (channels, pixels) = match frame.color_type {
        ColorType::Grayscale => (1, bytes),
        ColorType::GrayscaleAlpha => (1, on_white::<2>(&bytes)),
        ColorType::Rgba => (3, on_white::<4>(&bytes)),
        // A palette has become its colours.
        ColorType::Rgb | ColorType::Indexed => (3, bytes),
    };
    Ok(Raster {
        channels,
        height: frame.height as usize,
        width: frame.width as usize,
        pixels,
    })
}

/// Writes a PNG file of 8 bits, atomically.
///
/// # Errors
/// [`Error::Format`] for other channels than 1 or 3, no pixels, more than 64 Mi, or another number of them than the
/// sides have; [`Error::Io`].
pub fn write_png(path: impl AsRef<Path>, raster: &Raster) -> Result<()> {
    let path = path.as_ref();
    check(path, raster)?;
    let mut file = AtomicFile::create(path)?;
    let mut encoder = Encoder::new(&mut file, raster.width as u32, raster.height as u32);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_color(match raster.channels {
        1 => ColorType::Grayscale,
        _ => ColorType::Rgb,
    });
    encoder
        .write_header()
        .and_then(|mut writer| {
            writer.write_image_data(&raster.pixels)?;
            writer.finish()
        })
        .map_err(|error| Error::io(path)(error.into()))?;
    file.commit()
}

fn check(path: &Path, raster: &Raster) -> Result<()> {
    let Raster {
        channels,
        height,
        width,
        pixels,
    } = raster;
    let area = height.saturating_mul(*width);
    let sound = matches!(channels, 1 | 3)
        && (1..=MOST_PIXELS).contains(&area)
        && pixels.len() == area * channels;
    if sound {
        return Ok(());
    }
    let expected = format!("1 to {MOST_PIXELS} pixels of 1 or 3 channels");
    let found = format!(
        "{height} by {width} pixels of {channels} channels in {} bytes",
        pixels.len()
    );
    Err(Error::format(path, expected, found))
}

/// Pixels of `N` values, opacity the last, on white.
fn on_white<const N: usize>(bytes: &[u8]) -> Vec<u8> {
    let (pixels, _) = bytes.as_chunks::<N>();
    let blend = |value: u8, opacity: u8| {
        let (value, opacity) = (u32::from(value), u32::from(opacity));
        ((value * opacity + 255 * (255 - opacity) + 127) / 255) as u8
    };
    pixels
        .iter()
        .flat_map(|pixel| {
            pixel[..N - 1]
                .iter()
                .map(|&value| blend(value, pixel[N - 1]))
        })
        .collect()
}

fn wrong(path: &Path, error: DecodingError) -> Error {
    match error {
        DecodingError::IoError(cause) if cause.kind() != ErrorKind::UnexpectedEof => {
            Error::io(path)(cause)
        }
        other => Error::format(path, "a whole PNG image", other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encodes pixels of any kind.
    fn encoded(kind: ColorType, depth: BitDepth, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, 2, 1);
        encoder.set_color(kind);
        encoder.set_depth(depth);
        if kind == ColorType::Indexed {
            encoder.set_palette(vec![1, 2, 3, 4, 5, 6]);
            encoder.set_trns(vec![255, 0]);
        }
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(data).unwrap();
        writer.finish().unwrap();
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Raster> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        read_png(file.path())
    }

    #[test]
    fn every_kind_becomes_grey_or_rgb() {
        use BitDepth::{Eight, One, Sixteen};
        use ColorType::{Grayscale, GrayscaleAlpha, Indexed, Rgb, Rgba};
        let cases: [(ColorType, BitDepth, &[u8], &[u8]); 9] = [
            (Grayscale, Eight, &[7, 200], &[7, 200]),
            (Grayscale, One, &[0b0100_0000], &[0, 255]),
            (Grayscale, Sixteen, &[7, 99, 200, 0], &[7, 200]),
            (GrayscaleAlpha, Eight, &[7, 255, 0, 51], &[7, 204]),
            (
                GrayscaleAlpha,
                Sixteen,
                &[7, 1, 255, 255, 9, 9, 0, 0],
                &[7, 255],
            ),
            (Rgb, Eight, &[1, 2, 3, 4, 5, 6], &[1, 2, 3, 4, 5, 6]),
            (
                Rgb,
                Sixteen,
                &[1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0],
                &[1, 2, 3, 4, 5, 6],
            ),
            (
                Rgba,
                Eight,
                &[1, 2, 3, 255, 4, 5, 6, 0],
                &[1, 2, 3, 255, 255, 255],
            ),
            (Indexed, Eight, &[0, 1], &[1, 2, 3, 255, 255, 255]),
        ];
        for (kind, depth, data, expected) in cases {
            let raster = read(&encoded(kind, depth, data)).unwrap();
            assert_eq!(raster.pixels, expected, "{kind:?} {depth:?}");
            assert_eq!(
                (raster.channels, raster.height, raster.width),
                (expected.len() / 2, 1, 2)
            );
        }
    }

    #[test]
    fn pictures_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.png");
        for channels in [1, 3] {
            let raster = Raster {
                channels,
                height: 5,
                width: 4,
                pixels: (0..20 * channels).map(|i| (i * 11) as u8).collect(),
            };
            write_png(&path, &raster).unwrap();
            assert_eq!(read_png(&path).unwrap(), raster);
            let wrong = Raster { width: 3, ..raster };
            assert!(write_png(&path, &wrong).is_err());
        }
    }

    #[test]
    fn every_truncation_is_refused() {
        let whole = encoded(ColorType::Rgb, BitDepth::Eight, &[1, 2, 3, 4, 5, 6]);
        for length in 0..whole.len() {
            let refused = read(&whole[..length]);
            assert!(matches!(refused, Err(Error::Format { .. })), "{length}");
        }
        let text = read(b"a text, not a picture").unwrap_err().to_string();
        assert!(
            text.contains(": expected a whole PNG image, found "),
            "{text}"
        );
    }

    #[test]
    fn a_huge_picture_is_refused_by_its_header() {
        let mut bytes = Vec::new();
        let encoder = Encoder::new(&mut bytes, 1 << 20, 1 << 20);
        drop(encoder.write_header().unwrap());
        let text = read(&bytes).unwrap_err().to_string();
        assert!(
            text.contains("at most 67108864 pixels, found 1048576 by"),
            "{text}"
        );
    }
}
