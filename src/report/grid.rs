//! A grid of images as one PNG: samples, originals and reconstructions, one row per step of a code.

use std::path::Path;

use ndarray::{ArrayView3, ArrayView4, Axis};

use crate::error::{Error, Result};
use crate::io::png::{Raster, write_png};

/// Pixels between images and around the grid.
const BORDER: usize = 2;
const PAPER: u8 = 255;
/// The width of the picture in pixels, without a given zoom.
const WIDE: usize = 600;
/// The largest picture: a larger one is probably a mistake, and memory may not suffice.
const MOST_BYTES: usize = 600_000_000;

/// A grid, filled row after row; the last row may be short.
#[derive(Debug, Clone, Copy)]
pub struct ImageGrid<'a> {
    /// `[images, channels, height, width]`; of 1 channel grey, of 3 red, green and blue.
    pub images: ArrayView4<'a, u8>,
    /// Images per row, from 1.
    pub columns: usize,
    /// Zoom factor; none: such that the grid is at least 600 pixels wide.
    pub zoom: Option<usize>,
}

impl ImageGrid<'_> {
    /// Writes it as PNG, atomically.
    ///
    /// # Errors
    /// [`Error::Option`] for no image, no column or a zoom of 0, for other channels than 1 or 3, or for more than 600 MB
    /// of pixels; [`Error::Io`] when it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_png(path, &self.raster()?)
    }

    fn raster(&self) -> Result<Raster> {
        let (images, channels, height, width) = self.images.dim();
        if self.images.is_empty() || (channels != 1 && channels != 3) {
            let found = format!("{images} of {channels} x {height} x {width}");
            return Err(Error::option("images", "some of 1 or 3 channels", found));
        }
        if self.columns == 0 || self.zoom == Some(0) {
            return Err(Error::option("columns and zoom", "at least 1", "0"));
        }
        // A grid of few images has only as many columns.
        let columns = self.columns.min(images);
        let zoom = self
            .zoom
            .unwrap_or_else(|| WIDE.div_ceil(columns.saturating_mul(width)));
        let cell = (height.saturating_mul(zoom), width.saturating_mul(zoom));
        let mut raster = blank(
            channels,
            along(images.div_ceil(columns), cell.0),
            along(columns, cell.1),
        )?;
        for (number, image) in self.images.axis_iter(Axis(0)).enumerate() {
            let top = BORDER + number / columns * (cell.0 + BORDER);
            let left = BORDER + number % columns * (cell.1 + BORDER);
            draw(&mut raster, image, (top, left), zoom);
        }
        Ok(raster)
    }
}

/// The size of `cells` images with their borders, in pixels.
fn along(cells: usize, size: usize) -> usize {
    cells
        .saturating_mul(size.saturating_add(BORDER))
        .saturating_add(BORDER)
}

/// A white picture.
fn blank(channels: usize, height: usize, width: usize) -> Result<Raster> {
    let bytes = height.saturating_mul(width).saturating_mul(channels);
    if bytes > MOST_BYTES {
        let expected = format!("a grid of at most {MOST_BYTES} bytes");
        let found = format!("{width} by {height} pixels");
        return Err(Error::option("images", expected, found));
    }
    Ok(Raster {
        channels,
        height,
        width,
        pixels: vec![PAPER; bytes],
    })
}

/// Draws `[channels, height, width]` from its upper left corner, each pixel `zoom` times across and down.
fn draw(raster: &mut Raster, image: ArrayView3<u8>, (top, left): (usize, usize), zoom: usize) {
    for ((channel, y, x), &value) in image.indexed_iter() {
        for row in top + y * zoom..top + (y + 1) * zoom {
            let first = row * raster.width + left + x * zoom;
            for pixel in first..first + zoom {
                raster.pixels[pixel * raster.channels + channel] = value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array4;

    fn images(shape: (usize, usize, usize, usize)) -> Array4<u8> {
        Array4::from_shape_fn(shape, |(image, channel, y, x)| {
            (image * 50 + channel * 7 + y * 3 + x) as u8
        })
    }

    #[test]
    fn images_lie_row_after_row_with_a_border() {
        let images = images((3, 3, 2, 4));
        let grid = ImageGrid {
            images: images.view(),
            columns: 2,
            zoom: Some(3),
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.png");
        grid.write(&path).unwrap();
        let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
        let mut reader = png::Decoder::new(file).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (2 + 2 * 14, 2 + 2 * 8));
        let at = |y: usize, x: usize| pixels[(y * 30 + x) * 3..][..3].to_vec();
        for (image, top, left) in [(0, 2, 2), (1, 2, 16), (2, 10, 2)] {
            for (y, x) in [(0, 0), (1, 3)] {
                let expected: Vec<u8> = (0..3)
                    .map(|channel| images[[image, channel, y, x]])
                    .collect();
                for inside in [0, 2] {
                    assert_eq!(at(top + 3 * y + inside, left + 3 * x + inside), expected);
                }
            }
        }
        for (y, x) in [(0, 0), (5, 14), (9, 5), (12, 20)] {
            assert_eq!(at(y, x), [255; 3], "{y} {x}");
        }
    }

    #[test]
    fn small_images_are_made_visible() {
        let images = images((20, 1, 28, 28));
        let width = |columns, zoom| {
            let grid = ImageGrid {
                images: images.view(),
                columns,
                zoom,
            };
            grid.raster().unwrap().width
        };
        assert_eq!(width(10, None), 10 * (3 * 28 + 2) + 2);
        assert_eq!(width(30, None), 20 * (2 * 28 + 2) + 2);
        assert_eq!(width(10, Some(1)), 10 * 30 + 2);
    }

    #[test]
    fn invalid_grids_are_refused() {
        let (two, none) = (images((1, 2, 3, 3)), images((0, 1, 3, 3)));
        let one = images((1, 1, 3, 3));
        for (images, columns, zoom, expected) in [
            (
                &two,
                1,
                None,
                "images: expected some of 1 or 3 channels, found 1 of 2 x 3 x 3",
            ),
            (
                &none,
                1,
                None,
                "images: expected some of 1 or 3 channels, found 0 of 1 x 3 x 3",
            ),
            (
                &one,
                0,
                None,
                "columns and zoom: expected at least 1, found 0",
            ),
            (
                &one,
                1,
                Some(0),
                "columns and zoom: expected at least 1, found 0",
            ),
            (
                &one,
                1,
                Some(usize::MAX),
                "images: expected a grid of at most 600000000 bytes, found",
            ),
        ] {
            let grid = ImageGrid {
                images: images.view(),
                columns,
                zoom,
            };
            let error = grid.write(Path::new("x.png")).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
