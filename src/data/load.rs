//! From a [`DataSource`] to an [`ImageSet`]: find the files, read them, cut the images to shape.

use std::path::PathBuf;

use super::{DATA_VARIABLE, DataSource, download::Downloader, formats::folder};
use crate::{
    error::{Error, Result},
    images::ImageSet,
};

impl DataSource {
    /// Reads the images and prepares them as the fields say.
    ///
    /// The same source gives the same images in the same order on every machine.
    ///
    /// # Errors
    /// [`Error::Config`] if the source contradicts itself; [`Error::Data`] if the set is not there (with every
    /// path that was tried) or is damaged (with the file).
    pub fn load(&self) -> Result<ImageSet> {
        self.validate()?;
        let set = self.dataset.set().format.read(&self.locate()?, self)?;
        let given_name = self.dataset.is_own().then_some(set.name.clone());
        let name = self.name.clone().or(given_name).unwrap_or_else(|| self.dataset.name().to_owned());
        let licence = self.licence.as_deref().or(self.dataset.licence()).unwrap_or("not stated").to_owned();
        let class_names = match self.dataset.set().class_names {
            [] => set.class_names,
            names => names.iter().map(ToString::to_string).collect(),
        };
        Ok(ImageSet { name, licence, class_names, ..set })
    }

    /// Pictures may differ in size, so each is prepared on its own, before they are put together.
    pub(super) fn prepare_each(&self, mut listing: folder::Listing) -> Result<ImageSet> {
        listing.files.truncate(self.limit.unwrap_or(usize::MAX));
        folder::read(&listing, |one| self.prepare(one))
    }

    /// Images of one shape are prepared together, only as many as are wanted.
    pub(super) fn prepare_all(&self, set: ImageSet) -> Result<ImageSet> {
        let set = set.truncated(self.limit.unwrap_or(usize::MAX));
        let fix = "change crop, size or pad so that they fit the images";
        self.prepare(set).map_err(|problem| Error::config(self.dataset.name(), problem, fix))
    }

    /// Fetches what is missing of the data set into its folder, both parts at once, and returns that folder.
    ///
    /// # Errors
    /// [`Error::Config`] for a data set without a public address; [`Error::Download`] or [`Error::Io`] if no
    /// mirror gives the right bytes. What has arrived is kept, so trying again goes on from there.
    pub fn download(&self) -> Result<PathBuf> {
        let dir = match self.locate() {
            Ok(found) => found,
            Err(_) => self.roots().swap_remove(0).join(self.dataset.name()),
        };
        Downloader::from_env().fetch(self.dataset, &dir)?;
        Ok(dir)
    }

    /// Where to look for data sets: what the user said, or the environment, or `./data`.
    fn roots(&self) -> Vec<PathBuf> {
        let shared = std::env::var_os(DATA_VARIABLE).map_or_else(|| PathBuf::from("data"), PathBuf::from);
        match &self.data_dir {
            Some(dir) if dir.is_relative() => vec![dir.clone(), shared.join(dir)],
            Some(dir) => vec![dir.clone()],
            None => vec![shared],
        }
    }

    /// The folder (or for `npz` the file) that holds the data set.
    fn locate(&self) -> Result<PathBuf> {
        let is_own = self.dataset.is_own();
        if is_own && self.data_dir.is_none() {
            let fix = "say where they are with --data-dir";
            return Err(Error::config("data set", format!("`{}` needs your own images", self.dataset), fix));
        }
        let mut tried = Vec::new();
        for root in self.roots() {
            if !is_own {
                tried.push(root.join(self.dataset.name()));
            }
            tried.push(root);
        }
        if let Some(path) = tried.iter().find(|path| self.dataset.set().format.is_at(path, self)) {
            return Ok(path.clone());
        }
        let places = tried.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
        let get = if self.dataset.is_downloadable() { "add --download to fetch it, or " } else { "" };
        let fix = format!("{get}name its folder with --data-dir or {DATA_VARIABLE}");
        let problem = format!("no data set `{}` ({} part); looked in {places}", self.dataset, self.split);
        Err(Error::data(tried.swap_remove(0), problem, fix))
    }

