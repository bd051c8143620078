//! Arrays of bytes in LeCun's idx format, in which MNIST and similar sets are published: the magic number `0, 0, type,
//! dimensions`, each dimension as a big-endian u32, then the elements, the last dimension fastest
//! (<http://yann.lecun.com/exdb/mnist/>). Only unsigned bytes (type 8) of 1 to 4 dimensions; plain or under gzip.

use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::atomic::AtomicFile;
use crate::error::{Error, Result};
use crate::io::inputs;

/// The type of unsigned bytes.
const UNSIGNED_BYTES: u8 = 8;
const MOST_DIMENSIONS: u8 = 4;
/// 1 GiB: EMNIST, the largest of the kind, has 547 MB, and a few MB of gzip must not ask for more than a machine has.
const MOST_BYTES: usize = 1 << 30;
/// Memory that is reserved before anything is read.
const FIRST_BYTES: usize = 1 << 20;

/// An array of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idx {
    /// 1 to 4 dimensions, none of them 0.
    pub shape: Vec<usize>,
    /// The elements, as many as the shape has, the last dimension fastest.
    pub bytes: Vec<u8>,
}

/// Reads a file, plain or gzip, by its first bytes.
///
/// # Errors
/// [`Error::Io`] when it cannot be read; [`Error::Format`] for another magic number or element type, no dimension or
/// more than 4, a dimension of 0, more than 1 GiB, fewer or more bytes than the shape has, damaged compression.
pub fn read_idx(path: impl AsRef<Path>) -> Result<Idx> {
    let path = path.as_ref();
    let mut input = inputs::unpacked(path)?;
    let shape = read_shape(path, &mut input)?;
    let count = size(path, &shape)?;
    let mut bytes = Vec::with_capacity(count.min(FIRST_BYTES));
    fill(path, &mut input, count, &mut bytes)?;
    let wrong = |found: String| {
        let expected = format!("{count} bytes behind the dimensions {shape:?}");
        Err(Error::format(path, expected, found))
    };
    match bytes.len() {
        found if found < count => wrong(found.to_string()),
        found if found > count => wrong("more".into()),
        _ => Ok(Idx { shape, bytes }),
    }
}

/// Writes a file atomically, under gzip where its name ends in `.gz`.
///
/// # Errors
/// [`Error::Format`] for a shape that [`read_idx`] would refuse or that `bytes` does not have; [`Error::Io`].
pub fn write_idx(path: impl AsRef<Path>, idx: &Idx) -> Result<()> {
    let path = path.as_ref();
    let header = header(path, idx)?;
    let mut file = AtomicFile::create(path)?;
    if path.extension().is_some_and(|end| end == "gz") {
        let mut packed = GzEncoder::new(file, Compression::default());
        write_all(&mut packed, &header, &idx.bytes).map_err(Error::io(path))?;
        file = packed.finish().map_err(Error::io(path))?;
    } else {
        write_all(&mut file, &header, &idx.bytes).map_err(Error::io(path))?;
    }
    file.commit()
}

fn read_shape(path: &Path, input: &mut dyn Read) -> Result<Vec<usize>> {
    let magic = exactly(path, input, 4, "idx's magic number, 4 bytes")?;
    let (kind, dimensions) = match magic[..] {
        [0, 0, kind, dimensions] => (kind, dimensions),
        _ => {
            let expected = "idx's magic number, which begins with 0, 0";
            return Err(Error::format(path, expected, format!("{magic:?}")));
        }
    };
    if kind != UNSIGNED_BYTES {
        let found = format!("type {kind:#04x}");
        return Err(Error::format(path, "unsigned bytes, type 0x08", found));
    }
    if !(1..=MOST_DIMENSIONS).contains(&dimensions) {
        let expected = format!("1 to {MOST_DIMENSIONS} dimensions");
        return Err(Error::format(path, expected, dimensions.to_string()));
    }
    let count = 4 * usize::from(dimensions);
    let bytes = exactly(path, input, count, "a header with every dimension")?;
    let (sides, _) = bytes.as_chunks::<4>();
    let sides = sides.iter().map(|side| u32::from_be_bytes(*side) as usize);
    Ok(sides.collect())
}

