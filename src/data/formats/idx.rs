//! The IDX format of MNIST and Fashion-MNIST, plain or gzipped.
//!
//! A big-endian header (`0 0 8 rank`, then one `u32` per axis) and the bytes. Nothing is allocated on the
//! word of a header: the reader takes what is there and compares afterwards.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::bufread::MultiGzDecoder;

use crate::{
    data::Split,
    error::{Error, Result},
    images::ImageSet,
};

/// Most bytes one file may claim to hold: 16 GiB, far above every set in this format.
const MAX_BYTES: u64 = 1 << 34;

const FETCH_AGAIN: &str = "fetch the file again, for instance with --download";

/// An array of bytes with its shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdxArray {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// The elements, last axis fastest.
    pub bytes: Vec<u8>,
}

/// The two file names of a part, without `.gz`, as their authors chose them.
pub fn file_names(split: Split) -> [&'static str; 2] {
    match split {
        Split::Train => ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"],
        Split::Test => ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"],
    }
}

/// Where `name` lies in `dir`: with or without `.gz`, and with `.idx3` for `-idx3` as some archives have it.
pub fn find(dir: &Path, name: &str) -> Option<PathBuf> {
    [name.to_owned(), format!("{name}.gz"), name.replace("-idx", ".idx")]
        .into_iter()
        .map(|name| dir.join(name))
        .find(|path| path.is_file())
}

/// Reads the images and labels of one part from the files of `dir`, unnamed and without a licence.
///
/// # Errors
/// [`Error::Io`] or [`Error::Data`], naming the file, if one is missing, damaged or does not fit the other.
pub fn read_split(dir: &Path, split: Split) -> Result<ImageSet> {
    let [images_path, labels_path] = file_names(split).map(|name| find(dir, name).ok_or(dir.join(name)));
    let missing = |path: PathBuf| Error::data(path, "is missing, with and without .gz", FETCH_AGAIN);
    let (images_path, labels_path) = (images_path.map_err(missing)?, labels_path.map_err(missing)?);

    let images = read(&images_path)?;
    let &[n, height, width] = images.shape.as_slice() else {
        let problem = format!("holds an array of shape {:?} where images are expected", images.shape);
        return Err(Error::data(images_path, problem, "use a file of rank 3, [n, h, w]"));
    };
    if n == 0 || height == 0 || width == 0 {
        return Err(Error::data(images_path, "holds no image", FETCH_AGAIN));
    }
    let labels = read(&labels_path)?;
    if labels.shape != [n] {
        let problem = format!("has shape {:?}, but there are {n} images", labels.shape);
        return Err(Error::data(labels_path, problem, "use the label file of the same part"));
    }
    Ok(ImageSet {
        name: String::new(),
        licence: String::new(),
        channels: 1,
        height,
        width,
        pixels: images.bytes,
        labels: Some(labels.bytes),
        class_names: Vec::new(),
    })
}

/// Reads one IDX file of bytes; whether it is gzipped is seen from its first bytes, not from its name.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read; [`Error::Data`] if it is not IDX, holds other elements than
/// bytes, is cut short, is damaged, or has bytes left over.
pub fn read(path: &Path) -> Result<IdxArray> {
    let advice = "check that the file is there and that you may read it";
    let file = File::open(path).map_err(|source| Error::io(path, source, advice))?;
    let mut file = BufReader::new(file);
    let start = file.fill_buf().map_err(|source| Error::io(path, source, advice))?;
    let parsed = match start.starts_with(&[0x1f, 0x8b]) {
        true => parse(MultiGzDecoder::new(file)),
        false => parse(file),
    };
    parsed.map_err(|problem| Error::data(path, problem, FETCH_AGAIN))
}

