//! Descending grids of times for samplers.

use crate::sde::Sde;

/// `n_levels` times from `t_start` down to `t_end`, equally spaced in time.
///
/// For VE this is NCSN's geometric sequence of noise levels, since `std` is exponential in `t`.
pub fn uniform(t_start: f64, t_end: f64, n_levels: usize) -> Vec<f64> {
    let last = (n_levels - 1).max(1) as f64;
    (0..n_levels).map(|i| t_start + (t_end - t_start) * i as f64 / last).collect()
}

/// `n_levels` times whose noise levels `sigma(t)` form a geometric sequence from `t_start` down
/// to `t_end`: NCSN's grid, for any diffusion.
pub fn geometric(sde: &dyn Sde, t_start: f64, t_end: f64, n_levels: usize) -> Vec<f64> {
    uniform(sde.sigma(t_start).ln(), sde.sigma(t_end).ln(), n_levels)
        .into_iter()
        .map(|log_sigma| sde.time_of_sigma(log_sigma.exp()))
        .collect()
}

/// `n_levels` times whose noise levels are equally spaced in `sigma^(1/rho)`, from `t_start` down to
/// `t_end` (Karras et al. 2022, equation 5).
pub fn karras(sde: &dyn Sde, t_start: f64, t_end: f64, n_levels: usize, rho: f64) -> Vec<f64> {
    uniform(sde.sigma(t_start).powf(1.0 / rho), sde.sigma(t_end).powf(1.0 / rho), n_levels)
        .into_iter()
        .map(|root| sde.time_of_sigma(root.powf(rho)))
        .collect()
}

/// `n_levels` times from 1 down to the diffusion's `sampling_eps` as its authors step: uniform in time, or
/// [`karras`] with its [`Sde::grid_exponent`].
pub fn natural(sde: &dyn Sde, n_levels: usize) -> Vec<f64> {
    match sde.grid_exponent() {
        None => uniform(1.0, sde.sampling_eps(), n_levels),
        Some(rho) => karras(sde, 1.0, sde.sampling_eps(), n_levels, rho),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sde::AnySde;

    #[test]
    fn geometric_levels_have_a_constant_ratio_for_every_sde() {
        for sde in AnySde::all() {
            let t_end = sde.sampling_eps();
            let ts = geometric(&*sde, 1.0, t_end, 10);
            let ratio = sde.sigma(ts[1]) / sde.sigma(ts[0]);
            for pair in ts.windows(2) {
                assert!((sde.sigma(pair[1]) / sde.sigma(pair[0]) - ratio).abs() < 1e-9);
            }
            assert!((ts[9] - t_end).abs() < 1e-9);
        }
    }
}
