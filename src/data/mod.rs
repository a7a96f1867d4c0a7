//! Images to learn from: one in-memory shape, many ways to get there.
//!
//! Every reader ends in an [`ImageSet`](crate::images::ImageSet), raw bytes `[n, c, h, w]`; scaling to the model's range happens
//! later, on the device. The one invariant: an `ImageSet` that a reader hands out is consistent, so nothing
//! behind this module checks lengths again. A new file format is one file here and one line in `load.rs`.
//!
//! The readers need a file system and exist only natively; [`toy`], [`synthetic`] and the types that
//! describe a data set are available everywhere.

#[cfg(not(target_family = "wasm"))]
pub mod cifar;
#[cfg(not(target_family = "wasm"))]
pub mod download;
#[cfg(not(target_family = "wasm"))]
pub mod folder;
#[cfg(not(target_family = "wasm"))]
pub mod idx;
#[cfg(not(target_family = "wasm"))]
mod load;
#[cfg(not(target_family = "wasm"))]
pub mod npz;
mod source;
pub mod synthetic;
pub mod toy;

pub use source::{DATA_VARIABLE, DataSource, Dataset, Split};

/// Folder with real data sets for tests: `SCOREFIELD_DATA`, or `../shared/data` beside the checkout.
#[cfg(all(test, not(target_family = "wasm")))]
pub(crate) fn test_data(dataset: &str) -> Option<std::path::PathBuf> {
    let beside = || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let root = std::env::var_os("SCOREFIELD_DATA").map_or_else(beside, Into::into);
    Some(root.join(dataset)).filter(|dir| dir.is_dir())
}
