//! Letters A to Z and a to z of typefaces, 32x32 grey: 51,740 of 995 faces to learn from, 5,720 of 110 others.

use super::{Format, Set};

/// What is known of it.
pub static SET: Set = Set {
    name: "letters",
    title: "Letters of typefaces",
    licence: Some(
        "pictures of letters of the free fonts of Debian 12 (OFL-1.1, GUST, Apache-2.0 and others)",
    ),
    format: Format::Npz,
    files: &[],
    crop: None,
    size: None,
    class_names: &[
        "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "N", "O", "P", "Q", "R", "S", "T",
        "U", "V", "W", "X", "Y", "Z", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n",
        "o", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z",
    ],
};
