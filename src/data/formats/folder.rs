//! A folder of pictures. Sub-folders with pictures, if there are any, are the classes, numbered in the natural order of
//! their names: 2 before 10.
//!
//! Nothing is left out silently: a picture that cannot be decoded is an error with its name, and what is not read is
//! counted in a warning to the log, which the native program shows on stderr.

mod branch;

use std::{
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
use branch::{Branch, LeftOut};

/// File name endings that are read, in any case.
pub const EXTENSIONS: [&str; 7] = ["png", "jpg", "jpeg", "jfif", "bmp", "webp", "gif"];

/// Pictures decoded before they are put together, which bounds the memory used on the way.
const CHUNK: usize = 1024;

/// The pictures of one part, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The folder that holds them or their classes.
    pub dir: PathBuf,
    /// Each picture with its class.
    pub files: Vec<(PathBuf, usize)>,
    /// Names of the sub-folders; empty if the pictures lie directly in `dir`. Those of a test part are those of the
    /// training part, so that a class has one number in both.
    pub classes: Vec<String>,
    /// What is not read.
    left_out: LeftOut,
}

/// Lists the pictures of `dir`.
///
/// A folder `train` or `test` is that part; a folder that holds nothing but one other folder stands for it. Folders
/// without a picture are left out, and every real folder is read once, whatever links lead to it.
///
/// # Errors
/// [`Error::Data`] if there is no picture, no such part, if pictures and folders are mixed, or if the test part has a
/// class that the training part lacks; [`Error::Io`] if a folder cannot be read.
pub fn list(dir: &Path, split: Split) -> Result<Listing> {
    let missing = |part: &str| {
        let fix = "put the two parts into folders `train` and `test`, or use the one that is there";
        Error::data(dir, format!("has no {part} part"), fix)
    };
    let [train, test] = match Branch::read(dir)?.unwrapped(&[]).parts() {
        Ok(parts) => parts,
        Err(whole) => [Some(whole), None],
    };
    let train = train.map(|train| train.unwrapped(&[]));
    match split {
        Split::Train => listing(train.ok_or_else(|| missing("training"))?, None),
        Split::Test => {
            let known = train.map(|train| train.folders.iter().map(Branch::name).collect::<Vec<_>>());
            let known = known.filter(|known| !known.is_empty());
            let test = test.ok_or_else(|| missing("test"))?;
            listing(test.unwrapped(known.as_deref().unwrap_or_default()), known)
        }
    }
}

