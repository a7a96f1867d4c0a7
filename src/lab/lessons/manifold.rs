//! The manifold: data on a line have no density in the plane, and no score (Song and Ermon 2019, section 3.2.1).

use super::{Lab, Number, Setup};
use crate::Result;
use crate::cancel::CancelToken;
use crate::lab::World;
use crate::model::PreconditioningChoice;
use crate::objective::{Ssm, SsmVr};
use crate::sde::VeSde;
use crate::toy::Toy;

/// Noise that gives the line a width.
const LEVEL: f64 = 0.3;

fn with_noise(sigma: f64) -> Setup {
    Setup {
        world: World::Toy(Toy::Line),
        sde: VeSde { sigma_min: 1e-3, sigma_max: 4.0, ..VeSde::default() }.into(),
        half: 4.0,
        objective: SsmVr(Ssm { sigma, ..Ssm::default() }).into(),
        preconditioning: PreconditioningChoice::Score,
        steps: 1000,
        learning_rate: 1e-3,
        ..Setup::default()
    }
}

pub fn setup() -> Setup {
    with_noise(0.0)
}

/// The loss falls without end; with noise `sigma` across the line it has a least value, about `-1/(4·sigma²)`.
pub async fn measure(lab: &Lab, _: &CancelToken) -> Result<Vec<Number>> {
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    let (_, without) = lab.learned().await?;
    let noisy = Lab::new(Setup { objective: with_noise(LEVEL).objective, ..lab.setup.clone() }, &lab.device)?;
    let (_, with) = noisy.learned().await?;
    let tenth = without.len().div_ceil(10);
    let [first, last] = [&without[4 * tenth..5 * tenth], &without[without.len() - tenth..]].map(mean);
    let least = -0.25 / (LEVEL * LEVEL);
    Ok(vec![
        Number::new("loss without noise, times that of the middle of the training", last / first, [1.5, 1e6]),
        Number::new("loss with noise", mean(&with[with.len() - tenth..]), [1.3 * least, 0.7 * least]),
    ])
}
