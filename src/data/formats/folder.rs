//! A folder of pictures. Sub-folders, if there are any, are the classes, numbered in the order of their names.
//!
//! Nothing is left out silently: a picture that cannot be decoded is an error with its name, and files that
//! are no pictures are counted in a warning to the log, which the native program shows on stderr.

use std::{
    fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use rayon::prelude::*;

use crate::{
    data::Split,
    error::{Error, Result},
    images::ImageSet,
    picture,
};

/// File name endings that are read, in any case.
pub const EXTENSIONS: [&str; 6] = ["png", "jpg", "jpeg", "bmp", "webp", "gif"];

/// Pictures decoded before they are put together, which bounds the memory used on the way.
const CHUNK: usize = 1024;

/// The pictures of one part, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The folder that holds them or their classes.
    pub dir: PathBuf,
    /// Each picture with its class.
    pub files: Vec<(PathBuf, usize)>,
    /// Names of the sub-folders; empty if the pictures lie directly in `dir`.
    pub classes: Vec<String>,
}

/// Lists the pictures of `dir`.
///
/// A folder `train` or `test` is that part; a folder that holds nothing but one other folder stands for it.
///
/// # Errors
/// [`Error::Data`] if there is no picture, no such part, or if pictures and folders are mixed;
/// [`Error::Io`] if a folder cannot be read.
pub fn list(dir: &Path, split: Split) -> Result<Listing> {
    let mut dir = dir.to_path_buf();
    let mut is_part = false;
    let (pictures, folders) = loop {
        let (pictures, mut folders) = entries(&dir)?;
        let parts = |split: Split| folders.contains(&dir.join(split.name()));
        if !is_part && (parts(Split::Train) || parts(Split::Test)) {
            dir.push(split.name());
            is_part = true;
        } else if pictures.is_empty() && folders.len() == 1 {
            dir = folders.remove(0);
        } else {
            break (pictures, folders);
        }
    };
    if split == Split::Test && !is_part {
        let fix = "put the two parts into folders `train` and `test`, or use the train part";
        return Err(Error::data(dir, "has no test part", fix));
    }
    if !pictures.is_empty() && !folders.is_empty() {
        let problem = format!("holds {} pictures beside {} folders", pictures.len(), folders.len());
        return Err(Error::data(dir, problem, "sort all pictures into folders, one for each class, or none"));
    }
    let mut files: Vec<_> = pictures.into_iter().map(|path| (path, 0)).collect();
    let mut classes = Vec::new();
    for (class, folder) in folders.iter().enumerate() {
        classes.push(folder.file_name().unwrap_or_default().to_string_lossy().into_owned());
        let mut pending = vec![folder.clone()];
        while let Some(folder) = pending.pop() {
            let (pictures, inner) = entries(&folder)?;
            files.extend(pictures.into_iter().map(|path| (path, class)));
            pending.extend(inner.into_iter().rev());
        }
    }
    if files.is_empty() {
        let problem = format!("holds no picture ({})", EXTENSIONS.join(", "));
        return Err(Error::data(dir, problem, "name a folder with pictures"));
    }
    Ok(Listing { dir, files, classes })
}

/// Lists the pictures in `dir`, or in its folder `inner` if there is one, whose numbers are in `part`.
///
/// They have no classes.
///
/// # Errors
/// As [`list`]; [`Error::Data`] too if a name is not a number.
pub fn list_numbered(dir: &Path, inner: &str, part: &RangeInclusive<u32>) -> Result<Listing> {
    let within = dir.join(inner);
    let mut listing = list(if within.is_dir() { &within } else { dir }, Split::Train)?;
    let number = |path: &Path| path.file_stem()?.to_str()?.parse::<u32>().ok();
    if let Some((path, _)) = listing.files.iter().find(|(path, _)| number(path).is_none()) {
        let fix = format!("use the files of {inner}, or the data set `folder` for other pictures");
        return Err(Error::data(path, "is not named like 000001.jpg", fix));
    }
    listing.files.retain(|(path, _)| number(path).is_some_and(|n| part.contains(&n)));
    listing.classes.clear();
    if listing.files.is_empty() {
        let problem = format!("holds no picture numbered {} to {}", part.start(), part.end());
        return Err(Error::data(listing.dir, problem, format!("use all files of {inner}")));
    }
    Ok(listing)
}