/// The pictures of `part`, whose folders are classes; `known` are their names where they have been numbered before.
fn listing(part: Branch, known: Option<Vec<String>>) -> Result<Listing> {
    let Branch { dir, pictures, folders, mut left_out } = part;
    if !pictures.is_empty() && !folders.is_empty() {
        let problem = format!("holds {} pictures beside {} folders", pictures.len(), folders.len());
        return Err(Error::data(dir, problem, "sort all pictures into folders, one for each class, or none"));
    }
    let mut files: Vec<_> = pictures.into_iter().map(|path| (path, 0)).collect();
    let names: Vec<String> = folders.iter().map(Branch::name).collect();
    let classes = if names.is_empty() { names } else { known.unwrap_or(names) };
    for folder in folders {
        let Some(class) = classes.iter().position(|name| *name == folder.name()) else {
            let problem = "is a class that the training part lacks";
            return Err(Error::data(folder.dir, problem, format!("use one of {}", classes.join(", "))));
        };
        files.extend(folder.flatten(&mut left_out).into_iter().map(|path| (path, class)));
    }
    if files.is_empty() {
        let problem = format!("holds no picture ({})", EXTENSIONS.join(", "));
        return Err(Error::data(dir, problem, "name a folder with pictures"));
    }
    Ok(Listing { dir, files, classes, left_out })
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

/// Reads the listed pictures as RGB, each passed through `prepare`, and warns of what is left out; named like the folder (not
/// like its part `train`), without a licence.
///
/// # Errors
/// [`Error::Data`] with the name of the first picture that is broken, that `prepare` cannot cut to shape, or
/// that then differs in size from the first one.
pub fn read(
    listing: &Listing,
    prepare: impl Fn(ImageSet) -> Result<ImageSet, String> + Sync,
) -> Result<ImageSet> {
    for line in listing.left_out.lines() {
        log::warn!("{}: {line}", listing.dir.display());
    }
    let fix = "set crop and size so that all pictures come out alike, or take this one away";
    let open = |(path, _): &(PathBuf, usize)| {
        prepare(picture::decode(path)?).map_err(|problem| Error::data(path, problem, fix))
    };
    let mut files = listing.files.chunks(CHUNK);
    let mut set: Option<ImageSet> = None;
    for files in &mut files {
        // All of them, so that the first bad one is named, and not the one that was found first.
        let pictures: Vec<_> = files.par_iter().map(open).collect();
        for ((path, _), picture) in files.iter().zip(pictures) {
            let picture = picture?;
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
    let (labels, class_names) = match listing.classes.len() {
        0 => (None, Vec::new()),
        1..=256 => {
            let labels = listing.files.iter().map(|&(_, class)| class as u8);
            (Some(labels.collect()), listing.classes.clone())
        }
        n => {
            log::warn!(
                "{}: {n} folders are more classes than the 256 of a label, so none is kept",
                listing.dir.display()
            );
            (None, Vec::new())
        }
    };
    Ok(ImageSet { name: super::own_name(&listing.dir), labels, class_names, ..set })
}

#[cfg(test)]
mod tests {
    use std::fs;

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

    fn put(dir: &Path, name: &str) {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        flat(3, 3, [9; 3]).save_with_format(path, image::ImageFormat::Png).unwrap();
    }

    /// What is left out, each with its number, reason and first path below `dir`.
    fn left_out(dir: &Path, split: Split) -> Vec<String> {
        let listing = list(dir, split).unwrap();
        listing.left_out.lines().map(|line| line.replace(&format!("{}/", dir.display()), "")).collect()
    }

    #[test]
    fn what_is_no_picture_is_counted_over_all_folders() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["cat/1.png", "dog/2.JFIF"] {
            put(dir.path(), name);
        }
        assert_eq!(left_out(dir.path(), Split::Train), [""; 0]);
        for name in ["cat/scan.tif", "dog/photo.avif", "dog/x.heic", "dog/.hidden"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let [line] = &left_out(dir.path(), Split::Train)[..] else { panic!("one line for all folders") };
        assert!(
            line.starts_with("left out 3 files") && line.ends_with("the first is cat/scan.tif"),
            "{line}"
        );
        assert!(EXTENSIONS.iter().all(|extension| line.contains(extension)), "{line}");
        assert_eq!(list(dir.path(), Split::Train).unwrap().files.len(), 2);
    }

    #[test]
    fn folders_without_a_picture_are_no_classes_and_hide_none() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["all/cat/1.png", "all/dog/1.png"] {
            put(dir.path(), name);
        }
        fs::create_dir_all(dir.path().join("all/bird/deep")).unwrap();
        fs::create_dir_all(dir.path().join("__MACOSX/all/cat")).unwrap();
        fs::write(dir.path().join("__MACOSX/all/cat/._1.png"), "").unwrap();
        let listing = list(dir.path(), Split::Train).unwrap();
        assert_eq!((listing.classes, listing.files.len()), (vec!["cat".into(), "dog".into()], 2));
        let told = left_out(dir.path(), Split::Train);
        assert_eq!(told, ["left out 2 folders without a picture; the first is __MACOSX"]);
    }

    #[test]
    fn a_test_part_has_the_classes_of_the_training_part() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["train/a/1.png", "train/b/1.png", "train/c/1.png", "test/c/1.png", "val/a/1.png"] {
            put(dir.path(), name);
        }
        let test = list(dir.path(), Split::Test).unwrap();
        assert_eq!((test.classes.len(), test.files[0].1), (3, 2), "one folder alone is a class too");
        put(dir.path(), "test/a/1.png");
        let set = DataSource { split: Split::Test, ..source(dir.path()) }.load().unwrap();
        assert_eq!((set.labels, set.class_names.join(" ").as_str()), (Some(vec![0, 2]), "a b c"));
        let told = left_out(dir.path(), Split::Train);
        assert_eq!(told, ["left out 1 item beside the folders of the two parts; the first is val"]);
        assert_eq!(left_out(dir.path(), Split::Test), [""; 0], "it is told once");
        put(dir.path(), "test/d/1.png");
        let message = list(dir.path(), Split::Test).unwrap_err().to_string();
        assert!(
            message.contains("test/d: is a class that the training") && message.contains("a, b, c"),
            "{message}"
        );
    }

    #[test]
    fn classes_are_numbered_in_natural_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["2", "10", "0", "11", "1"] {
            put(dir.path(), &format!("{name}/1.png"));
        }
        let set = source(dir.path()).load().unwrap();
        assert_eq!(set.class_names, ["0", "1", "2", "10", "11"]);
        assert_eq!(set.labels, Some(vec![0, 1, 2, 3, 4]));
    }

    #[cfg(unix)]
    #[test]
    fn every_real_folder_is_read_once() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        for name in ["cat/1.png", "cat/deep/2.png", "dog/3.png"] {
            put(&root, name);
        }
        put(dir.path(), "elsewhere/4.png");
        for (to, link) in [
            (".", "cat/again"),
            ("..", "cat/up"),
            ("../..", "dog/out"),
            ("/", "dog/top"),
            ("../cat", "dog/cat"),
        ] {
            symlink(to, root.join(link)).unwrap();
        }
        symlink("../elsewhere", root.join("bird")).unwrap();
        let listing = list(&root, Split::Train).unwrap();
        assert_eq!(
            (listing.classes.len(), listing.files.len()),
            (3, 4),
            "a link to another folder is followed"
        );
        let told = left_out(&root, Split::Train);
        assert_eq!(told, ["left out 5 links to a folder that is read already; the first is cat/again"]);

        // the same pictures as both parts
        let parts = dir.path().join("parts");
        put(&parts, "train/1.png");
        symlink("train", parts.join("test")).unwrap();
        assert_eq!([Split::Train, Split::Test].map(|split| list(&parts, split).unwrap().files.len()), [1, 1]);
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
