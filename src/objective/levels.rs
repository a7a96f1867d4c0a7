use crate::model::Preconditioned;

/// The noise level of each image: one of `number` in geometric progression from the diffusion's largest to its least, all
/// equally often (Song and Ermon 2019), by a `uniform` number in `[0, 1)` each.
pub fn levels(model: &Preconditioned, number: usize, uniform: &[f64]) -> Vec<f64> {
    let sde = &*model.sde;
    let [largest, least] = [1.0, sde.sampling_eps()].map(|t| sde.sigma(t));
    let level = |u: &f64| {
        let share = (u * number as f64).floor() / (number - 1) as f64;
        largest * (least / largest).powf(share)
    };
    uniform.iter().map(level).collect()
}
