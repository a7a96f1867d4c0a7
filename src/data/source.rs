//! The words with which a user names a data set. Plain data, stored in the training state and the model card.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{Dataset, Format};
use crate::error::{Error, Result};

/// Environment variable with the folder of all data sets.
pub const DATA_VARIABLE: &str = "SCOREFIELD_DATA";

/// Which part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// The images to learn from.
    #[default]
    Train,
    /// The images held out to measure with.
    Test,
}

impl Split {
    /// `train` or `test`, as on the command line and in file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A data set, where it lies, and how its images are cut to shape.
///
/// The steps run in the order of the fields: `crop`, `size`, `pad`, `gray`. Fields that are left out of a
/// configuration file keep their defaults, which leave the images as they are (`celeba` is cut as in the papers).
///
/// ```
/// # use scorefield::data::{DataSource, Dataset};
/// let source = DataSource { pad: Some(32), ..DataSource::new(Dataset::Mnist) };
/// assert_eq!(source.dataset.name(), "mnist");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataSource {
    /// Which data set.
    pub dataset: Dataset,
    /// Folder that holds the data set or a folder of its name; for `npz` it may be the file itself. Without
    /// it: the environment variable `SCOREFIELD_DATA`, or else `./data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// The part to read. `folder` and `npz` have a test part only where there is a `test` folder or `test.npz`.
    pub split: Split,
    /// Cut a centred square of this side, in pixels of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<usize>,
    /// Resize to a square of this side; shapes that are not square are first cut to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// Surround with zeros (black) to a square of this side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pad: Option<usize>,
    /// Reduce colour to one channel of brightness.
    pub gray: bool,
    /// Name of the array with the images in an `npz` archive; without it `images`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub array: Option<String>,
    /// Name of the array with their classes; without it `labels`, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_array: Option<String>,
    /// Keep only the first so many images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Name in the model card, for the user's own images; without it the name of the data set or file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Licence in the model card; without it what [`Dataset::licence`] knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
}

impl DataSource {
    /// All of `dataset`'s training images, as they are.
    pub fn new(dataset: Dataset) -> Self {
        Self { dataset, ..Self::default() }
    }

    /// The crop in force: the one asked for, else the data set's own.
    pub fn crop(&self) -> Option<usize> {
        self.crop.or(self.dataset.set().crop)
    }

    /// The size in force: the one asked for, else the data set's own.
    pub fn size(&self) -> Option<usize> {
        self.size.or(self.dataset.set().size)
    }

    /// Refuses sizes that no image can have, and what would be without effect.
    ///
    /// # Errors
    /// [`Error::Config`] for a side of 0 or above 4096, a padding below the size, a limit of 0, a folder for images
    /// that are drawn, or an array of another data set than `npz`.
    pub fn validate(&self) -> Result<()> {
        for (what, side) in [("crop", self.crop), ("size", self.size), ("pad", self.pad)] {
            if let Some(side) = side
                && !(1..=4096).contains(&side)
            {
                let problem = format!("is {side} pixels");
                return Err(Error::config(what, problem, "use a side from 1 to 4096"));
            }
        }
        if let (Some(pad), Some(size)) = (self.pad, self.size().or(self.crop()))
            && pad < size
        {
            let problem = format!("is {pad}, but the images are {size} pixels wide before it");
            return Err(Error::config("pad", problem, format!("use at least {size}")));
        }
        if self.dataset.set().format == Format::Drawn && self.data_dir.is_some() {
            let problem = format!("is given, but `{}` has no files", self.dataset);
            return Err(Error::config("data_dir", problem, "leave it out, or use another data set"));
        }
        let named = self.array.as_ref().or(self.label_array.as_ref());
        if let Some(name) = named.filter(|_| self.dataset != Dataset::Npz) {
            let problem = format!("is `{name}`, but `{}` has no named arrays", self.dataset);
            return Err(Error::config("array", problem, "leave it out, or use the data set `npz`"));
        }
        if self.limit == Some(0) {
            return Err(Error::config("limit", "is 0 images", "leave it out to use all of them"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_survives_its_configuration_file() {
        for &dataset in Dataset::ALL {
            let source = DataSource { pad: Some(72), gray: true, ..DataSource::new(dataset) };
            let text = serde_json::to_string(&source).unwrap();
            assert_eq!(serde_json::from_str::<DataSource>(&text).unwrap(), source);
            let text = toml::to_string(&source).unwrap();
            assert_eq!(toml::from_str::<DataSource>(&text).unwrap(), source);
        }
        assert!(
            serde_json::from_str::<DataSource>(r#"{"datset": "mnist"}"#).is_err(),
            "a typo is not ignored"
        );
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let mnist = || DataSource::new(Dataset::Mnist);
        assert!(mnist().validate().is_ok());
        assert!(DataSource { size: Some(0), ..mnist() }.validate().is_err());
        assert!(DataSource { crop: Some(5000), ..mnist() }.validate().is_err());
        assert!(DataSource { size: Some(64), pad: Some(32), ..mnist() }.validate().is_err());
        assert!(DataSource { pad: Some(32), ..DataSource::new(Dataset::Celeba) }.validate().is_err());
        assert!(DataSource { limit: Some(0), ..mnist() }.validate().is_err());
        let drawn = DataSource { data_dir: Some("x".into()), ..DataSource::new(Dataset::Synthetic) };
        assert!(drawn.validate().unwrap_err().to_string().contains("has no files"));
        assert!(DataSource { array: Some("arr_0".into()), ..mnist() }.validate().is_err());
        assert!(DataSource { label_array: Some("arr_1".into()), ..mnist() }.validate().is_err());
        assert!(
            DataSource { array: Some("arr_0".into()), ..DataSource::new(Dataset::Npz) }.validate().is_ok()
        );
    }
}