    /// Crop, size, pad, gray, in this order; or why the images cannot be cut like that.
    fn prepare(&self, mut set: ImageSet) -> Result<ImageSet, String> {
        let is = |set: &ImageSet| format!("is {} x {} pixels", set.width, set.height);
        if let Some(side) = self.crop() {
            if side > set.height.min(set.width) {
                return Err(format!("{}, too small for a crop of {side}", is(&set)));
            }
            set = set.cropped(side, side);
        }
        if let Some(side) = self.size() {
            set = set.resized(side);
        }
        if let Some(side) = self.pad {
            if side < set.height.max(set.width) {
                return Err(format!("{} and cannot be padded to {side}", is(&set)));
            }
            set = set.padded(side);
        }
        Ok(if self.gray { set.grayed() } else { set })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::data::{Dataset, Split, formats::test_data};

    fn synthetic() -> DataSource {
        DataSource { limit: Some(20), ..DataSource::new(Dataset::Synthetic) }
    }

    #[test]
    fn a_missing_set_names_every_place_and_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let source = DataSource { data_dir: Some(dir.path().into()), ..DataSource::new(Dataset::Mnist) };
        let message = source.load().unwrap_err().to_string();
        let below = dir.path().join("mnist").display().to_string();
        for word in [&below, &format!("{}, ", below), "--download", "--data-dir", DATA_VARIABLE] {
            assert!(message.contains(word), "{message}");
        }
        let folder = DataSource { dataset: Dataset::Folder, ..source.clone() };
        assert!(folder.load().unwrap_err().to_string().contains("holds no picture"));
        let nowhere = DataSource::new(Dataset::Npz).load().unwrap_err().to_string();
        assert!(nowhere.contains("--data-dir") && !nowhere.contains("--download"), "{nowhere}");
    }

    /// Archives that are sets by name: both parts, and what their classes are called; not any folder is one.
    #[test]
    fn archives_by_name_have_parts_and_classes() {
        for (dataset, shape, classes, sizes) in [
            (Dataset::Letters, [1, 32, 32], 52, [51_740, 5_720]),
            (Dataset::Avatars, [3, 32, 32], 4, [2_042, 220]),
        ] {
            let empty = tempfile::tempdir().unwrap();
            let of = |dir: &Path, split| DataSource {
                data_dir: Some(dir.into()),
                split,
                ..DataSource::new(dataset)
            };
            let message = of(empty.path(), Split::Train).load().unwrap_err().to_string();
            assert!(message.contains(&format!("no data set `{dataset}`")), "{message}");
            let Some(dir) = test_data(dataset.name()) else { continue };
            for (split, size) in [Split::Train, Split::Test].into_iter().zip(sizes) {
                let set = of(&dir, split).load().unwrap();
                assert_eq!((set.len(), set.shape(), set.class_names.len()), (size, shape, classes));
                assert!(set.labels.unwrap().into_iter().all(|label| usize::from(label) < classes));
            }
        }
    }

    #[test]
    fn sets_are_found_in_their_folder_or_directly() {
        let Some(dir) = test_data("mnist") else { return };
        let source = |dir: &Path| DataSource {
            data_dir: Some(dir.into()),
            split: Split::Test,
            pad: Some(32),
            limit: Some(100),
            ..DataSource::new(Dataset::Mnist)
        };
        let direct = source(&dir).load().unwrap();
        assert_eq!(source(dir.parent().unwrap()).load().unwrap(), direct);
        assert_eq!((direct.len(), direct.shape()), (100, [1, 32, 32]));
        assert_eq!(direct.name, "mnist");
        assert_eq!(direct.labels.unwrap()[..5], [7, 2, 1, 0, 4]);
    }

    #[test]
    fn images_are_cropped_then_resized_then_padded() {
        let source = DataSource { crop: Some(24), size: Some(12), pad: Some(16), ..synthetic() };
        let set = source.load().unwrap();
        assert_eq!((set.len(), set.shape(), set.labels.as_ref().map(Vec::len)), (20, [1, 16, 16], Some(20)));
        let message = DataSource { crop: Some(40), ..synthetic() }.load().unwrap_err().to_string();
        assert!(message.contains("28 x 28") && message.contains("crop of 40"), "{message}");
        assert!(DataSource { pad: Some(20), ..synthetic() }.load().is_err());
    }

    #[test]
    fn the_parts_differ_and_loading_repeats_itself() {
        let test = DataSource { split: Split::Test, ..synthetic() };
        assert_eq!(test.load().unwrap(), test.load().unwrap());
        assert_ne!(test.load().unwrap().pixels, synthetic().load().unwrap().pixels);
    }
}