fn exactly(path: &Path, input: &mut dyn Read, count: usize, what: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(count);
    fill(path, &mut input.take(count as u64), count, &mut bytes)?;
    match bytes.len() == count {
        true => Ok(bytes),
        false => Err(Error::format(path, what, format!("{} bytes", bytes.len()))),
    }
}

/// Reads up to one byte more than `count`: fewer where the input breaks off, more where it goes on.
fn fill(path: &Path, input: &mut dyn Read, count: usize, bytes: &mut Vec<u8>) -> Result<()> {
    use ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    match input.take(count as u64 + 1).read_to_end(bytes) {
        Ok(_) => Ok(()),
        // A compressed stream that breaks off; what came before stands in `bytes`.
        Err(error) if error.kind() == UnexpectedEof && bytes.len() < count => Ok(()),
        Err(error) if matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof) => {
            let expected = "a whole gzip stream";
            Err(Error::format(path, expected, error.to_string()))
        }
        Err(error) => Err(Error::io(path)(error)),
    }
}

/// The number of elements.
fn size(path: &Path, shape: &[usize]) -> Result<usize> {
    if shape.contains(&0) {
        let found = format!("{shape:?}");
        return Err(Error::format(path, "dimensions of at least 1", found));
    }
    let product = shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
    match product {
        Some(product) if product <= MOST_BYTES => Ok(product),
        _ => {
            let expected = format!("dimensions of at most {MOST_BYTES} bytes");
            Err(Error::format(path, expected, format!("{shape:?}")))
        }
    }
}

fn header(path: &Path, idx: &Idx) -> Result<Vec<u8>> {
    let Idx { shape, bytes } = idx;
    if !(1..=usize::from(MOST_DIMENSIONS)).contains(&shape.len()) {
        let expected = format!("an array of 1 to {MOST_DIMENSIONS} dimensions");
        return Err(Error::format(path, expected, shape.len().to_string()));
    }
    let count = size(path, shape)?;
    if bytes.len() != count {
        let expected = format!("an array of {count} bytes, {shape:?}");
        return Err(Error::format(path, expected, bytes.len().to_string()));
    }
    let mut header = vec![0, 0, UNSIGNED_BYTES, shape.len() as u8];
    for &side in shape {
        let side = u32::try_from(side).map_err(|_| {
            let expected = format!("dimensions of at most {}", u32::MAX);
            Error::format(path, expected, side.to_string())
        })?;
        header.extend(side.to_be_bytes());
    }
    Ok(header)
}

