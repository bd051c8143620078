//! DejaVu Sans: the width of text and the outlines of its glyphs.

use std::sync::OnceLock;

use ttf_parser::{Face, GlyphId, OutlineBuilder};

fn face() -> &'static Face<'static> {
    static FACE: OnceLock<Face<'static>> = OnceLock::new();
    FACE.get_or_init(|| {
        Face::parse(dejavu::sans::regular(), 0).expect("the font that is built in can be read")
    })
}

/// The glyphs of a text and the width of each, in the font's units. A character that the font lacks is an empty box.
fn glyphs(words: &str) -> impl Iterator<Item = (GlyphId, u16)> {
    words.chars().map(|letter| {
        let glyph = face().glyph_index(letter).unwrap_or_default();
        (glyph, face().glyph_hor_advance(glyph).unwrap_or_default())
    })
}

/// Pixels per unit of the font.
fn scale(size: f64) -> f64 {
    size / f64::from(face().units_per_em())
}

/// Width of a text in pixels.
pub(super) fn width(words: &str, size: f64) -> f64 {
    glyphs(words)
        .map(|(_, advance)| f64::from(advance))
        .sum::<f64>()
        * scale(size)
}

/// Draws a text from the origin to the right, y downwards.
pub(super) fn outline(words: &str, size: f64, pen: &mut impl OutlineBuilder) {
    let mut right = 0.0;
    for (glyph, advance) in glyphs(words) {
        let mut scaled = Scaled {
            pen,
            scale: scale(size) as f32,
            right: right as f32,
        };
        // A space has no outline.
        let _ = face().outline_glyph(glyph, &mut scaled);
        right += f64::from(advance) * scale(size);
    }
}

/// A pen in pixels.
struct Scaled<'a, P> {
    pen: &'a mut P,
    scale: f32,
    right: f32,
}

impl<P> Scaled<'_, P> {
    fn x(&self, x: f32) -> f32 {
        self.right + x * self.scale
    }

    fn y(&self, y: f32) -> f32 {
        -y * self.scale
    }
}

impl<P: OutlineBuilder> OutlineBuilder for Scaled<'_, P> {
    fn move_to(&mut self, x: f32, y: f32) {
        self.pen.move_to(self.x(x), self.y(y));
    }
    fn line_to(&mut self, x: f32, y: f32) {
        self.pen.line_to(self.x(x), self.y(y));
    }
    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        (self.pen).quad_to(self.x(x1), self.y(y1), self.x(x), self.y(y));
    }
    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let (a, b) = ((self.x(x1), self.y(y1)), (self.x(x2), self.y(y2)));
        (self.pen).curve_to(a.0, a.1, b.0, b.1, self.x(x), self.y(y));
    }
    fn close(&mut self) {
        self.pen.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_the_fonts() {
        // DejaVu Sans: 'm' is 1995 of 2048 units wide, a digit 1303.
        assert!((width("m", 2048.0) - 1995.0).abs() < 1.0);
        assert!((width("00", 20.48) - 26.06).abs() < 0.01);
        assert!(width("\u{259}", 10.0) > 5.0, "phonetic letters are there");
    }
}