/// Reads the listed pictures as RGB, each passed through `prepare`; named like the folder (not like its part `train`), without
/// a licence.
///
/// # Errors
/// [`Error::Data`] with the name of the first picture that is broken, that `prepare` cannot cut to shape, or
/// that then differs in size from the first one.
pub fn read(
    listing: &Listing,
    prepare: impl Fn(ImageSet) -> Result<ImageSet, String> + Sync,
) -> Result<ImageSet> {
    let fix = "set crop and size so that all pictures come out alike, or take this one away";
    let open = |(path, _): &(PathBuf, usize)| {
        prepare(picture::decode(path)?).map_err(|problem| Error::data(path, problem, fix))
    };
    let mut files = listing.files.chunks(CHUNK);
    let mut set: Option<ImageSet> = None;
    for files in &mut files {
        let pictures = files.par_iter().map(open).collect::<Result<Vec<_>>>()?;
        for ((path, _), picture) in files.iter().zip(pictures) {
            let Some(set) = &mut set else {
                set = Some(picture);
                continue;
            };
            if picture.shape() != set.shape() {
                let [_, height, width] = set.shape();
                let problem = format!(
                    "is {} x {} pixels, but the first picture is {width} x {height}",
                    picture.width, picture.height
                );
                return Err(Error::data(path, problem, fix));
            }
            set.pixels.extend_from_slice(&picture.pixels);
        }
    }
    let set =
        set.ok_or_else(|| Error::data(&listing.dir, "holds no picture", "name a folder with pictures"))?;
    let labels = match listing.classes.len() {
        0 => None,
        1..=256 => Some(listing.files.iter().map(|&(_, class)| class as u8).collect()),
        n => {
            log::warn!(
                "{}: {n} folders are more classes than the 256 of a label, so none is kept",
                listing.dir.display()
            );
            None
        }
    };
    Ok(ImageSet { name: super::own_name(&listing.dir), labels, ..set })
}

