use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::{Path, PathBuf},
};

use super::EXTENSIONS;
use crate::{
    data::Split,
    error::{Error, Result},
};

/// Why something is not read: what it is, with an s where it is several, and what about it.
type Reason = (&'static str, &'static str);

const OTHER_FORMAT: Reason = ("file", "in another format than png, jpg, jpeg, jfif, bmp, webp and gif");
const EMPTY: Reason = ("folder", "without a picture");
const AGAIN: Reason = ("link", "to a folder that is read already");
const BESIDE: Reason = ("item", "beside the folders of the two parts");

/// What is not read, by reason.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeftOut(BTreeMap<Reason, Vec<PathBuf>>);

impl LeftOut {
    fn add(&mut self, reason: Reason, paths: impl IntoIterator<Item = PathBuf>) {
        self.0.entry(reason).or_default().extend(paths);
    }

    fn extend(&mut self, more: Self) {
        more.0.into_iter().for_each(|(reason, paths)| self.add(reason, paths));
    }

    /// A line for each reason.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().filter_map(|((what, why), paths)| {
            let first = paths.iter().min()?.display();
            let (n, plural) = (paths.len(), if paths.len() == 1 { "" } else { "s" });
            Some(format!("left out {n} {what}{plural} {why}; the first is {first}"))
        })
    }
}

/// A folder: the pictures in it, and the folders in it that hold pictures.
#[derive(Debug)]
pub struct Branch {
    pub dir: PathBuf,
    /// In the order of their names.
    pub pictures: Vec<PathBuf>,
    /// In the natural order of their names: 2 before 10.
    pub folders: Vec<Branch>,
    pub left_out: LeftOut,
}

impl Branch {
    /// Reads `dir` and all folders below it, each real folder once, however many links lead to it. Hidden entries do
    /// not count.
    ///
    /// # Errors
    /// [`Error::Io`] if a folder cannot be read.
    pub fn read(dir: &Path) -> Result<Self> {
        let real = fs::canonicalize(dir).map_err(|source| unreadable(dir, source))?;
        // A link to a folder that holds this one leads round in a circle.
        Self::grow(dir.to_path_buf(), &mut real.ancestors().map(Path::to_path_buf).collect())
    }

    /// `seen` are the real folders that have been read, or hold this one.
    fn grow(dir: PathBuf, seen: &mut HashSet<PathBuf>) -> Result<Self> {
        let (mut pictures, mut inner, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for entry in fs::read_dir(&dir).map_err(|source| unreadable(&dir, source))? {
            let path = entry.map_err(|source| unreadable(&dir, source))?.path();
            let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
                continue;
            } else if path.is_dir() {
                inner.push(path);
            } else if EXTENSIONS.contains(&extension.as_str()) {
                pictures.push(path);
            } else {
                others.push(path);
            }
        }
        pictures.sort();
        inner.sort();
        inner.sort_by(|a, b| alphanumeric_sort::compare_path(a, b));

        let mut branch = Self { dir, pictures, folders: Vec::new(), left_out: LeftOut::default() };
        branch.left_out.add(OTHER_FORMAT, others);
        for path in inner {
            let real = fs::canonicalize(&path).map_err(|source| unreadable(&path, source))?;
            // One folder of pictures may serve as both parts.
            let mut of_part = is_part(&path).then(|| seen.clone());
            let seen = of_part.as_mut().unwrap_or(seen);
            if !seen.insert(real) {
                branch.left_out.add(AGAIN, [path]);
                continue;
            }
            let mut folder = Self::grow(path, seen)?;
            if folder.pictures.is_empty() && folder.folders.is_empty() {
                // Of the empty folders in an empty one nobody needs to hear.
                folder.left_out.0.remove(&EMPTY);
                branch.left_out.extend(folder.left_out);
                branch.left_out.add(EMPTY, [folder.dir]);
            } else {
                branch.folders.push(folder);
            }
        }
        Ok(branch)
    }

    /// The folder that this one stands for: the only one in it, if it holds nothing else. A part, or one of the `known`
    /// classes, stays in its place.
    pub fn unwrapped(mut self, known: &[String]) -> Self {
        while self.pictures.is_empty()
            && let [only] = &self.folders[..]
            && !is_part(&only.dir)
            && !known.contains(&only.name())
            && let Some(only) = self.folders.pop()
        {
            self = Self { left_out: with(self.left_out, only.left_out), ..only };
        }
        self
    }

    /// The two parts, where there are folders of their names; itself where there are none. What lies beside them counts
    /// as left out of the training part.
    pub fn parts(mut self) -> Result<[Option<Self>; 2], Self> {
        if !self.folders.iter().any(|folder| is_part(&folder.dir)) {
            return Err(self);
        }
        let (mut parts, mut left_out) = ([None, None], self.left_out);
        left_out.add(BESIDE, self.pictures);
        for folder in self.folders.drain(..) {
            match [Split::Train, Split::Test].iter().position(|part| folder.dir.ends_with(part.name())) {
                Some(part) => parts[part] = Some(folder),
                None => left_out.add(BESIDE, [folder.dir]),
            }
        }
        if let Some(first) = parts.iter_mut().flatten().next() {
            first.left_out.extend(left_out);
        }
        Ok(parts)
    }

    /// Its name, as a class.
    pub fn name(&self) -> String {
        self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// All pictures in it, and in the folders in it; what was left out on the way is added to `left_out`.
    pub fn flatten(self, left_out: &mut LeftOut) -> Vec<PathBuf> {
        left_out.extend(self.left_out);
        let mut pictures = self.pictures;
        self.folders.into_iter().for_each(|folder| pictures.extend(folder.flatten(left_out)));
        pictures
    }
}

fn with(mut left_out: LeftOut, more: LeftOut) -> LeftOut {
    left_out.extend(more);
    left_out
}

fn is_part(dir: &Path) -> bool {
    [Split::Train, Split::Test].iter().any(|part| dir.ends_with(part.name()))
}

fn unreadable(dir: &Path, source: std::io::Error) -> Error {
    Error::io(dir, source, "check that the folder is there and that you may read it")
}
