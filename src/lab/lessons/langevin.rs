//! Langevin dynamics: a little up the score, a little noise, and again.

use super::{Lab, Number, Setup, stoppable};
use crate::Result;
use crate::cancel::CancelToken;
use crate::lab::measure::energy_distance;
use crate::lab::{Mode, World};
use crate::sampler::{Langevin, Sampler};

/// The noise level whose score it follows.
const LEVEL: f64 = 0.5;
const FEW: usize = 5;
const MANY: usize = 200;

fn steps(n_steps: usize) -> Sampler {
    Sampler::Langevin(Langevin { n_steps, sigma: LEVEL, step_size: 0.5, ..Langevin::default() })
}

pub fn setup() -> Setup {
    let world = World::Modes(vec![Mode { weight: 1.0, at: [2.0, 1.0], std: 1.0 }]);
    Setup { world, sampler: steps(MANY), ..Setup::default() }
}

/// After few steps the points still fill the square in which they began, after many they are those of the distribution.
pub async fn measure(lab: &Lab, cancel: &CancelToken) -> Result<Vec<Number>> {
    let (model, exact) = (lab.true_model(), lab.exact());
    let (few, _) = lab.draw_by(&steps(FEW), &model, &mut stoppable(cancel)).await?;
    let (many, _) = lab.draw(&model, &mut stoppable(cancel)).await?;
    Ok(vec![
        Number::new("distance after 5 steps", energy_distance(&few, &exact), [0.3, 10.0]),
        Number::new("distance after all steps", energy_distance(&many, &exact), [-0.02, 0.05]),
    ])
}