/// The pictures and the folders in `dir`, each sorted. Hidden entries do not count.
fn entries(dir: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let io = |source| Error::io(dir, source, "check that the folder is there and that you may read it");
    let (mut pictures, mut folders, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for entry in fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        } else if path.is_dir() {
            folders.push(path);
        } else if EXTENSIONS.contains(&extension.as_str()) {
            pictures.push(path);
        } else {
            others.push(path);
        }
    }
    if let Some(first) = others.iter().min() {
        log::warn!(
            "{}: left out {} files that are no pictures, {}",
            dir.display(),
            others.len(),
            first.display()
        );
    }
    pictures.sort();
    folders.sort();
    Ok((pictures, folders))
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage, Rgba, RgbaImage};

    use super::*;
    use crate::data::{DataSource, Dataset};

    fn source(dir: &Path) -> DataSource {
        DataSource { data_dir: Some(dir.into()), ..DataSource::new(Dataset::Folder) }
    }

    fn flat(width: u32, height: u32, color: [u8; 3]) -> RgbImage {
        RgbImage::from_pixel(width, height, Rgb(color))
    }

    #[test]
    fn every_format_is_read_in_the_order_of_the_names() {
        let dir = tempfile::tempdir().unwrap();
        for (i, name) in ["a.png", "b.bmp", "c.GIF", "d.webp", "e.jpg"].iter().enumerate() {
            flat(6, 4, [40 * i as u8, 100, 200]).save(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("notes.txt"), "not a picture").unwrap();
        let set = source(dir.path()).load().unwrap();
        assert_eq!((set.len(), set.shape(), &set.labels), (5, [3, 4, 6], &None));
        for (i, image) in set.pixels.chunks_exact(set.stride()).enumerate() {
            let is = [image[0], image[24], image[48]];
            for (is, want) in is.into_iter().zip([40 * i as u8, 100, 200]) {
                assert!(is.abs_diff(want) <= 4, "picture {i}: {is} for {want}");
            }
        }
        let small = DataSource { gray: true, size: Some(2), ..source(dir.path()) }.load().unwrap();
        assert_eq!(small.shape(), [1, 2, 2]);
        assert!(small.image(0)[0].abs_diff(82) <= 1, "0.587 * 100 + 0.114 * 200");
    }

    #[test]
    fn folders_are_classes_and_parts() {
        let dir = tempfile::tempdir().unwrap();
        for (i, name) in
            ["all/train/cat/1.png", "all/train/dog/deep/1.png", "all/test/cat/9.png"].iter().enumerate()
        {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            flat(3, 3, [i as u8; 3]).save(path).unwrap();
        }
        let listing = list(dir.path(), Split::Train).unwrap();
        assert_eq!(listing.classes, ["cat", "dog"]);
        let train = source(dir.path()).load().unwrap();
        assert_eq!((train.pixels[0], train.image(1)[0], train.labels), (0, 1, Some(vec![0, 1])));
        let test = DataSource { split: Split::Test, ..source(dir.path()) }.load().unwrap();
        assert_eq!((test.len(), test.pixels[0]), (1, 2));

        let only_train = DataSource { split: Split::Test, ..source(&dir.path().join("all/train")) };
        assert!(only_train.load().unwrap_err().to_string().contains("no test part"));
        flat(3, 3, [0; 3]).save(dir.path().join("all/train/lost.png")).unwrap();
        let message = source(dir.path()).load().unwrap_err().to_string();
        assert!(message.contains("1 pictures beside 2 folders"), "{message}");
    }

    #[test]
    fn a_broken_or_odd_picture_is_named() {
        let dir = tempfile::tempdir().unwrap();
        flat(8, 8, [9; 3]).save(dir.path().join("a.png")).unwrap();
        flat(9, 8, [9; 3]).save(dir.path().join("b.png")).unwrap();
        let message = source(dir.path()).load().unwrap_err().to_string();
        assert!(message.contains("b.png: is 9 x 8") && message.contains("8 x 8"), "{message}");
        assert_eq!(DataSource { size: Some(8), ..source(dir.path()) }.load().unwrap().len(), 2);
        let message = DataSource { crop: Some(9), ..source(dir.path()) }.load().unwrap_err().to_string();
        assert!(message.contains("a.png") && message.contains("crop of 9"), "{message}");

        let whole = fs::read(dir.path().join("a.png")).unwrap();
        fs::write(dir.path().join("b.png"), &whole[..whole.len() / 2]).unwrap();
        let message = source(dir.path()).load().unwrap_err().to_string();
        assert!(message.contains("b.png") && message.contains("cannot be decoded"), "{message}");
    }

    #[test]
    fn transparent_pixels_are_white() {
        let dir = tempfile::tempdir().unwrap();
        let picture = RgbaImage::from_fn(2, 1, |x, _| Rgba([0, 0, 0, if x == 0 { 0 } else { 255 }]));
        picture.save(dir.path().join("a.png")).unwrap();
        assert_eq!(source(dir.path()).load().unwrap().pixels, [255, 0, 255, 0, 255, 0]);
    }

    #[test]
    fn celeba_is_cut_and_split_as_in_the_papers() {
        let dir = tempfile::tempdir().unwrap();
        let faces = dir.path().join("celeba/img_align_celeba");
        fs::create_dir_all(&faces).unwrap();
        for name in ["000001", "162770", "162771", "182638"] {
            flat(178, 218, [7; 3]).save(faces.join(format!("{name}.png"))).unwrap();
        }
        let load = |split| {
            let celeba = DataSource { split, ..DataSource::new(Dataset::Celeba) };
            DataSource { data_dir: Some(dir.path().into()), ..celeba }.load().unwrap()
        };
        assert_eq!((load(Split::Train).len(), load(Split::Test).len()), (2, 1));
        assert_eq!((load(Split::Test).shape(), load(Split::Test).name.as_str()), ([3, 64, 64], "celeba"));
    }
}
