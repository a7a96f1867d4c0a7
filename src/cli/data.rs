//! The arguments that name a data set.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::data::{DataSource, Dataset, Split};
use crate::images::ImageSet;
use crate::model::ScoreModel;
use crate::{Error, Result};

/// The data set that a model is measured on.
#[derive(Debug, clap::Args)]
pub struct DataArgs {
    /// The data set that the model is of; it is measured on the test images.
    #[arg(long, default_value_t, value_parser = names())]
    dataset: Dataset,
    #[command(flatten)]
    place: PlaceArgs,
}

impl DataArgs {
    /// Its training images.
    pub fn source(&self) -> DataSource {
        self.place.changed(DataSource::new(self.dataset))
    }

    /// The first `count` of its test images, or all of them if there are fewer.
    pub fn test_images(&self, count: usize) -> Result<ImageSet> {
        Ok(DataSource { split: Split::Test, ..self.source() }.load()?.truncated(count))
    }
}

/// Where a data set lies, and how its files are read.
#[derive(Debug, clap::Args)]
pub struct PlaceArgs {
    /// Folder with the data set's files; else the environment variable SCOREFIELD_DATA, else ./data.
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
    /// Read colours as shades of grey.
    #[arg(long)]
    pub gray: bool,
    /// Name of the array with the images in an .npz archive [default: images].
    #[arg(long, value_name = "NAME")]
    pub array: Option<String>,
    /// Name of the array with their classes [default: labels, if there is one].
    #[arg(long, value_name = "NAME")]
    pub label_array: Option<String>,
}

impl PlaceArgs {
    /// `source`, changed in what the user has said.
    pub fn changed(&self, source: DataSource) -> DataSource {
        DataSource {
            data_dir: self.data_dir.clone().or(source.data_dir),
            gray: self.gray || source.gray,
            array: self.array.clone().or(source.array),
            label_array: self.label_array.clone().or(source.label_array),
            ..source
        }
    }
}

/// Refuses images that `model` does not take.
pub fn check_shape(images: &ImageSet, model: &ScoreModel) -> Result<()> {
    if images.shape() == model.shape {
        return Ok(());
    }
    let problem = format!("has images of shape {:?}, the model {:?}", images.shape(), model.shape);
    Err(Error::config("--dataset", problem, "use the data set that the model is of"))
}

/// Takes the name of any data set, and lists them in the help text.
pub fn names() -> impl TypedValueParser<Value = Dataset> {
    PossibleValuesParser::new(Dataset::ALL.iter().map(|set| set.name()))
        .try_map(|name| name.parse::<Dataset>())
}
