//! NumPy archives: an array `images` of bytes and, optionally, `labels`, or arrays of other names that the user says.
//! Other arrays are not looked at.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use npyz::{
    DType, NpyFile, Order, TypeChar,
    npz::{NpzArchive, file_name_from_array_name},
};

use crate::{
    data::Split,
    error::{Error, Result},
    images::ImageSet,
    picture::npy,
};

/// Most bytes that the images may claim: 64 GiB.
const MAX_BYTES: u64 = 1 << 36;

const SHAPES: &str = "save uint8 images of shape [n, h, w], [n, h, w, 1 or 3] or [n, 1 or 3, h, w]";

/// The archive of one part: `path` itself, or in a folder `train.npz`, `test.npz` or its only archive.
///
/// # Errors
/// [`Error::Data`] if there is none, if there are several, or if there is no test part.
pub fn part(path: &Path, split: Split) -> Result<PathBuf> {
    let fix = "name one archive, or put `train.npz` and `test.npz` into a folder";
    let named = path.join(format!("{split}.npz"));
    if named.is_file() {
        return Ok(named);
    }
    if split == Split::Test {
        return Err(Error::data(path, "has no test part", fix));
    }
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    let listing = fs::read_dir(path).map_err(|source| Error::io(path, source, fix))?;
    let mut archives: Vec<_> = listing
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "npz"))
        .collect();
    match (archives.pop(), archives.len()) {
        (Some(archive), 0) => Ok(archive),
        (last, others) => {
            let n = others + last.iter().len();
            Err(Error::data(path, format!("holds {n} archives (.npz) where one is expected"), fix))
        }
    }
}

/// Which arrays of an archive are meant.
#[derive(Debug, Clone, Copy)]
pub struct Arrays<'a> {
    /// The images.
    pub images: &'a str,
    /// Their classes; if nothing is said, `labels` where there is such an array.
    pub labels: Option<&'a str>,
}

/// Reads an archive, named like the file, without a licence.
///
/// # Errors
/// [`Error::Io`] if the file cannot be opened; [`Error::Data`] if it is no archive, is damaged, has no
/// such arrays, or if they do not have the types and shapes above.
pub fn read(path: &Path, arrays: Arrays<'_>) -> Result<ImageSet> {
    let file = fs::File::open(path)
        .map_err(|source| Error::io(path, source, "check that the file is there and that you may read it"))?;
    let (shape, pixels, labels) =
        parse(file, arrays).map_err(|(problem, fix)| Error::data(path, problem, fix))?;
    let [n, channels, height, width] = shape;
    debug_assert_eq!(pixels.len(), n * channels * height * width);
    let (name, class_names) = (super::own_name(path), Vec::new());
    Ok(ImageSet { name, licence: String::new(), channels, height, width, pixels, labels, class_names })
}

/// What is wrong, and what to change.
type Problem = (String, &'static str);
type Parsed = ([usize; 4], Vec<u8>, Option<Vec<u8>>);

type Archive = NpzArchive<io::BufReader<fs::File>>;

/// The array of that name, its header looked at before it is believed; `None` if there is none.
fn array<'a>(archive: &'a mut Archive, name: &str) -> io::Result<Option<NpyFile<impl Read + use<'a>>>> {
    if let Ok(file) = archive.zip_archive().by_name(&file_name_from_array_name(name)) {
        npy::check_start(file)?;
    }
    archive.by_name(name)
}

/// An array that was asked for and is not there.
fn missing(archive: &Archive, name: &str, option: &'static str) -> Problem {
    let mut names: Vec<_> = archive.array_names().map(str::to_owned).collect();
    names.sort();
    (format!("has no array `{name}`, only {names:?}"), option)
}

