//! Noise and annealing: from much noise, where all modes are one, down to little (Song and Ermon 2019).

use super::{Lab, Number, Setup, stoppable};
use crate::Result;
use crate::cancel::CancelToken;
use crate::lab::measure::weights;
use crate::sampler::{AnnealedLangevin, Sampler};

pub fn setup() -> Setup {
    let method =
        AnnealedLangevin { n_steps: 20, n_steps_each: 50, step_size: 0.1, ..AnnealedLangevin::default() };
    Setup { sampler: Sampler::AnnealedLangevin(method), ..Setup::default() }
}

/// The same two modes as before, as many steps: the weights come out right.
pub async fn measure(lab: &Lab, cancel: &CancelToken) -> Result<Vec<Number>> {
    let (points, _) = lab.draw(&lab.true_model(), &mut stoppable(cancel)).await?;
    Ok(vec![Number::near("weight of the mode of 1/5", weights(&points, &lab.setup.world.centres())[0], 0.2)])
}
