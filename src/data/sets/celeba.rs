//! CelebA: faces. The aligned files `000001.jpg` to `202599.jpg`, in the parts of their authors,
//! centre-cropped to 140 and resized to 64 as in the papers.

use super::{Format, Set};

/// What is known of it.
pub static SET: Set = Set {
    name: "celeba",
    title: "CelebA faces",
    licence: Some("non-commercial research only; Liu, Luo, Wang and Tang"),
    format: Format::Numbered { folder: "img_align_celeba", train: 1..=162_770, test: 182_638..=202_599 },
    files: &[],
    crop: Some(140),
    size: Some(64),
    class_names: &[],
};
