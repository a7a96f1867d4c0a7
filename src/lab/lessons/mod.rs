//! What there is to learn, one file each: an experiment, and the numbers in which its lesson shows.
//!
//! To add one: a file with `setup` and `measure`, its `mod` line, and a line in the `lessons!` list.

mod annealing;
mod langevin;
mod likelihood;
mod low_density;
mod manifold;
mod marginals;
mod one_step;
mod predictor_corrector;
mod score;
mod weights;

use serde::Serialize;

use super::{Lab, Setup};
use crate::cancel::CancelToken;
use crate::estimate::Estimate;
use crate::run::Run;
use crate::{Error, Result};

/// A number, and where it is to be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Number {
    /// What it is.
    pub name: &'static str,
    /// What was found.
    pub value: f64,
    /// Its standard error, where it is a mean over points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<f64>,
    /// What it has to be: from the theory, give or take what chance does in so many points.
    pub expected: [f64; 2],
}

impl Number {
    /// A number without chance, or with little.
    pub fn new(name: &'static str, value: f64, expected: [f64; 2]) -> Self {
        Self { name, value, error: None, expected }
    }

    /// A mean that is to be `truth`, within five standard errors.
    pub fn near(name: &'static str, found: Estimate, truth: f64) -> Self {
        let room = 5.0 * found.error;
        Self { name, value: found.mean, error: Some(found.error), expected: [truth - room, truth + room] }
    }

    /// Whether the lesson shows.
    pub fn holds(&self) -> bool {
        (self.expected[0]..=self.expected[1]).contains(&self.value)
    }
}

/// A run that `cancel` stops.
fn stoppable(cancel: &CancelToken) -> Run<'static> {
    Run { cancel: cancel.clone(), ..Run::default() }
}

macro_rules! lessons {
    ($($name:literal => $module:ident),+ $(,)?) => {
        /// The names of all lessons, in the order in which they are taught.
        pub const NAMES: &[&str] = &[$($name),+];

        /// The experiment of a lesson.
        ///
        /// # Errors
        /// [`Error::Config`] lists the lessons that exist.
        pub fn setup(name: &str) -> Result<Setup> {
            match name {
                $($name => Ok($module::setup()),)+
                _ => Err(unknown(name)),
            }
        }

        /// The numbers of a lesson, found in the experiment `lab`, which may be another than the lesson's own.
        ///
        /// # Errors
        /// As [`setup`]; [`Error::Cancelled`]; and those of training and sampling.
        pub async fn measure(name: &str, lab: &Lab, cancel: &CancelToken) -> Result<Vec<Number>> {
            match name {
                $($name => $module::measure(lab, cancel).await,)+
                _ => Err(unknown(name)),
            }
        }
    };
}

lessons! {
    "score" => score,
    "langevin" => langevin,
    "weights" => weights,
    "low_density" => low_density,
    "manifold" => manifold,
    "annealing" => annealing,
    "marginals" => marginals,
    "predictor_corrector" => predictor_corrector,
    "likelihood" => likelihood,
    "one_step" => one_step,
}

/// The experiments whose network the page can show without learning it: `NAME.f16` in `web/lab/`, made by
/// `scorefield lab --weights`.
pub fn kept() -> [(&'static str, Setup); 3] {
    [("low_density", low_density::setup()), ("one_step", one_step::setup()), ("own", Setup::default())]
}

fn unknown(name: &str) -> Error {
    Error::config("lesson", format!("`{name}` is not known"), format!("use one of {}", NAMES.join(", ")))
}
