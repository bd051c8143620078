//! A picture as PNG.

use tiny_skia::{
    Color, FillRule, LineJoin, Paint, Path, PathBuilder, Pixmap, Rect, Stroke, Transform,
};
use ttf_parser::OutlineBuilder;

use super::{Anchor, Colour, Image, Picture, Place, Shape, TextStyle, font};
use crate::error::{Error, Result};

/// The largest picture: a larger one is probably a mistake, and memory may not suffice.
const MOST_PIXELS: usize = 200_000_000;

impl Picture {
    /// The picture as a PNG file.
    pub(super) fn png(&self) -> Result<Vec<u8>> {
        let refuse = || {
            let expected = format!("1 to {MOST_PIXELS} pixels");
            let found = format!("{} by {}", self.width, self.height);
            Error::option("picture", expected, found)
        };
        if self.width.saturating_mul(self.height) > MOST_PIXELS {
            return Err(refuse());
        }
        let mut pixels = Pixmap::new(self.width as u32, self.height as u32).ok_or_else(refuse)?;
        pixels.fill(Color::WHITE);
        for shape in &self.shapes {
            draw(&mut pixels, shape);
        }
        Ok(encode(&pixels))
    }
}

/// Without opacity: the background is white.
fn encode(pixels: &Pixmap) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, pixels.width(), pixels.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    // Pictures have few colours: filters would make files larger.
    encoder.set_filter(png::Filter::NoFilter);
    let (colours, _) = pixels.data().as_chunks::<4>();
    let data: Vec<u8> = colours
        .iter()
        .flat_map(|[r, g, b, _]| [*r, *g, *b])
        .collect();
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(&data))
        .expect("a vector takes everything, and colours are as many as pixels");
    bytes
}

fn draw(pixels: &mut Pixmap, shape: &Shape) {
    match shape {
        Shape::Rectangle { at, size, fill } => {
            let sides = (at.0 as f32, at.1 as f32, size.0 as f32, size.1 as f32);
            if let Some(rect) = Rect::from_xywh(sides.0, sides.1, sides.2, sides.3) {
                pixels.fill_rect(rect, &paint(*fill), Transform::identity(), None);
            }
        }
        Shape::Line {
            points,
            stroke,
            width,
        } => {
            let style = Stroke {
                width: *width as f32,
                line_join: LineJoin::Round,
                ..Stroke::default()
            };
            if let Some(path) = path(points, false) {
                pixels.stroke_path(&path, &paint(*stroke), &style, Transform::identity(), None);
            }
        }
        Shape::Area { points, fill } => {
            if let Some(path) = path(points, true) {
                fill_path(pixels, &path, *fill, Transform::identity());
            }
        }
        Shape::Dots {
            points,
            radius,
            fill,
        } => {
            for (x, y) in points {
                let disc = PathBuilder::from_circle(*x as f32, *y as f32, *radius as f32);
                if let Some(disc) = disc {
                    fill_path(pixels, &disc, *fill, Transform::identity());
                }
            }
        }
        Shape::Text { at, words, style } => text(pixels, *at, words, style),
        Shape::Hinted { shapes, .. } => shapes.iter().for_each(|shape| draw(pixels, shape)),
        Shape::Raster { at, image } => copy(pixels, *at, image),
    }
}

fn fill_path(pixels: &mut Pixmap, path: &Path, fill: Colour, transform: Transform) {
    pixels.fill_path(path, &paint(fill), FillRule::Winding, transform, None);
}

fn paint(Colour([r, g, b, opacity]): Colour) -> Paint<'static> {
    let mut paint = Paint {
        anti_alias: true,
        ..Paint::default()
    };
    paint.set_color_rgba8(r, g, b, opacity);
    paint
}

fn path(points: &[Place], closed: bool) -> Option<Path> {
    let mut builder = PathBuilder::new();
    for (index, (x, y)) in points.iter().enumerate() {
        match index {
            0 => builder.move_to(*x as f32, *y as f32),
            _ => builder.line_to(*x as f32, *y as f32),
        }
    }
    if closed {
        builder.close();
    }
    builder.finish()
}

fn text(pixels: &mut Pixmap, at: Place, words: &str, style: &TextStyle) {
    let mut pen = Pen(PathBuilder::new());
    font::outline(words, style.size, &mut pen);
    let Some(path) = pen.0.finish() else { return };
    let back = match style.anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => -font::width(words, style.size) / 2.0,
        Anchor::End => -font::width(words, style.size),
    };
    let angle = if style.upwards { -90.0 } else { 0.0 };
    let transform = Transform::from_translate(back as f32, 0.0)
        .post_rotate(angle)
        .post_translate(at.0 as f32, at.1 as f32);
    fill_path(pixels, &path, style.fill, transform);
}

/// Rasters have the picture's own pixels, so they are copied and stay sharp.
fn copy(pixels: &mut Pixmap, at: Place, image: &Image) {
    let (left, top) = (at.0.round() as isize, at.1.round() as isize);
    let (width, height) = (pixels.width() as isize, pixels.height() as isize);
    for (index, [r, g, b]) in image.colours().enumerate() {
        let x = left + (index % image.width) as isize;
        let y = top + (index / image.width) as isize;
        if (0..width).contains(&x) && (0..height).contains(&y) {
            let start = (y * width + x) as usize * 4;
            pixels.data_mut()[start..start + 4].copy_from_slice(&[r, g, b, 255]);
        }
    }
}

/// Records the outline of a glyph.
struct Pen(PathBuilder);

impl OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        self.0.move_to(x, y);
    }
    fn line_to(&mut self, x: f32, y: f32) {
        self.0.line_to(x, y);
    }
    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.0.quad_to(x1, y1, x, y);
    }
    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.0.cubic_to(x1, y1, x2, y2, x, y);
    }
    fn close(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::one_of_each;

    fn decoded(bytes: &[u8]) -> (usize, Vec<[u8; 3]>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
            .read_info()
            .unwrap();
        let mut data = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut data).unwrap();
        let (pixels, _) = data.as_chunks::<3>();
        (info.width as usize, pixels.to_vec())
    }

    #[test]
    fn shapes_are_where_they_were_put() {
        let (width, pixels) = decoded(&one_of_each().png().unwrap());
        let at = |x: usize, y: usize| pixels[y * width + x];
        assert_eq!((width, pixels.len()), (200, 200 * 100));
        assert_eq!(at(0, 0), [255, 255, 255]);
        assert_eq!(at(15, 15), [255, 0, 0]);
        assert_eq!(at(70, 99), [0, 0, 0]);
        let [r, g, b] = at(110, 20);
        assert!((126..=128).contains(&r) && r == g && b == 255);
        assert_eq!(at(50, 50), [0, 0, 0]);
        assert_eq!((at(150, 20), at(151, 20)), ([68, 1, 84], [253, 231, 37]));
        let ink = |x: std::ops::Range<usize>| {
            x.flat_map(|x| (60..90).map(move |y| (x, y)))
                .filter(|(x, y)| at(*x, *y)[0] < 128)
                .count()
        };
        assert!(
            ink(70..130) > 60 && ink(0..60) == 0,
            "the words lie around their place"
        );
    }

    #[test]
    fn too_many_pixels_are_refused() {
        let mut picture = one_of_each();
        picture.width = 1 << 30;
        let error = picture.png().unwrap_err().to_string();
        assert!(
            error.starts_with("picture: expected 1 to 200000000 pixels"),
            "{error}"
        );
    }
}
