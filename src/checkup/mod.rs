//! Whether a device computes what it should, and how fast: no test reaches the graphics cards that people have.
//!
//! [`verify`] is asked before a GPU's first result, so that a driver that miscompiles a kernel never draws a picture.
//! [`Report`] is what a person sends who has a card that we do not have.

mod agreement;
mod lively;
mod report;
mod speed;
#[cfg(not(target_family = "wasm"))]
mod verified;

pub use agreement::{Agreement, TOLERANCE, agreement, findings, verify};
pub use lively::lively;
pub use report::{Reference, Report, Speed};
pub use speed::{Clock, evaluation_ms, pace, peak};
#[cfg(not(target_family = "wasm"))]
pub use verified::{open, seconds};
