//! How good samples are: a classifier of the same data looks at them.
//!
//! No number is enough alone. The share that is *recognised* falls with bad images; the *entropy of the class
//! histogram* falls when a sampler forgets classes, and the *classifier score* with either; the *Fréchet* and
//! the *kernel distance* of the classifier's features rise with all of that and with a lack of variety inside
//! a class, which *precision* and *recall* tell apart. All depend on the classifier, and all but the kernel
//! distance on the number of samples, so they mean something only beside the same numbers for as many real
//! images.
//!
//! # The way of an evaluation
//! [`Settings`] say what is drawn, a [`Folder`] keeps what a [`Judge`] has seen of it, batch by batch, and
//! [`Results`] are computed from complete folders. Samples are addressed by index and a batch is the same
//! wherever it is drawn, so an interrupted evaluation goes on where it stopped, and [shards](crate::shards) of it that
//! were drawn on several machines give the same numbers as one that was not divided. [`Status`] says what is missing.

mod folder;
mod frechet;
mod judge;
mod judged;
mod kernel;
mod neighbours;
mod plot;
mod results;
mod settings;
mod status;
mod subject;
mod table;
mod verdicts;

pub use folder::Folder;
pub use frechet::Gaussian;
pub use judge::Judge;
pub use judged::Judged;
pub use kernel::kernel_distance;
pub use neighbours::precision_recall;
pub use plot::quality_by_nfe;
pub use results::{BitsPerDim, Reference, Results, Row};
pub use settings::{Settings, Weaker};
pub use status::{Gap, Status};
pub use subject::Subject;
pub use table::{changes, describe, markdown};
pub use verdicts::{Verdicts, judge};