fn parse(file: fs::File, names: Arrays<'_>) -> Result<Parsed, Problem> {
    let name = names.images;
    let mut archive = NpzArchive::new(io::BufReader::new(file)).map_err(damaged)?;
    let Some(images) = array(&mut archive, name).map_err(damaged)? else {
        return Err(missing(&archive, name, "name the one with the images with --array"));
    };
    if !is_bytes(&images.dtype()) {
        return Err((format!("has `{name}` of type {}", images.dtype().descr()), SHAPES));
    }
    if images.order() == Order::Fortran && images.shape().len() > 1 {
        let fix = "save them with numpy.ascontiguousarray";
        return Err((format!("has `{name}` in Fortran order"), fix));
    }
    let bytes = images.shape().iter().try_fold(1u64, |n, &axis| n.checked_mul(axis));
    let (shape, is_last) = layout(images.shape())
        .ok_or_else(|| (format!("has `{name}` of shape {:?}", images.shape()), SHAPES))?;
    let bytes = bytes
        .filter(|bytes| (1..=MAX_BYTES).contains(bytes))
        .ok_or_else(|| (format!("has `{name}` of the impossible shape {shape:?}"), SHAPES))?;

    let mut pixels = Vec::new();
    images.into_inner().take(bytes.saturating_add(1)).read_to_end(&mut pixels).map_err(damaged)?;
    if pixels.len() as u64 != bytes {
        return Err((format!("has {} bytes of `{name}` instead of {bytes}", pixels.len()), "save it again"));
    }
    if is_last && shape[1] > 1 {
        pixels = channels_first(&pixels, shape);
    }
    let labels = labels(&mut archive, shape[0], names.labels)?;
    Ok((shape, pixels, labels))
}

/// `[n, c, h, w]`, and whether the channels are last in the file.
fn layout(shape: &[u64]) -> Option<([usize; 4], bool)> {
    let axes: Vec<usize> = shape.iter().map(|&axis| usize::try_from(axis).unwrap_or(usize::MAX)).collect();
    match axes[..] {
        [n, h, w] => Some(([n, 1, h, w], false)),
        [n, h, w, c @ (1 | 3)] => Some(([n, c, h, w], true)),
        [n, c @ (1 | 3), h, w] => Some(([n, c, h, w], false)),
        _ => None,
    }
}

/// `[n, h, w, c]` to `[n, c, h, w]`.
fn channels_first(pixels: &[u8], [_, channels, height, width]: [usize; 4]) -> Vec<u8> {
    let mut planes = Vec::with_capacity(pixels.len());
    for image in pixels.chunks_exact(channels * height * width) {
        for channel in 0..channels {
            planes.extend(image.iter().skip(channel).step_by(channels));
        }
    }
    planes
}

/// The classes, from integers of any width, one after the other or in one column.
fn labels(archive: &mut Archive, n: usize, asked_for: Option<&str>) -> Result<Option<Vec<u8>>, Problem> {
    let (name, fix) = (asked_for.unwrap_or("labels"), "save labels as one uint8 for each image");
    let Some(labels) = array(archive, name).map_err(damaged)? else {
        return match asked_for {
            Some(name) => Err(missing(archive, name, "name the one with the classes with --label-array")),
            None => Ok(None),
        };
    };
    if ![&[n as u64][..], &[n as u64, 1]].contains(&labels.shape()) {
        return Err((format!("has `{name}` of shape {:?}, but there are {n} images", labels.shape()), fix));
    }
    let unknown = |labels: &DType| (format!("has `{name}` of type {}", labels.descr()), fix);
    let DType::Plain(kind) = labels.dtype() else { return Err(unknown(&labels.dtype())) };
    let wide: Vec<i128> = match (kind.type_char(), kind.size_field()) {
        (TypeChar::Uint, 1) => labels.into_vec::<u8>().map(widen),
        (TypeChar::Uint, 2) => labels.into_vec::<u16>().map(widen),
        (TypeChar::Uint, 4) => labels.into_vec::<u32>().map(widen),
        (TypeChar::Uint, 8) => labels.into_vec::<u64>().map(widen),
        (TypeChar::Int, 1) => labels.into_vec::<i8>().map(widen),
        (TypeChar::Int, 2) => labels.into_vec::<i16>().map(widen),
        (TypeChar::Int, 4) => labels.into_vec::<i32>().map(widen),
        (TypeChar::Int, 8) => labels.into_vec::<i64>().map(widen),
        _ => return Err(unknown(&labels.dtype())),
    }
    .map_err(damaged)?;
    let narrow = |label| u8::try_from(label).map_err(|_| (format!("has the label {label}"), fix));
    wide.into_iter().map(narrow).collect::<Result<_, _>>().map(Some)
}

