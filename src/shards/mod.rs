//! Long work in parts that any machine can make.
//!
//! Samples are addressed by index, so a batch of them is the same wherever it is made. A job is cut into [`batches`],
//! which are dealt out in turn to [`Shard`]s; which of them a process is it is told, or reads in [`environment`]. What is
//! made of a batch is a file of its own, written atomically ([`arrays`]): what is there is done and is not made again,
//! and no two shards write one file. All shards of a job may therefore share one folder, [`Parts`], whose files
//! do not depend on how the job was divided.

pub mod arrays;
pub mod environment;
mod parts;
mod settings;
mod shard;

pub use arrays::Made;
pub use parts::{Parts, folder_of};
pub use settings::{Settings, difference};
pub use shard::{Batch, Shard, batches, ranges};
