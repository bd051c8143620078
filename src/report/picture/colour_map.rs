//! Rasters of values in colour. Lightness increases with the value, also for colour-blind readers and in print.

use std::sync::OnceLock;

/// Levels of a pixel: about as many as the eye distinguishes, which keeps files small.
pub const LEVELS: usize = 64;

/// Colours of viridis (Smith and van der Walt 2015, CC0), dark to light, with linear interpolation between them.
const STOPS: [[u8; 3]; 9] = [
    [68, 1, 84],
    [71, 44, 122],
    [59, 81, 139],
    [44, 113, 142],
    [33, 144, 141],
    [39, 173, 129],
    [92, 200, 99],
    [170, 220, 50],
    [253, 231, 37],
];

/// The level of each pixel, row by row from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) levels: Vec<u8>,
}

impl Image {
    /// A raster of `width * height` levels below [`LEVELS`].
    ///
    /// # Panics
    /// When there are not as many, or one is not below.
    pub fn new(width: usize, height: usize, levels: Vec<u8>) -> Self {
        assert_eq!(levels.len(), width * height, "a level for each pixel");
        assert!(levels.iter().all(|&level| usize::from(level) < LEVELS));
        Self {
            width,
            height,
            levels,
        }
    }

    /// The file, PNG with a palette.
    pub(super) fn png(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let (width, height) = (self.width as u32, self.height as u32);
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_palette(palette().as_flattened());
        encoder.set_compression(png::Compression::High);
        // Filters do not reduce the size of palette images.
        encoder.set_filter(png::Filter::NoFilter);
        encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&self.levels))
            .expect("a vector takes everything, and levels are as many as pixels");
        bytes
    }

    /// Colours of the pixels.
    pub(super) fn colours(&self) -> impl Iterator<Item = [u8; 3]> {
        self.levels
            .iter()
            .map(|&level| palette()[usize::from(level)])
    }
}

/// The colour of each level.
fn palette() -> &'static [[u8; 3]; LEVELS] {
    static PALETTE: OnceLock<[[u8; 3]; LEVELS]> = OnceLock::new();
    PALETTE.get_or_init(|| std::array::from_fn(colour))
}

fn colour(level: usize) -> [u8; 3] {
    let place = level as f64 / (LEVELS - 1) as f64 * (STOPS.len() - 1) as f64;
    let stop = (place as usize).min(STOPS.len() - 2);
    let part = place - stop as f64;
    std::array::from_fn(|channel| {
        let (low, high) = (STOPS[stop][channel], STOPS[stop + 1][channel]);
        (f64::from(low) + part * (f64::from(high) - f64::from(low))).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn higher_is_lighter() {
        // Relative luminance, ITU-R BT.709.
        let light = |[r, g, b]: [u8; 3]| {
            0.2126 * f64::from(r) + 0.7152 * f64::from(g) + 0.0722 * f64::from(b)
        };
        assert!(
            palette()
                .windows(2)
                .all(|pair| light(pair[0]) <= light(pair[1]) + 0.5)
        );
        assert_eq!((palette()[0], palette()[LEVELS - 1]), (STOPS[0], STOPS[8]));
    }

    #[test]
    fn the_file_is_read_back() {
        let image = Image::new(3, 2, vec![0, 1, 2, 61, 62, 63]);
        let mut reader = png::Decoder::new(std::io::Cursor::new(image.png()))
            .read_info()
            .unwrap();
        let mut levels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut levels).unwrap();
        assert_eq!((info.width, info.height, &levels), (3, 2, &image.levels));
    }
}
