//! Forward diffusions `dx = f(t)·x dt + g(t) dw` on `t` in `[0, 1]`: 0 is data, 1 is the prior.
//!
//! Every diffusion of the literature has a drift that is linear in `x`, so an [`Sde`] is a handful
//! of scalar functions of time. They are host `f64`; only states are `f32` tensors.
//! To add one: a file with a type that implements [`Sde`], and one line in [`AnySde`].

mod ve;
mod vp;

pub use ve::VeSde;
pub use vp::VpSde;

use serde::{Deserialize, Serialize};

/// A forward diffusion and the quantities that follow from it.
pub trait Sde {
    /// The coefficient `f(t)` of the drift `f(t)·x`.
    fn drift(&self, t: f64) -> f64;

    /// The diffusion coefficient `g(t)` (not its square).
    fn diffusion(&self, t: f64) -> f64;

    /// `(mean_coeff, std)` of `p(x_t | x_0) = N(mean_coeff·x_0, std²·I)`.
    fn marginal_prob(&self, t: f64) -> (f64, f64);

    /// Standard deviation of the prior `N(0, prior_std²·I)` from which sampling starts at `t = 1`.
    fn prior_std(&self) -> f64;

    /// The time at which the noise level [`Sde::sigma`] equals `sigma`; its inverse.
    fn time_of_sigma(&self, sigma: f64) -> f64;

    /// The smallest time at which sampling evaluates the score: below it the score of real data
    /// grows without bound (Song et al. 2021, appendix C: 1e-5 for VE, 1e-3 for VP).
    fn sampling_eps(&self) -> f64;

    /// The part up to time `t` of this diffusion, run through from 0 to 1: its marginals at `u` are the old
    /// ones at `t·u`.
    fn until(&self, t: f64) -> Self
    where
        Self: Sized;

    /// The noise level in data units: the std of `x_t / mean_coeff` given `x_0`.
    fn sigma(&self, t: f64) -> f64 {
        let (mean_coeff, std) = self.marginal_prob(t);
        std / mean_coeff
    }

    /// Drift of the reverse-time SDE, `f·x - g²·score` (Song et al. 2021, equation 6).
    fn reverse_drift(&self, t: f64) -> Drift {
        Drift { x: self.drift(t), score: -self.diffusion(t).powi(2) }
    }

    /// Drift of the probability-flow ODE, `f·x - g²·score/2` (Song et al. 2021, equation 13).
    fn probability_flow(&self, t: f64) -> Drift {
        Drift { x: self.drift(t), score: -0.5 * self.diffusion(t).powi(2) }
    }
}

/// The coefficients of a drift `x_coefficient·x + score_coefficient·score(x, t)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// Multiplies the state.
    pub x: f64,
    /// Multiplies the score.
    pub score: f64,
}

macro_rules! any_sde {
    ($($(#[$doc:meta])* $variant:ident($sde:ty)),+ $(,)?) => {
        /// One of the diffusions, as a model card stores it.
        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        pub enum AnySde { $($(#[$doc])* $variant($sde)),+ }

        impl AnySde {
            /// [`Sde::until`].
            pub fn until(&self, t: f64) -> Self {
                match self { $(Self::$variant(sde) => Self::$variant(sde.until(t))),+ }
            }
        }

        impl std::ops::Deref for AnySde {
            type Target = dyn Sde;
            fn deref(&self) -> &(dyn Sde + 'static) {
                match self { $(Self::$variant(sde) => sde),+ }
            }
        }
    };
}

any_sde! {
    /// Variance exploding.
    Ve(VeSde),
    /// Variance preserving.
    Vp(VpSde),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> [AnySde; 2] {
        [AnySde::Ve(VeSde { sigma_min: 0.01, sigma_max: 50.0 }), AnySde::Vp(VpSde::default())]
    }

    /// The marginal must solve the SDE's own moment equations: d mean/dt = f·mean and
    /// d var/dt = 2·f·var + g², here by central differences.
    #[test]
    fn marginals_satisfy_the_moment_equations() {
        for sde in all() {
            for t in [0.05, 0.2, 0.5, 0.8, 0.95] {
                let h = 1e-5;
                let ((m0, s0), (m, s), (m1, s1)) =
                    (sde.marginal_prob(t - h), sde.marginal_prob(t), sde.marginal_prob(t + h));
                let mean_rate = (m1 - m0) / (2.0 * h);
                let var_rate = (s1 * s1 - s0 * s0) / (2.0 * h);
                let (f, g) = (sde.drift(t), sde.diffusion(t));
                assert!((mean_rate - f * m).abs() < 1e-6 * (1.0 + mean_rate.abs()), "{sde:?} {t}");
                let expected = 2.0 * f * s * s + g * g;
                assert!((var_rate - expected).abs() < 1e-6 * (1.0 + var_rate.abs()), "{sde:?} {t}");
            }
        }
    }

    #[test]
    fn time_of_sigma_inverts_sigma() {
        for sde in all() {
            for t in [1e-3, 0.1, 0.5, 0.9, 1.0] {
                assert!((sde.time_of_sigma(sde.sigma(t)) - t).abs() < 1e-9, "{sde:?} {t}");
            }
        }
    }

    /// Time runs `t` times as fast, so the drift is `t` times as large and the diffusion `sqrt(t)` times.
    #[test]
    fn a_part_of_a_diffusion_has_its_marginals() {
        for sde in all() {
            for t in [1e-3, 0.3, 1.0] {
                let part = sde.until(t);
                for u in [1e-3, 0.5, 1.0] {
                    let ((m, s), (m1, s1)) = (part.marginal_prob(u), sde.marginal_prob(t * u));
                    assert!((m - m1).abs() < 1e-12 && (s / s1 - 1.0).abs() < 1e-9, "{sde:?} {t} {u}");
                    assert!((part.drift(u) - t * sde.drift(t * u)).abs() < 1e-12, "{sde:?} {t} {u}");
                    let diffusion = t.sqrt() * sde.diffusion(t * u);
                    assert!((part.diffusion(u) / diffusion - 1.0).abs() < 1e-9, "{sde:?} {t} {u}");
                }
            }
        }
    }

    #[test]
    fn probability_flow_is_the_reverse_drift_with_half_the_score() {
        for sde in all() {
            let (reverse, flow) = (sde.reverse_drift(0.3), sde.probability_flow(0.3));
            assert_eq!((reverse.x, reverse.score), (flow.x, 2.0 * flow.score));
        }
    }
}