/// The array, or what is wrong with it.
fn parse(mut reader: impl Read) -> Result<IdxArray, String> {
    let mut magic = [0; 4];
    reader.read_exact(&mut magic).map_err(|e| damage(e, "its header"))?;
    let rank = match magic {
        [0, 0, 0x08, rank @ 1..=4] => rank as usize,
        [0, 0, 0x09..=0x0e, _] => return Err("holds numbers wider than a byte".into()),
        _ => return Err(format!("does not start like an IDX file ({magic:02x?})")),
    };
    let mut axes = vec![[0; 4]; rank];
    reader.read_exact(axes.as_flattened_mut()).map_err(|e| damage(e, "its header"))?;
    let axes = axes.into_iter().map(u32::from_be_bytes);

    let expected = axes.clone().try_fold(1u64, |n, axis| n.checked_mul(axis.into()));
    let shape: Vec<usize> = axes.map(|axis| axis as usize).collect();
    let expected =
        expected.filter(|&n| n <= MAX_BYTES).ok_or_else(|| format!("claims the absurd shape {shape:?}"))?;

    let mut bytes = Vec::new();
    reader.by_ref().take(expected).read_to_end(&mut bytes).map_err(|e| damage(e, "its data"))?;
    if (bytes.len() as u64) < expected {
        return Err(format!("is cut short: {} of {expected} bytes of data", bytes.len()));
    }
    match reader.read(&mut [0]) {
        Ok(0) => Ok(IdxArray { shape, bytes }),
        Ok(_) => Err(format!("goes on after the {expected} bytes that its header announces")),
        Err(e) => Err(damage(e, "its end")),
    }
}

fn damage(error: io::Error, part: &str) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => format!("is cut short in {part}"),
        _ => format!("cannot be read in {part} ({error})"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;
    use crate::data::formats::test_data;

    fn idx(shape: &[u32], bytes: &[u8]) -> Vec<u8> {
        let axes = shape.iter().flat_map(|axis| axis.to_be_bytes());
        [0, 0, 8, shape.len() as u8].into_iter().chain(axes).chain(bytes.iter().copied()).collect()
    }

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read_bytes(bytes: &[u8]) -> Result<IdxArray> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        read(file.path())
    }

    #[test]
    fn plain_and_gzipped_files_read_the_same() {
        let file = idx(&[2, 2, 3], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        let array = read_bytes(&file).unwrap();
        assert_eq!((array.shape.as_slice(), array.bytes.len()), (&[2, 2, 3][..], 12));
        assert_eq!(read_bytes(&gz(&file)).unwrap(), array);
    }

    #[test]
    fn every_kind_of_damage_is_told_apart() {
        let good = idx(&[3, 2, 2], &[7; 12]);
        let mut packed = gz(&good);
        let absurd = idx(&[u32::MAX; 4], &[]);
        let huge = idx(&[1 << 20, 1 << 13], &[0; 100]);
        let mut wide = good.clone();
        wide[2] = 0x0d;
        let long = [good.clone(), vec![0]].concat();
        for (bytes, word) in [
            (&good[..20], "cut short: 4 of 12"),
            (&good[..2], "cut short in its header"),
            (&[], "cut short in its header"),
            (&packed[..packed.len() - 9], "cut short"),
            (&packed[..packed.len() - 3], "cut short"),
            (&absurd, "absurd shape"),
            (&huge, "cut short: 100 of 8589934592"),
            (&wide, "wider than a byte"),
            (&long, "goes on after"),
            (b"<!DOCTYPE html>", "does not start like an IDX file"),
        ] {
            let message = read_bytes(bytes).unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        }
        let crc = packed.len() - 6;
        packed[crc] ^= 1;
        assert!(read_bytes(&packed).unwrap_err().to_string().contains("cannot be read"));
    }

    #[test]
    fn labels_must_fit_the_images() {
        let dir = tempfile::tempdir().unwrap();
        let [images, labels] = file_names(Split::Train).map(|name| dir.path().join(name));
        std::fs::write(&images, idx(&[2, 1, 1], &[0, 9])).unwrap();
        let message = read_split(dir.path(), Split::Train).unwrap_err().to_string();
        assert!(message.contains("train-labels-idx1-ubyte: is missing"), "{message}");
        std::fs::write(&labels, idx(&[3], &[0, 1, 2])).unwrap();
        let message = read_split(dir.path(), Split::Train).unwrap_err().to_string();
        assert!(message.contains("has shape [3], but there are 2 images"), "{message}");
        std::fs::write(&labels, idx(&[2], &[4, 5])).unwrap();
        assert_eq!(read_split(dir.path(), Split::Train).unwrap().labels, Some(vec![4, 5]));
    }

    #[test]
    fn the_original_files_hold_what_is_known_of_them() {
        for (name, mean) in [("mnist", 33.79), ("fashion-mnist", 73.15)] {
            let Some(dir) = test_data(name) else { continue };
            let set = read_split(&dir, Split::Test).unwrap();
            assert_eq!((set.len(), set.shape(), set.n_classes()), (10_000, [1, 28, 28], Some(10)));
            let sum: u64 = set.pixels.iter().map(|&p| p as u64).sum();
            assert!((sum as f64 / set.pixels.len() as f64 - mean).abs() < 0.005, "{name}");
        }
    }
}
