//! The papers' figures, made again: a picture and the numbers behind it, one file for each.
//!
//! To add one: a file with `make`, and one line in the `figures!` list below. docs/GALLERY.md shows them all.

mod annealing;
mod averages;
mod colorization;
mod copies;
mod encodings;
mod inpainting;
mod interpolation;
mod langevin;
mod leaps;
mod levels;
mod low_density;
mod manifold;
mod mixing;
mod norm;
mod objectives;
mod overlap;
mod plane;
mod studio;
mod tolerance;

pub use studio::Studio;

use serde_json::Value;

use crate::picture::Picture;
use crate::{Error, Result};

/// A picture and the numbers behind it.
#[derive(Debug)]
pub struct Figure {
    /// What docs/GALLERY.md shows.
    pub picture: Picture,
    /// What it says about them.
    pub numbers: Value,
}

/// What became of a figure.
#[derive(Debug)]
pub enum Outcome {
    /// It was made.
    Made(Figure),
    /// It needs something that is not there; this says what and how to give it.
    Skipped(String),
}

macro_rules! figures {
    ($($name:ident),+ $(,)?) => {
        /// The figures in the order in which they are made.
        pub const NAMES: &[&str] = &[$(stringify!($name)),+];

        /// Makes the figure of that name.
        ///
        /// # Errors
        /// [`Error::Config`] lists the names that exist; whatever its model, data and sampler can say.
        pub async fn make(name: &str, studio: &Studio) -> Result<Outcome> {
            match name {
                $(stringify!($name) => $name::make(studio).await,)+
                _ => {
                    let fix = format!("use one of {}", NAMES.join(", "));
                    Err(Error::config("--only", format!("{name} is not known"), fix))
                }
            }
        }
    };
}

figures! {
    manifold, low_density, langevin, mixing, annealing, overlap, norm, objectives, averages, tolerance, interpolation,
    encodings, inpainting, colorization, leaps, copies, levels,
}
