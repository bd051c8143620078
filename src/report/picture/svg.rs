//! A picture as SVG.

use std::fmt::Write;

use super::{Anchor, Colour, Picture, Place, Shape, TextStyle};

impl Picture {
    /// The picture as an SVG file; rasters lie in it as PNG.
    pub(super) fn svg(&self) -> String {
        let Self { width, height, .. } = self;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" role=\"img\" font-family=\"DejaVu Sans,Verdana,sans-serif\">\n\
             <title>{}</title>\n<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n",
            escape(&self.title)
        );
        for shape in &self.shapes {
            // Writing to a string cannot fail.
            let _ = draw(&mut svg, shape);
        }
        svg + "</svg>\n"
    }
}

fn draw(svg: &mut String, shape: &Shape) -> std::fmt::Result {
    match shape {
        Shape::Rectangle { at, size, fill } => writeln!(
            svg,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"{}/>",
            short(at.0),
            short(at.1),
            short(size.0),
            short(size.1),
            painted("fill", *fill)
        ),
        Shape::Line {
            points,
            stroke,
            width,
        } => writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke-width=\"{}\" stroke-linejoin=\"round\"{}/>",
            listed(points),
            short(*width),
            painted("stroke", *stroke)
        ),
        Shape::Area { points, fill } => writeln!(
            svg,
            "<polygon points=\"{}\"{}/>",
            listed(points),
            painted("fill", *fill)
        ),
        Shape::Dots {
            points,
            radius,
            fill,
        } => {
            writeln!(svg, "<g{}>", painted("fill", *fill))?;
            for (x, y) in points {
                writeln!(
                    svg,
                    "<circle cx=\"{}\" cy=\"{}\" r=\"{}\"/>",
                    short(*x),
                    short(*y),
                    short(*radius)
                )?;
            }
            writeln!(svg, "</g>")
        }
        Shape::Text { at, words, style } => text(svg, *at, words, style),
        Shape::Raster { at, image } => writeln!(
            svg,
            "<image x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" href=\"data:image/png;base64,{}\"/>",
            short(at.0),
            short(at.1),
            image.width,
            image.height,
            base64(&image.png())
        ),
    }
}

fn text(svg: &mut String, at: Place, words: &str, style: &TextStyle) -> std::fmt::Result {
    let anchor = match style.anchor {
        Anchor::Start => "start",
        Anchor::Middle => "middle",
        Anchor::End => "end",
    };
    let turned = match style.upwards {
        true => format!(" transform=\"rotate(-90 {} {})\"", short(at.0), short(at.1)),
        false => String::new(),
    };
    writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" font-size=\"{}\" text-anchor=\"{anchor}\"{turned}{}>{}</text>",
        short(at.0),
        short(at.1),
        short(style.size),
        painted("fill", style.fill),
        escape(words)
    )
}

fn listed(points: &[Place]) -> String {
    let pairs = points
        .iter()
        .map(|(x, y)| format!("{},{}", short(*x), short(*y)));
    pairs.collect::<Vec<_>>().join(" ")
}

/// A number with at most two decimals.
fn short(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

fn painted(what: &str, Colour([r, g, b, opacity]): Colour) -> String {
    let colour = format!(" {what}=\"#{r:02x}{g:02x}{b:02x}\"");
    match opacity {
        255 => colour,
        opacity => {
            let part = short(f64::from(opacity) / 255.0);
            format!("{colour} {what}-opacity=\"{part}\"")
        }
    }
}

/// Text without what XML reads, and without control characters, which it forbids.
fn escape(text: &str) -> String {
    let kept: String = text.chars().filter(|c| !c.is_control()).collect();
    kept.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            match at <= chunk.len() {
                true => text.push(char::from(LETTERS[(bits >> (18 - 6 * at) & 63) as usize])),
                false => text.push('='),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::one_of_each;
    use super::*;

    #[test]
    fn shapes_are_there_and_words_escaped() {
        let svg = one_of_each().svg();
        for part in [
            "<title>t &lt; u</title>",
            "<rect x=\"10\" y=\"10\" width=\"20\" height=\"10\" fill=\"#ff0000\"/>",
            "points=\"0,99.5 200,99.5\"",
            "fill=\"#0000ff\" fill-opacity=\"0.5\"",
            "<circle cx=\"50\" cy=\"50\" r=\"4\"/>",
            ">a &lt; \u{259}&amp;</text>",
            "href=\"data:image/png;base64,iVBORw0KGgo",
        ] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