fn widen<T: Into<i128>>(values: Vec<T>) -> Vec<i128> {
    values.into_iter().map(Into::into).collect()
}

fn is_bytes(dtype: &DType) -> bool {
    matches!(dtype, DType::Plain(kind) if kind.type_char() == TypeChar::Uint && kind.size_field() == 1)
}

fn damaged(error: io::Error) -> Problem {
    let problem = format!("is no archive of arrays, or is damaged ({})", npy::in_one_line(&error));
    (problem, "save it again with numpy.savez_compressed")
}

#[cfg(test)]
mod tests {
    use npyz::{AutoSerialize, WriterBuilder, npz::NpzWriter};

    use super::*;
    use crate::data::formats::test_data;

    const USUAL: Arrays<'_> = Arrays { images: "images", labels: None };

    struct Written(tempfile::TempDir, NpzWriter<io::BufWriter<fs::File>>);

    impl Written {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let writer = NpzWriter::create(dir.path().join("own.npz")).unwrap();
            Self(dir, writer)
        }

        fn with<T: AutoSerialize + Copy>(mut self, name: &str, shape: &[u64], values: &[T]) -> Self {
            let array = self.1.array(name, Default::default()).unwrap();
            let mut array = array.default_dtype().shape(shape).begin_nd().unwrap();
            array.extend(values.iter().copied()).unwrap();
            array.finish().unwrap();
            self
        }

        fn read(self) -> Result<ImageSet> {
            self.read_arrays(USUAL)
        }

