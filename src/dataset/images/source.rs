//! Sources of images: idx files, folders of PNG files, or generated ones.

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fit::{Fit, ImageOptions};
use super::sprites::{Ground, sprites};
use super::{ImageShape, Images};
use crate::error::{Error, Result};
use crate::io::idx::{Idx, read_idx};
use crate::io::png::read_png;

/// Largest size of an image set in bytes, because it is in memory.
const MOST_BYTES: usize = 1 << 32;

/// Source of an image set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ImageSource {
    /// Files in the format of MNIST (idx), plain or compressed by gzip.
    Idx {
        /// File of shape `[images, height, width]`, or `[images, height, width, channels]` with 1 or 3 channels.
        images: PathBuf,
        /// File of shape `[images]`, where classes are known.
        labels: Option<PathBuf>,
    },
    /// PNG files, in the order of their names. Each subfolder is a class, in the order of the names. Without subfolders
    /// there are no labels. Names that begin with a dot are ignored.
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// Generated images of simple shapes with known factors.
    Sprites {
        /// Number of images.
        count: usize,
        /// Seed of the images.
        seed: u64,
        /// Background of the shapes.
        #[serde(default)]
        ground: Ground,
    },
}

impl ImageSource {
    /// Reads or generates all images, in the shape of the options.
    ///
    /// # Errors
    /// [`Error::Option`] as [`ImageOptions::check`], for more images than there are, none, or more than 4 GiB of them;
    /// as [`read_idx`] and [`read_png`]; [`Error::Format`] for an array of other dimensions, unequal numbers of labels
    /// and images, an empty folder, other files or folders in it, and images of different shapes if the options do not
    /// convert them.
    pub fn open(&self, options: &ImageOptions) -> Result<Images> {
        options.check()?;
        match self {
            Self::Idx { images, labels } => open_idx(images, labels.as_deref(), options),
            Self::Folder { path } => open_folder(path, options),
            Self::Sprites {
                count,
                seed,
                ground,
            } => {
                if *count == 0 {
                    return Err(Error::option("data.count", "at least 1 image", "0"));
                }
                let count = taken(*count, options, "sprites that are drawn")?;
                room(count, super::sprites::SHAPE)?;
                let made = sprites(count, *seed, *ground);
                let (pixels, shape) = fitted(made.pixels, made.shape, options)?;
                Ok(Images {
                    pixels,
                    shape,
                    ..made
                })
            }
        }
    }
}

fn open_idx(path: &Path, labels: Option<&Path>, options: &ImageOptions) -> Result<Images> {
    let Idx { shape, mut bytes } = read_idx(path)?;
    let (count, height, width, channels) = match shape[..] {
        [count, height, width] => (count, height, width, 1),
        [count, height, width, channels @ (1 | 3)] => (count, height, width, channels),
        _ => {
            let expected = "[images, height, width] or [images, height, width, 1 or 3]";
            return Err(Error::format(path, expected, format!("{shape:?}")));
        }
    };
    let labels = labels.map(|labels| read_labels(labels, count, path));
    let mut labels = labels.transpose()?;
    let from = ImageShape {
        channels,
        height,
        width,
    };
    let count = taken(count, options, &format!("images of {}", path.display()))?;
    bytes.truncate(count * from.values());
    if let Some(labels) = &mut labels {
        labels.truncate(count);
    }
    let (pixels, shape) = fitted(bytes, from, options)?;
    Ok(Images {
        shape,
        pixels,
        classes: (labels.iter().flatten().max()).map_or(0, |most| most + 1),
        labels,
        factors: Vec::new(),
    })
}

fn read_labels(path: &Path, count: usize, images: &Path) -> Result<Vec<usize>> {
    let Idx { shape, bytes } = read_idx(path)?;
    if shape[..] != [count] {
        let expected = format!("[{count}], a label for each image of {}", images.display());
        return Err(Error::format(path, expected, format!("{shape:?}")));
    }
    Ok(bytes.into_iter().map(usize::from).collect())
}

