//! The arguments that name a data set.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::data::{DataSource, Dataset};

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
    /// Its training images, as they are.
    pub fn source(&self) -> DataSource {
        DataSource { data_dir: self.place.data_dir.clone(), ..DataSource::new(self.dataset) }
    }
}

/// Where data sets lie.
#[derive(Debug, clap::Args)]
pub struct PlaceArgs {
    /// Folder with the data set's files; else the environment variable SCOREFIELD_DATA, else ./data.
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
}

/// Takes the name of any data set, and lists them in the help text.
pub fn names() -> impl TypedValueParser<Value = Dataset> {
    PossibleValuesParser::new(Dataset::ALL.iter().map(|set| set.name()))
        .try_map(|name| name.parse::<Dataset>())
}
