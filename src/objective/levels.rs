use crate::model::Preconditioned;
use crate::schedule;

/// The noise level of each image: one of `number` in geometric progression from the diffusion's largest to its least, all
/// equally often (Song and Ermon 2019), by a `uniform` number in `[0, 1)` each.
pub fn levels(model: &Preconditioned, number: usize, uniform: &[f64]) -> Vec<f64> {
    let sde = &*model.sde;
    let ladder = schedule::geometric(sde, 1.0, sde.sampling_eps(), number);
    uniform.iter().map(|u| sde.sigma(ladder[(u * number as f64) as usize])).collect()
}