        fn read_arrays(self, arrays: Arrays<'_>) -> Result<ImageSet> {
            let Self(dir, writer) = self;
            drop(writer);
            read(&part(dir.path(), Split::Train)?, arrays)
        }
    }

    #[test]
    fn the_three_layouts_give_the_same_images() {
        let first: Vec<u8> = (0..2 * 3 * 4 * 5).collect();
        let first = first.as_slice();
        let at = |n: usize, c: usize, y: usize, x: usize| first[((n * 3 + c) * 4 + y) * 5 + x];
        let last: Vec<u8> = (0..120).map(|i| at(i / 60, i % 3, i / 15 % 4, i / 3 % 5)).collect();
        let set = Written::new().with("images", &[2, 3, 4, 5], first).read().unwrap();
        assert_eq!((set.shape(), set.name.as_str(), &set.pixels[..]), ([3, 4, 5], "own", first));
        assert_eq!(Written::new().with("images", &[2, 4, 5, 3], &last).read().unwrap(), set);
        let gray = Written::new().with("images", &[6, 4, 5], first).read().unwrap();
        assert_eq!((gray.shape(), gray.len(), &gray.pixels[..]), ([1, 4, 5], 6, first));
        assert_eq!(Written::new().with("images", &[6, 4, 5, 1], first).read().unwrap(), gray);
    }

    #[test]
    fn labels_of_any_integer_type_are_narrowed() {
        let images = || Written::new().with("images", &[2, 1, 1], &[1u8, 2]);
        assert_eq!(images().with("labels", &[2], &[3u8, 255]).read().unwrap().labels, Some(vec![3, 255]));
        assert_eq!(images().with("labels", &[2], &[3i64, 0]).read().unwrap().labels, Some(vec![3, 0]));
        assert_eq!(images().with("labels", &[2, 1], &[3i64, 0]).read().unwrap().labels, Some(vec![3, 0]));
        for (archive, word) in [
            (images().with("labels", &[1, 2], &[0u8, 1]), "shape [1, 2]"),
            (images().with("labels", &[2], &[-1i32, 0]), "label -1"),
            (images().with("labels", &[2], &[256u16, 0]), "label 256"),
            (images().with("labels", &[2], &[0f32, 1.]), "`labels` of type"),
            (images().with("labels", &[3], &[0u8, 1, 2]), "shape [3], but there are 2 images"),
        ] {
            let message = archive.read().unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        }
    }

    #[test]
    fn arrays_of_other_names_are_read_if_they_are_named() {
        let archive =
            || Written::new().with("arr_0", &[2, 1, 1], &[1u8, 2]).with("arr_1", &[2, 1], &[7i64, 0]);
        let set = archive().read_arrays(Arrays { images: "arr_0", labels: Some("arr_1") }).unwrap();
        assert_eq!((set.pixels, set.labels), (vec![1, 2], Some(vec![7, 0])));
        assert_eq!(archive().read_arrays(Arrays { images: "arr_0", labels: None }).unwrap().labels, None);
        let message = archive().read().unwrap_err().to_string();
        assert!(
            message.contains(r#"only ["arr_0", "arr_1"]; name"#) && message.contains("--array"),
            "{message}"
        );
        let wrong = archive().read_arrays(Arrays { images: "arr_0", labels: Some("y") });
        let message = wrong.unwrap_err().to_string();
        assert!(message.contains("no array `y`") && message.contains("--label-array"), "{message}");
    }

    /// A header of 4 GiB, and one that is nothing but brackets.
    #[test]
    fn a_hostile_header_is_refused_in_one_line() {
        let brackets = [&b"\x93NUMPY\x01\x00"[..], &60_000u16.to_le_bytes(), &[b'['; 60_000]].concat();
        let endless = [&b"\x93NUMPY\x02\x00"[..], &u32::MAX.to_le_bytes(), b"{"].concat();
        for (bytes, size) in [(brackets, "60000"), (endless, "4294967295")] {
            let mut archive = Written::new();
            let zip = archive.1.zip_writer();
            zip.start_file("images.npy", Default::default()).unwrap();
            io::Write::write_all(zip, &bytes).unwrap();
            let message = archive.read().unwrap_err().to_string();
            assert!(message.contains(&format!("header of {size} bytes")), "{message}");
            assert_eq!(message.lines().count(), 1, "{message}");
        }
    }

    #[test]
    fn other_archives_are_refused_with_the_reason() {
        for (archive, word) in [
            (Written::new().with("pictures", &[1, 1, 1], &[0u8]), "only [\"pictures\"]"),
            (Written::new().with("images", &[1, 1, 1], &[0f32]), "of type"),
            (Written::new().with("images", &[1, 2, 2, 4], &[0u8; 16]), "shape [1, 2, 2, 4]"),
            (Written::new().with::<u8>("images", &[0, 2, 2], &[]), "impossible shape"),
        ] {
            let message = archive.read().unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "PK, but not really").unwrap();
        assert!(read(file.path(), USUAL).unwrap_err().to_string().contains("no archive"));
    }

    #[test]
    fn a_damaged_byte_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("own.npz");
        let noise: Vec<u8> = (0..3200u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let archive = Written::new().with("images", &[50, 8, 8], &noise);
        let Written(from, writer) = archive;
        drop(writer);
        let mut bytes = fs::read(from.path().join("own.npz")).unwrap();
        bytes[300] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        assert!(read(&path, USUAL).is_err(), "the checksum of the archive");
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(read(&path, USUAL).is_err(), "a truncated archive");
    }

    #[test]
    fn real_archives_are_read() {
        for (name, n) in [("noto-emoji", 3573), ("dcss-tiles", 4129)] {
            let Some(dir) = test_data(name) else { continue };
            let set = read(&part(&dir, Split::Train).unwrap(), USUAL).unwrap();
            assert_eq!((set.len(), set.shape()), (n, [3, 32, 32]));
            assert!(set.image(0).ends_with(&[255]), "drawn on white");
            assert!(part(&dir, Split::Test).is_err());
        }
    }
}
