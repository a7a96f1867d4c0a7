//! The readers, one file a format: whether a data set is there, and its images.
//!
//! A reader knows no data set by name. What it hands out is consistent; what is damaged is an error with the
//! file. To add a format: a file with a reader, a variant of [`Format`], and its arms below.

pub mod cifar;
pub mod folder;
pub mod idx;
pub mod npz;

use std::path::Path;

use super::{DataSource, Format, RemoteFile, Split, synthetic};
use crate::{error::Result, images::ImageSet};

impl Format {
    /// Whether the first file of the wanted part is at `path`.
    pub(super) fn is_at(&self, path: &Path, source: &DataSource) -> bool {
        match self {
            Self::Idx => idx::find(path, idx::file_names(source.split)[0]).is_some(),
            Self::Cifar => cifar::find(path, source.split).is_some(),
            // any folder may hold pictures, so it has to be one that was named
            Self::Folder | Self::Numbered { .. } => {
                path.is_dir() && (path.ends_with(source.dataset.name()) || source.data_dir.is_some())
            }
            // one that was named may have any name
            Self::Npz if source.dataset.is_own() => path.exists(),
            Self::Npz => path.join(format!("{}.npz", source.split)).is_file(),
            Self::Drawn => true,
        }
    }

    /// Whether all that the download of `file` brings is in `dir`.
    pub(super) fn has(&self, dir: &Path, file: &RemoteFile) -> bool {
        match self {
            Self::Cifar => [Split::Train, Split::Test].iter().all(|&split| cifar::is_complete(dir, split)),
            _ => idx::find(dir, file.name.trim_end_matches(".gz")).is_some(),
        }
    }

    /// The files for which a downloaded archive is unpacked; none if the downloads are read as they are.
    pub(super) fn unpacked(&self) -> Vec<&'static str> {
        match self {
            Self::Cifar => [Split::Train, Split::Test].map(cifar::file_names).concat(),
            _ => Vec::new(),
        }
    }

    /// Reads the wanted part at `path`, cut to shape.
    pub(super) fn read(&self, path: &Path, source: &DataSource) -> Result<ImageSet> {
        let split = source.split;
        match self {
            Self::Idx => source.prepare_all(idx::read_split(path, split)?),
            Self::Cifar => source.prepare_all(cifar::read_split(path, split)?),
            Self::Folder => source.prepare_each(folder::list(path, split)?),
            Self::Numbered { folder, train, test } => {
                let part = if split == Split::Train { train } else { test };
                source.prepare_each(folder::list_numbered(path, folder, part)?)
            }
            Self::Npz => {
                let labels = source.label_array.as_deref();
                let arrays = npz::Arrays { images: source.array.as_deref().unwrap_or("images"), labels };
                source.prepare_all(npz::read(&npz::part(path, split)?, arrays)?)
            }
            Self::Drawn => {
                let (n, seed) = if split == Split::Train { (6000, 0) } else { (1000, 1) };
                source.prepare_all(synthetic::digits_like(source.limit.unwrap_or(n).min(n), 28, seed))
            }
        }
    }
}

/// What somebody's own images are called: the name of their folder or archive; where that says no more than which part
/// they are, of the folder around it.
fn own_name(path: &Path) -> String {
    let whole = match path.file_name() {
        Some(_) => std::path::absolute(path),
        None => path.canonicalize(), // `.` or `..`
    };
    let whole = whole.unwrap_or_else(|_| path.into());
    let name = |path: &Path| {
        let name = if path.is_file() { path.file_stem() } else { path.file_name() };
        name.map(|name| name.to_string_lossy().into_owned())
    };
    let says_more = |name: &String| [Split::Train, Split::Test].iter().all(|split| name != split.name());
    whole.ancestors().filter_map(name).find(says_more).unwrap_or_default()
}

/// Folder with real data sets for tests: `SCOREFIELD_DATA`, or `../shared/data` beside the checkout.
#[cfg(test)]
pub(crate) fn test_data(dataset: &str) -> Option<std::path::PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let root = std::env::var_os("SCOREFIELD_DATA").map_or_else(beside, Into::into);
    Some(root.join(dataset)).filter(|dir| dir.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_does_not_give_the_whole_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        std::fs::create_dir_all(at("cats.v2/train")).unwrap();
        std::fs::write(at("cats.v2/test.npz"), "").unwrap();
        std::fs::write(at("dogs.npz"), "").unwrap();
        for (path, name) in [
            ("cats.v2", "cats.v2"),
            ("cats.v2/train", "cats.v2"),
            ("cats.v2/train/.", "cats.v2"),
            ("cats.v2/train/..", "cats.v2"),
            ("cats.v2/test.npz", "cats.v2"),
            ("dogs.npz", "dogs"),
        ] {
            assert_eq!(own_name(&at(path)), name, "{path}");
        }
    }
}
