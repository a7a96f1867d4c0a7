//! A folder of the user's pictures, of any size; sub-folders are classes.

use super::{Format, Set};

/// What is known of it.
pub static SET: Set = Set {
    name: "folder",
    title: "Own images",
    licence: None,
    format: Format::Folder,
    files: &[],
    crop: None,
    size: None,
    class_names: &[],
};
