//! People and faces of two emoji sets, 32x32 RGB on white: 2,042 to learn from, others to measure with.

use super::{Format, Set};

/// What is known of it.
pub static SET: Set = Set {
    name: "avatars",
    title: "People and faces of emoji",
    licence: Some("Noto Emoji by Google, Apache-2.0; Twemoji by Twitter and contributors, CC-BY-4.0"),
    format: Format::Npz,
    files: &[],
    crop: None,
    size: None,
    class_names: &["Noto person", "Noto face", "Twemoji person", "Twemoji face"],
};
