//! Training objectives, one file each.

mod dsm;
mod recognition;

pub use dsm::{Dsm, TimeDistribution, Weighting};
pub use recognition::Recognition;
