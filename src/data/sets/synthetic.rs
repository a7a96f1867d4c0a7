//! Drawn digits that need no file, 28x28 grey, 6,000 + 1,000; for tests and first tries.

use super::{Format, Set};

/// What is known of it.
pub static SET: Set = Set {
    name: "synthetic",
    title: "Synthetic digits",
    licence: Some("CC0-1.0"),
    format: Format::Drawn,
    files: &[],
    crop: None,
    size: None,
    class_names: &[],
};
