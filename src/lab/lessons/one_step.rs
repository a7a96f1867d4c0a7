//! One step: a network that knows where every path of the ODE ends (Song et al. 2023).

use super::{Lab, Number, Setup, stoppable};
use crate::Result;
use crate::cancel::CancelToken;
use crate::lab::World;
use crate::lab::measure::energy_distance;
use crate::model::PreconditioningChoice;
use crate::objective::ConsistencyDistillation;
use crate::sampler::{Ddim, Multistep, Sampler};
use crate::sde::VeSde;
use crate::toy::Toy;

pub fn setup() -> Setup {
    let mut sampler = Multistep::default();
    sampler.0.n_steps = 1;
    Setup {
        world: World::Toy(Toy::EightGaussians),
        sde: VeSde { sigma_min: 0.02, sigma_max: 10.0, ..VeSde::default() }.into(),
        sampler: Sampler::Multistep(sampler),
        half: 6.0,
        objective: ConsistencyDistillation { levels: 40, ..ConsistencyDistillation::default() }.into(),
        preconditioning: PreconditioningChoice::Consistency,
        steps: 2000,
        ..Setup::default()
    }
}

/// One evaluation of it, and two of the score itself by the ODE.
pub async fn measure(lab: &Lab, cancel: &CancelToken) -> Result<Vec<Number>> {
    let (model, _) = lab.learned().await?;
    let exact = lab.exact();
    let (leapt, nfe) = lab.draw(&model, &mut stoppable(cancel)).await?;
    let two = Sampler::Ddim(Ddim { n_steps: 1, ..Ddim::default() });
    let (stepped, _) = lab.draw_by(&two, &lab.true_model(), &mut stoppable(cancel)).await?;
    Ok(vec![
        Number::new("evaluations", nfe as f64, [1.0, 1.0]),
        Number::new("distance of one leap", energy_distance(&leapt, &exact), [-0.02, 0.4]),
        Number::new("distance of a score's two steps", energy_distance(&stepped, &exact), [0.5, 10.0]),
    ])
}