fn write_all(output: &mut impl Write, header: &[u8], bytes: &[u8]) -> io::Result<()> {
    output.write_all(header)?;
    output.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn sample(shape: &[usize]) -> Idx {
        let count: usize = shape.iter().product();
        Idx {
            shape: shape.to_vec(),
            bytes: (0..count).map(|i| (i * 37 % 251) as u8).collect(),
        }
    }

    fn refused(content: &[u8]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, content).unwrap();
        let text = read_idx(&path).unwrap_err().to_string();
        let place = format!("{}: expected ", path.display());
        text.strip_prefix(&place).expect(&text).to_string()
    }

    fn packed(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn arrays_come_back_plain_and_packed() {
        let dir = tempfile::tempdir().unwrap();
        for shape in [&[7][..], &[2, 3], &[4, 5, 6], &[2, 3, 4, 3]] {
            for name in ["a", "a.gz"] {
                let path = dir.path().join(name);
                write_idx(&path, &sample(shape)).unwrap();
                let first = std::fs::read(&path).unwrap()[0];
                assert_eq!(first == 0x1f, name == "a.gz");
                // The bytes identify the format.
                let moved = dir.path().join("b.png");
                std::fs::rename(&path, &moved).unwrap();
                assert_eq!(read_idx(&moved).unwrap(), sample(shape));
            }
        }
    }

    #[test]
    fn invalid_input_is_refused() {
        let starts = |content: &[u8], with: &str| {
            let text = refused(content);
            assert!(text.starts_with(with), "{text}");
        };
        starts(b"", "idx's magic number, 4 bytes, found 0 bytes");
        starts(b"\x89PNG", "idx's magic number, which begins with 0, 0");
        let floats = [0, 0, 0x0d, 1, 0, 0, 0, 1];
        starts(&floats, "unsigned bytes, type 0x08, found type 0x0d");
        starts(&[0, 0, 8, 0], "1 to 4 dimensions, found 0");
        starts(&[0, 0, 8, 5], "1 to 4 dimensions, found 5");
        starts(&[0, 0, 8, 1, 0], "a header with every dimension, found 1");
        starts(&[0, 0, 8, 1, 0, 0, 0, 0], "dimensions of at least 1");
        let huge = [&[0, 0, 8, 4][..], &[0xff; 16]].concat();
        starts(&huge, "dimensions of at most 1073741824 bytes");
        let large = [&[0, 0, 8, 2][..], &[0, 1, 0, 0, 0, 1, 0, 1]].concat();
        starts(&large, "dimensions of at most 1073741824 bytes");
        let short = [0, 0, 8, 1, 0, 0, 0, 3, 7, 7];
        starts(&short, "3 bytes behind the dimensions [3], found 2");
        starts(
            &packed(&short),
            "3 bytes behind the dimensions [3], found 2",
        );
        let long = [0, 0, 8, 1, 0, 0, 0, 1, 7, 7];
        starts(&long, "1 bytes behind the dimensions [1], found more");
        // Sixteen megabytes of zeros follow; they are not unpacked.
        let bomb = [&long[..], &vec![0; 1 << 24]].concat();
        starts(
            &packed(&bomb),
            "1 bytes behind the dimensions [1], found more",
        );
    }

    #[test]
    fn every_truncation_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_idx(&path, &sample(&[3, 4])).unwrap();
        let plain = std::fs::read(&path).unwrap();
        for whole in [packed(&plain), plain] {
            for length in 0..whole.len() {
                refused(&whole[..length]);
            }
            let mut behind = whole.clone();
            behind.push(1);
            refused(&behind);
        }
        let mut flipped = packed(&std::fs::read(&path).unwrap());
        let crc = flipped.len() - 5;
        flipped[crc] ^= 1;
        assert!(refused(&flipped).starts_with("a whole gzip stream"));
    }

    #[test]
    fn an_array_that_could_not_be_read_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let mut wrong = sample(&[2, 2]);
        wrong.bytes.pop();
        for idx in [wrong, sample(&[]), sample(&[0]), sample(&[1; 5])] {
            assert!(matches!(write_idx(&path, &idx), Err(Error::Format { .. })));
        }
        assert!(!path.exists());
    }

    #[test]
    #[ignore = "needs UNBRAID_CORPORA"]
    fn with_corpora_published_digits_are_read() {
        let corpora = std::env::var_os("UNBRAID_CORPORA").map(PathBuf::from);
        let corpora = corpora.expect("UNBRAID_CORPORA: a folder with mnist, mnistm and usps");
        let shape = |name: &str| read_idx(corpora.join(name)).unwrap().shape;
        let mnist = shape("mnist/train-images-idx3-ubyte.gz");
        assert_eq!(mnist, [60000, 28, 28]);
        assert_eq!(shape("mnist/t10k-labels-idx1-ubyte.gz"), [10000]);
        assert_eq!(
            shape("usps/usps-train-images-idx3-ubyte.gz"),
            [7291, 16, 16]
        );
        let mnistm = shape("mnistm/mnistm-test-images-idx4-ubyte.gz");
        assert_eq!(mnistm, [2000, 28, 28, 3]);
    }
}