fn open_folder(path: &Path, options: &ImageOptions) -> Result<Images> {
    let (classes, files) = listed(path)?;
    let mut files: Vec<(PathBuf, usize)> = files.into_iter().map(|file| (file, 0)).collect();
    if let (Some((file, _)), false) = (files.first(), classes.is_empty()) {
        let expected = "only folders beside folders, each a class of PNG files";
        return Err(Error::format(file, expected, "a file"));
    }
    for (class, folder) in classes.iter().enumerate() {
        let (folders, inside) = listed(folder)?;
        if let Some(folder) = folders.first() {
            return Err(Error::format(folder, "a PNG file", "a folder"));
        }
        if inside.is_empty() {
            return Err(Error::format(folder, "PNG files", "none"));
        }
        files.extend(inside.into_iter().map(|file| (file, class)));
    }
    if files.is_empty() {
        return Err(Error::format(path, "PNG files", "none"));
    }
    files.truncate(taken(
        files.len(),
        options,
        &format!("images of {}", path.display()),
    )?);
    let (pixels, shape) = read_files(&files, options)?;
    let labelled = !classes.is_empty();
    Ok(Images {
        shape,
        pixels,
        labels: labelled.then(|| files.iter().map(|(_, class)| *class).collect()),
        classes: classes.len(),
        factors: Vec::new(),
    })
}

/// Folders and files of a folder, each sorted.
fn listed(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let entries = fs::read_dir(folder).map_err(Error::io(folder))?;
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::io(folder))?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths.into_iter().partition(|path| path.is_dir()))
}

fn read_files(files: &[(PathBuf, usize)], options: &ImageOptions) -> Result<(Vec<u8>, ImageShape)> {
    let (first, _) = &files[0];
    let (_, shape) = read_file(first, options)?;
    room(files.len(), shape)?;
    let rows: Vec<Result<Vec<u8>>> = files
        .par_iter()
        .map(|(path, _)| match read_file(path, options)? {
            (image, own) if own == shape => Ok(image),
            (_, own) => {
                let expected = format!(
                    "{}, as of {} (data.size and data.channels make images alike)",
                    sides(shape),
                    first.display()
                );
                Err(Error::format(path, expected, sides(own)))
            }
        })
        .collect();
    let mut pixels = Vec::with_capacity(files.len() * shape.values());
    for row in rows {
        pixels.extend(row?);
    }
    Ok((pixels, shape))
}

fn read_file(path: &Path, options: &ImageOptions) -> Result<(Vec<u8>, ImageShape)> {
    let raster = read_png(path)?;
    let from = ImageShape {
        channels: raster.channels,
        height: raster.height,
        width: raster.width,
    };
    fitted(raster.pixels, from, options)
}

/// The number of images to use out of `count` images, which `what` describes.
fn taken(count: usize, options: &ImageOptions, what: &str) -> Result<usize> {
    match options.first {
        0 => Ok(count),
        first if first <= count => Ok(first),
        first => {
            let expected = format!("at most {count}, the {what}");
            Err(Error::option("view.first", expected, first.to_string()))
        }
    }
}

/// Bytes of so many images, if memory allows them.
fn room(count: usize, shape: ImageShape) -> Result<usize> {
    match count.checked_mul(shape.values()) {
        Some(bytes) if bytes <= MOST_BYTES => Ok(bytes),
        _ => {
            let expected = format!("images of at most {MOST_BYTES} bytes");
            let found = format!("{count} of {}", sides(shape));
            Err(Error::option("data", expected, found))
        }
    }
}

fn sides(shape: ImageShape) -> String {
    let ImageShape {
        channels,
        height,
        width,
    } = shape;
    let channels = if channels == 1 { "grey" } else { "RGB" };
    format!("{height} by {width} {channels} pixels")
}

