//! Images of a method: the PNG files of `unbraid image sample` in `pictures/`.

use super::Part;
use super::folder::ExpFolder;
use crate::error::{Error, Result};
use crate::io::inputs;
use crate::report::page::{Grid, Html, command_line};

/// The largest file; our grids take less than a tenth.
const MOST_BYTES: u64 = 2 << 20;

/// The section.
///
/// # Errors
/// [`Error::Format`] for a file that is no PNG or larger than 2 MiB.
pub(super) fn section(exp: &ExpFolder) -> Result<Part> {
    let names = exp.files("pictures", "", ".png")?;
    if names.is_empty() {
        return Part::left_out("needs pictures/*.png, which unbraid image sample writes");
    }
    let mut html = Html::default();
    html.paragraph(
        "Output of the decoder or generator of the last checkpoint. Each row of interpolations begins and ends with a real \
         image; reconstructions stand below their originals.",
    );
    let mut wrong = None;
    html.grid(Grid::Two, |html| {
        for name in &names {
            match read(exp, name) {
                Ok(png) => {
                    let title = title(name);
                    let alt = format!("A grid of images: {title}");
                    html.png(&png, &alt, &title);
                }
                Err(error) => wrong = Some(error),
            }
        }
    });
    if let Some(error) = wrong {
        return Err(error);
    }
    let (folder, out) = (exp.path(), exp.path().join("pictures"));
    let paths = [folder.display().to_string(), out.display().to_string()];
    html.command(&command_line([
        "unbraid", "image", "sample", "--exp", &paths[0], "--test", "SET", "--out", &paths[1],
    ]));
    Ok(Part::Shown(html))
}

fn title(name: &str) -> String {
    let name = name.rsplit('/').next().unwrap_or(name);
    name.trim_end_matches(".png").replace('_', " ")
}

fn read(exp: &ExpFolder, name: &str) -> Result<Vec<u8>> {
    let path = exp.path().join(name);
    let size = std::fs::metadata(&path).map_err(Error::io(&path))?.len();
    if size > MOST_BYTES {
        let found = format!("{size} bytes");
        return Err(Error::format(&path, "a PNG file of at most 2 MiB", found));
    }
    let bytes = inputs::bytes(&path)?;
    match bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        true => Ok(bytes),
        false => Err(Error::format(&path, "a PNG file", "another beginning")),
    }
}
