//! The user's NumPy archive with an array `images` and optionally `labels`.

use super::{Format, Set};

/// What is known of it.
pub static SET: Set = Set {
    name: "npz",
    title: "Own images",
    licence: None,
    format: Format::Npz,
    files: &[],
    crop: None,
    size: None,
    class_names: &[],
};