/// Images `[images, height, width, channels]` in the shape of the options, channels first.
fn fitted(
    images: Vec<u8>,
    from: ImageShape,
    options: &ImageOptions,
) -> Result<(Vec<u8>, ImageShape)> {
    let fit = Fit::new(from, options);
    if fit.is_nothing() {
        return Ok((images, from));
    }
    let shape = fit.shape();
    let mut pixels = vec![0; room(images.len() / from.values(), shape)?];
    (images.par_chunks_exact(from.values()))
        .zip(pixels.par_chunks_exact_mut(shape.values()))
        .for_each(|(image, fitted)| fit.apply(image, fitted));
    Ok((pixels, shape))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::idx::write_idx;
    use crate::io::png::{Raster, write_png};

    fn array(path: &Path, shape: &[usize]) {
        let count: usize = shape.iter().product();
        let idx = Idx {
            shape: shape.to_vec(),
            bytes: (0..count).map(|i| i as u8).collect(),
        };
        write_idx(path, &idx).unwrap();
    }

    fn picture(folder: &Path, name: &str, channels: usize, side: usize) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let raster = Raster {
            channels,
            height: side,
            width: side,
            pixels: vec![name.len() as u8; channels * side * side],
        };
        write_png(path, &raster).unwrap();
    }

    fn folder(path: &Path) -> ImageSource {
        ImageSource::Folder { path: path.into() }
    }

    fn refused(source: &ImageSource, options: ImageOptions) -> String {
        source.open(&options).unwrap_err().to_string()
    }

    #[test]
    fn arrays_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        array(&path("images"), &[4, 1, 2, 3]);
        array(&path("grey"), &[4, 2, 3]);
        array(&path("labels"), &[4]);
        array(&path("three"), &[3]);
        let source = |images: &str, labels: Option<&str>| ImageSource::Idx {
            images: path(images),
            labels: labels.map(path),
        };
        let all = source("images", Some("labels"));
        let images = all.open(&ImageOptions::default()).unwrap();
        assert_eq!((images.len(), images.classes), (4, 4));
        assert_eq!(images.image(1), [6, 9, 7, 10, 8, 11]);
        let two = ImageOptions {
            first: 2,
            size: 5,
            channels: 1,
        };
        let images = all.open(&two).unwrap();
        assert_eq!((images.len(), images.classes), (2, 2));
        assert_eq!(images.pixels.len(), 2 * 25);
        let images = source("grey", None).open(&ImageOptions::default()).unwrap();
        assert_eq!((images.labels, images.classes), (None, 0));
        let five = ImageOptions { first: 5, ..two };
        assert!(refused(&all, five).starts_with("view.first: expected at most 4, the images of"));
        let text = refused(&source("grey", Some("three")), two);
        assert!(text.contains("three: expected [4], a label for each image of"));
        let text = refused(&source("labels", None), two);
        assert!(text.ends_with("or [images, height, width, 1 or 3], found [4]"));
    }

    #[test]
    fn subfolders_are_classes() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b/2.png", "b/10.png", "a/x.png", ".hidden/y"] {
            picture(dir.path(), name, 1, 3);
        }
        let images = folder(dir.path()).open(&ImageOptions::default()).unwrap();
        assert_eq!(images.labels, Some(vec![0, 1, 1]));
        assert_eq!((images.len(), images.classes), (3, 2));
        assert_eq!(images.image(1)[0], "b/10.png".len() as u8);
        let class = folder(&dir.path().join("b"));
        let images = class.open(&ImageOptions::default()).unwrap();
        assert_eq!((images.labels, images.classes), (None, 0));
        fs::write(dir.path().join("notes"), "").unwrap();
        let text = refused(&folder(dir.path()), ImageOptions::default());
        assert!(
            text.contains("notes: expected only folders beside folders"),
            "{text}"
        );
    }

    #[test]
    fn shapes_that_differ_need_options() {
        let dir = tempfile::tempdir().unwrap();
        picture(dir.path(), "a.png", 1, 3);
        picture(dir.path(), "b.png", 3, 4);
        let source = folder(dir.path());
        let text = refused(&source, ImageOptions::default());
        assert!(
            text.contains("b.png: expected 3 by 3 grey pixels, as of "),
            "{text}"
        );
        assert!(text.ends_with("found 4 by 4 RGB pixels"), "{text}");
        let alike = ImageOptions {
            size: 2,
            channels: 3,
            first: 0,
        };
        assert_eq!(source.open(&alike).unwrap().pixels, [5; 24]);
    }

    #[test]
    fn files_that_are_no_images_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let none = ImageOptions::default();
        let text = refused(&folder(dir.path()), none);
        assert!(text.ends_with("expected PNG files, found none"), "{text}");
        picture(dir.path(), "a.png", 1, 3);
        fs::write(dir.path().join("b.png"), "text").unwrap();
        let text = refused(&folder(dir.path()), none);
        assert!(text.contains("b.png: expected a whole PNG image"), "{text}");
        let text = refused(&folder(&dir.path().join("no")), none);
        assert!(text.contains("no: "), "{text}");
    }

    #[test]
    fn sources_are_distinguished_by_kind() {
        let source: ImageSource = toml::from_str("kind = 'sprites'\ncount = 3\nseed = 1").unwrap();
        let small = ImageOptions {
            size: 14,
            channels: 3,
            first: 2,
        };
        let images = source.open(&small).unwrap();
        assert_eq!((images.len(), images.classes), (2, 3));
        assert_eq!(images.shape.values(), 3 * 14 * 14);
        let wrong = [
            "kind = 'sprites'\ncount = 3\nseed = 1\npath = 'x'",
            "kind = 'avi'",
        ];
        assert!(
            wrong
                .iter()
                .all(|text| toml::from_str::<ImageSource>(text).is_err())
        );
        let idx: ImageSource = toml::from_str("kind = 'idx'\nimages = 'x'").unwrap();
        let expected = ImageSource::Idx {
            images: "x".into(),
            labels: None,
        };
        assert_eq!(idx, expected);
    }

    #[test]
    fn invalid_options_are_refused() {
        let sprites = |count| ImageSource::Sprites {
            count,
            seed: 0,
            ground: Ground::Black,
        };
        let with = |size, channels| ImageOptions {
            size,
            channels,
            first: 0,
        };
        let none = ImageOptions::default();
        assert!(refused(&sprites(0), none).starts_with("data.count: "));
        assert!(
            refused(&sprites(usize::MAX), none).starts_with("data: expected images of at most")
        );
        assert!(refused(&sprites(1000), with(4096, 3)).starts_with("data: expected images of at"));
        assert!(refused(&sprites(1), with(4097, 0)).starts_with("view.size: "));
        assert!(refused(&sprites(1), with(0, 2)).starts_with("view.channels: "));
    }

    #[test]
    #[ignore = "needs UNBRAID_CORPORA"]
    fn with_corpora_published_images_are_opened() {
        let corpora = std::env::var_os("UNBRAID_CORPORA").map(PathBuf::from);
        let corpora = corpora.expect("UNBRAID_CORPORA: a folder with mnist, mnistm and usps");
        let set = |name: &str, kind: &str| ImageSource::Idx {
            images: corpora.join(format!("{name}-images-{kind}-ubyte.gz")),
            labels: Some(corpora.join(format!("{name}-labels-idx1-ubyte.gz"))),
        };
        let alike = ImageOptions {
            size: 28,
            channels: 1,
            first: 2000,
        };
        let sets = [
            ("mnist/t10k", "idx3"),
            ("usps/usps-test", "idx3"),
            ("mnistm/mnistm-test", "idx4"),
        ];
        for (name, kind) in sets {
            let images = set(name, kind).open(&alike).unwrap();
            assert_eq!((images.len(), images.classes), (2000, 10), "{name}");
            images.check_labels(10).unwrap();
            images.check_classes().unwrap();
            assert_eq!(images.image(0).len(), 784);
        }
    }
}
