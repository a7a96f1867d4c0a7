//! Training objectives, one file each.

mod dsm;

pub use dsm::{Dsm, TimeDistribution, Weighting};
