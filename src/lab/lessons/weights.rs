//! Why Langevin dynamics gets weights wrong (Song and Ermon 2019, section 3.2.2).

use super::{Lab, Number, Setup, stoppable};
use crate::Result;
use crate::cancel::CancelToken;
use crate::lab::measure::weights;
use crate::sampler::{Langevin, Sampler};

pub fn setup() -> Setup {
    let sampler =
        Sampler::Langevin(Langevin { n_steps: 1000, sigma: 0.3, step_size: 0.5, ..Langevin::default() });
    Setup { sampler, ..Setup::default() }
}

/// From everywhere in the square a point goes to the nearer mode and stays there: half of them to a mode that has a fifth.
pub async fn measure(lab: &Lab, cancel: &CancelToken) -> Result<Vec<Number>> {
    let (points, _) = lab.draw(&lab.true_model(), &mut stoppable(cancel)).await?;
    let found = weights(&points, &lab.setup.world.centres())[0];
    Ok(vec![Number {
        name: "weight of the mode of 1/5",
        value: found.mean,
        error: Some(found.error),
        expected: [0.4, 0.55],
    }])
}
