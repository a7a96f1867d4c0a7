use serde::Serialize;

use super::data::{self, PlaceArgs};
use super::train::measure;
use crate::cancel::CancelToken;
use crate::data::{DataSource, Dataset};
use crate::sampler::StepRule;
use crate::sde::{NoiseSchedule, diameter, diameter_at_least};
use crate::{Error, Result};

/// `schedule`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Measure the largest level, and the number of values, of this data set's images.
    #[arg(long, value_parser = data::names(), required_unless_present = "dim")]
    dataset: Option<Dataset>,
    #[command(flatten)]
    place: PlaceArgs,
    /// Centre-crop images to this side before resizing.
    #[arg(long)]
    crop: Option<usize>,
    /// Resize images to this side.
    #[arg(long)]
    size: Option<usize>,
    /// Find the largest distance of two images by some sweeps, which may miss it by a little.
    #[arg(long, requires = "dataset", conflicts_with = "sigma_max")]
    approx: bool,
    /// Values of an image, instead of a data set's.
    #[arg(long, conflicts_with = "dataset", requires = "sigma_max")]
    dim: Option<usize>,
    /// The largest level [default: the largest distance of two images].
    #[arg(long)]
    sigma_max: Option<f64>,
    /// The least level.
    #[arg(long, default_value_t = 0.01)]
    sigma_min: f64,
    /// How far neighbouring levels are to overlap; NCSNv2's released models have .566.
    #[arg(long, default_value_t = 0.5, conflicts_with = "levels")]
    overlap: f64,
    /// Number of levels [default: as many as overlap].
    #[arg(long)]
    levels: Option<usize>,
    /// Langevin steps at each level.
    #[arg(long, default_value_t = 5)]
    steps_each: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Answer {
    dim: usize,
    #[serde(flatten)]
    schedule: NoiseSchedule,
    steps_each: usize,
    /// The papers' step size, for the least level, and the same relative to that level's variance.
    epsilon: f64,
    step_size: f64,
    /// The step that all levels together want.
    fixed_point: f64,
}

impl Args {
    /// Prints the noise levels and the step size for a data set.
    pub fn run(self, cancel: &CancelToken) -> Result<()> {
        if !(1..=10_000).contains(&self.steps_each) {
            let problem = format!("= {} is not allowed", self.steps_each);
            return Err(Error::config("--steps-each", problem, "use 1 to 10000"));
        }
        let (dim, sigma_max) = match (self.dim, self.dataset) {
            (None, Some(dataset)) => self.measured(dataset, cancel)?,
            (dim, _) => (dim.unwrap_or_default(), self.sigma_max.unwrap_or_default()),
        };
        let schedule = match self.levels {
            Some(levels) => NoiseSchedule::of_levels(levels, dim, sigma_max, self.sigma_min)?,
            None => NoiseSchedule::overlapping(self.overlap, dim, sigma_max, self.sigma_min)?,
        };
        let step = |rule: StepRule| rule.step_size(schedule.gamma, self.steps_each);
        let step_size = step(StepRule::Technique4);
        let answer = Answer {
            dim,
            schedule,
            steps_each: self.steps_each,
            epsilon: step_size * schedule.sigma_min.powi(2),
            step_size,
            fixed_point: step(StepRule::FixedPoint),
        };
        match self.json {
            true => println!("{:#}", serde_json::json!(answer)),
            false => print(&answer),
        }
        Ok(())
    }

    /// Values of an image, and the largest level.
    fn measured(&self, dataset: Dataset, cancel: &CancelToken) -> Result<(usize, f64)> {
        let source = self.place.changed(DataSource::new(dataset));
        let images = DataSource { crop: self.crop, size: self.size, ..source }.load()?;
        let dim = images.shape().iter().product();
        if let Some(sigma_max) = self.sigma_max {
            return Ok((dim, sigma_max));
        }
        let largest = match self.approx {
            true => diameter_at_least(&images),
            false => measure(cancel, |watch| diameter(&images, watch))?,
        };
        Ok((dim, largest / 255.0))
    }
}

fn print(answer: &Answer) {
    let Answer { dim, schedule, steps_each, epsilon, step_size, fixed_point } = answer;
    let NoiseSchedule { sigma_max, sigma_min, levels, gamma, overlap } = schedule;
    let rows = [
        ("values of an image", dim.to_string()),
        ("largest level (technique 1)", format!("{sigma_max:.4}")),
        ("least level", sigma_min.to_string()),
        ("levels (technique 2)", levels.to_string()),
        ("ratio of neighbours", format!("{gamma:.6}")),
        ("overlap of neighbours", format!("{overlap:.3}")),
        ("steps at each level", steps_each.to_string()),
        ("step size epsilon (technique 4)", format!("{epsilon:.2e}")),
        ("the same over sigma_min²", format!("{step_size:.3}")),
        ("fixed point instead", format!("{fixed_point:.3}")),
    ];
    for (what, value) in rows {
        println!("{what:<34}{value:>12}");
    }
    println!(
        "\nscorefield sample --sampler ald --steps {levels} --option n_steps_each={steps_each} --option step_size={step_size:.3}"
    );
}
