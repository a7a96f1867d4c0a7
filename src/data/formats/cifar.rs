//! The binary version of CIFAR-10: records of one label and 3072 bytes, red, green and blue planes of 32x32.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    data::Split,
    error::{Error, Result},
    images::ImageSet,
};

const SIDE: usize = 32;
const RECORD: usize = 1 + 3 * SIDE * SIDE;

/// Most bytes one file may have; the real ones have 31 MB.
const MAX_BYTES: u64 = 1 << 30;

/// The files of one part, in order.
pub fn file_names(split: Split) -> &'static [&'static str] {
    match split {
        Split::Train => &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
        ],
        Split::Test => &["test_batch.bin"],
    }
}

/// The folder with the files of `split`: `dir`, or the one in it that the archive unpacks to.
pub fn find(dir: &Path, split: Split) -> Option<PathBuf> {
    [dir.to_path_buf(), dir.join("cifar-10-batches-bin")]
        .into_iter()
        .find(|dir| dir.join(file_names(split)[0]).is_file())
}

/// Whether all files of `split` are there.
pub fn is_complete(dir: &Path, split: Split) -> bool {
    find(dir, split).is_some_and(|dir| file_names(split).iter().all(|name| dir.join(name).is_file()))
}

/// Reads one part, unnamed and without a licence.
///
/// # Errors
/// [`Error::Io`] or [`Error::Data`], naming the file, if one is missing or is not made of whole records with
/// labels from 0 to 9.
pub fn read_split(dir: &Path, split: Split) -> Result<ImageSet> {
    let dir = find(dir, split).unwrap_or_else(|| dir.to_path_buf());
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for name in file_names(split) {
        let path = dir.join(name);
        let fix = "fetch the binary version of CIFAR-10 again, for instance with --download";
        let io = |source| Error::io(&path, source, fix);
        let bytes = match fs::metadata(&path).map_err(io)?.len() {
            n if n == 0 || n > MAX_BYTES || n % RECORD as u64 != 0 => {
                let problem = format!("has {n} bytes, which is not a number of records of {RECORD}");
                return Err(Error::data(path, problem, fix));
            }
            _ => fs::read(&path).map_err(io)?,
        };
        for (i, record) in bytes.chunks_exact(RECORD).enumerate() {
            if record[0] > 9 {
                let problem = format!("has label {} in record {i}, but there are 10 classes", record[0]);
                return Err(Error::data(path, problem, fix));
            }
            labels.push(record[0]);
            pixels.extend_from_slice(&record[1..]);
        }
    }
    Ok(ImageSet {
        name: String::new(),
        licence: String::new(),
        channels: 3,
        height: SIDE,
        width: SIDE,
        pixels,
        labels: Some(labels),
        class_names: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_in_order_from_all_files() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("cifar-10-batches-bin");
        fs::create_dir(&inner).unwrap();
        for (i, name) in file_names(Split::Train).iter().enumerate() {
            let mut record = vec![i as u8 * 10; RECORD];
            record[0] = i as u8;
            record[RECORD - 1] = 200;
            fs::write(inner.join(name), record.repeat(2)).unwrap();
        }
        let set = read_split(dir.path(), Split::Train).unwrap();
        assert_eq!((set.len(), set.shape()), (10, [3, 32, 32]));
        assert_eq!(set.labels.as_deref(), Some(&[0, 0, 1, 1, 2, 2, 3, 3, 4, 4][..]));
        assert_eq!((set.image(9)[0], set.image(9)[3071]), (40, 200));
    }

    #[test]
    fn damage_is_told_with_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("test_batch.bin");
        let message = || read_split(dir.path(), Split::Test).unwrap_err().to_string();
        assert!(message().contains("test_batch.bin"), "{}", message());
        for (bytes, word) in [
            (vec![0; RECORD + 7], "has 3080 bytes"),
            (vec![], "has 0 bytes"),
            ([vec![0; RECORD], vec![10; RECORD]].concat(), "label 10 in record 1"),
        ] {
            fs::write(&path, bytes).unwrap();
            assert!(message().contains(word) && message().contains("test_batch.bin"), "{}", message());
        }
    }
}
