//! Images to learn from: many sets and formats, one shape in memory.
//!
//! [`sets`] says what is known of each data set, `formats` reads files, and [`DataSource`] joins the two: it
//! finds a set, loads it and cuts it to shape. Every reader ends in an
//! [`ImageSet`](crate::images::ImageSet), raw bytes `[n, c, h, w]`; scaling to the model's range happens
//! later, on the device. The one invariant: an `ImageSet` that is handed out is consistent, so nothing behind
//! this module checks lengths again.
//!
//! Files are read natively only; [`synthetic`] and what describes a data set are available
//! everywhere.

#[cfg(not(target_family = "wasm"))]
pub mod download;
#[cfg(not(target_family = "wasm"))]
pub mod formats;
#[cfg(not(target_family = "wasm"))]
mod load;
pub mod sets;
mod source;
pub mod synthetic;

pub use sets::{Dataset, Format, RemoteFile, Set};
pub use source::{DATA_VARIABLE, DataSource, Split};
