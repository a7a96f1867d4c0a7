//! CIFAR-10: ten classes of photographs, 32x32 RGB, 50,000 + 10,000.

use super::{Format, RemoteFile, Set};

/// What is known of it.
pub static SET: Set = Set {
    name: "cifar10",
    title: "CIFAR-10 photographs",
    licence: Some("no formal licence; data by A. Krizhevsky, V. Nair and G. Hinton"),
    format: Format::Cifar,
    files: &[RemoteFile {
        name: "cifar-10-binary.tar.gz",
        bytes: 170_052_171,
        sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        bases: &["https://www.cs.toronto.edu/~kriz/"],
    }],
    crop: None,
    size: None,
    class_names: &["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
};
