//! The layout of our own writer, read: `NAME.npy` with the rows of all utterances, and `NAME.tsv` with their places.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::array::{Array, Layout, Shape};
use super::npy_file;
use super::source::{Found, Source};
use crate::error::{Error, Result};
use crate::io::input::{Input, Positioned};
use crate::io::{inputs, lines};

/// The first line of the table.
pub(super) const COLUMNS: &str = "utterance\tstart\trows";

/// The name without an extension, where both files are there: of `NAME` or of `NAME.npy`.
pub(super) fn find(path: &Path) -> Option<PathBuf> {
    let name = path.to_str()?;
    let name = name.strip_suffix(".npy").unwrap_or(name);
    let [array, table] = files(Path::new(name));
    (array.is_file() && table.is_file()).then(|| name.into())
}

fn files(name: &Path) -> [PathBuf; 2] {
    ["npy", "tsv"].map(|extension| format!("{}.{extension}", name.display()).into())
}

#[derive(Debug)]
struct Rows {
    path: PathBuf,
    file: Arc<File>,
    /// Of all rows.
    layout: Layout,
    /// Bytes before the first row.
    header: u64,
    /// First row and number of rows.
    places: Vec<(usize, usize)>,
    keys: Vec<String>,
}

pub(super) fn open(name: &Path) -> Result<Found> {
    let [path, table] = files(name);
    let file = Arc::new(inputs::open(&path).map_err(Error::io(&path))?);
    let found = file.metadata().map_err(Error::io(&path))?.len();
    let mut reader = positioned(&file, 0);
    let mut input = Input::new(&mut reader, &path, "the array");
    let header = npy_file::read_header(&mut input)?;
    let Shape::Matrix(all, _) = header.layout.shape else {
        return Err(input.fault("rows of numbers [rows, columns]", "a vector"));
    };
    if header.layout.is_by_columns() {
        return Err(input.fault("rows one after another", "columns (fortran_order)"));
    }
    let needed = header.bytes + header.layout.bytes();
    if found < needed {
        let found = format!("the end of the file after {found}");
        return Err(input.fault(format!("{needed} bytes"), found));
    }
    let (keys, places) = places(&table, all)?;
    Ok(Found {
        keys: keys.clone(),
        files: vec![path.clone(), table],
        source: Box::new(Rows {
            layout: header.layout,
            header: header.bytes,
            path,
            file,
            places,
            keys,
        }),
    })
}

fn positioned(file: &Arc<File>, offset: u64) -> BufReader<Positioned> {
    let file = Arc::clone(file);
    BufReader::with_capacity(1 << 16, Positioned { file, offset })
}

/// Keys, and the rows of each.
#[expect(clippy::type_complexity, reason = "two columns")]
fn places(table: &Path, all: usize) -> Result<(Vec<String>, Vec<(usize, usize)>)> {
    let text = lines::read_text(table)?;
    let mut lines = text.lines();
    if lines.next() != Some(COLUMNS) {
        let expected = format!("the columns {}", COLUMNS.replace('\t', " "));
        return Err(Error::line(table, 1, expected, "others"));
    }
    lines
        .enumerate()
        .map(|(index, line)| {
            let place = match line.split('\t').collect::<Vec<_>>()[..] {
                [key, start, rows] => start.parse().ok().zip(rows.parse().ok()).map(|p| (key, p)),
                _ => None,
            };
            let inside = |(start, rows): (usize, usize)| {
                start.checked_add(rows).is_some_and(|end| end <= all)
            };
            match place.filter(|(_, place)| inside(*place)) {
                Some((key, place)) => Ok((key.to_string(), place)),
                None => {
                    let expected = format!("an utterance, its first row and its rows, of {all}");
                    Err(Error::line(table, index + 2, expected, format!("'{line}'")))
                }
            }
        })
        .collect()
}

impl Source for Rows {
    fn read(&self, index: usize) -> Result<Array> {
        let layout = Layout {
            shape: self.shape(index)?,
            ..self.layout
        };
        let offset = self.header + self.places[index].0 as u64 * self.layout.row_bytes();
        let mut reader = positioned(&self.file, offset);
        layout.read(&mut Input::new(&mut reader, &self.path, &self.keys[index]))
    }

    fn shape(&self, index: usize) -> Result<Shape> {
        let columns = match self.layout.shape {
            Shape::Matrix(_, columns) | Shape::Vector(columns) => columns,
        };
        Ok(Shape::Matrix(self.places[index].1, columns))
    }
}
