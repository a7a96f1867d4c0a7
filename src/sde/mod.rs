//! Forward diffusions `dx = f(t)·x dt + g(t) dw` on `t` in `[0, 1]`: 0 is data, 1 is the prior.
//!
//! Every diffusion of the literature has a drift that is linear in `x`, so an [`Sde`] is a handful
//! of scalar functions of time. They are host `f64`; only states are `f32` tensors.
//! To add one: a file with a type that implements [`Sde`] and `Default`, its `mod` line, and a line in the list of
//! [`AnySde`]. Everything else asks the diffusion: a model card for its title and its check, a network for how it
//! reads a noise level, training for the range of the data and what is to be measured of it.

mod ddpm;
mod diameter;
mod edm;
mod sub_vp;
mod techniques;
mod ve;
mod vp;

pub use ddpm::Betas;
pub use diameter::{diameter, diameter_at_least};
pub use techniques::{NoiseSchedule, overlap};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::images::{DataRange, ImageSet};

/// Is told now and then which share of a long measurement is done; its error stops it.
pub type Watch<'a> = dyn FnMut(f64) -> Result<()> + 'a;

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
    /// grows without bound (Song et al. 2021, appendix C: 1e-5 for VE, 1e-3 for VP and sub-VP).
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

    /// `rho` of the grid of noise levels ([`karras`](crate::schedule::karras)) on which the diffusion's
    /// authors step; `None` if they step uniformly in time.
    fn grid_exponent(&self) -> Option<f64> {
        None
    }

    /// `(a, variance)` of the forward transition `p(x_to | x_from) = N(a·x_from, variance·I)`, `from <= to`.
    ///
    /// Exact for any diffusion with a linear drift: `a = mean_to/mean_from`,
    /// `variance = std_to² - a²·std_from²` (Kingma et al. 2021, appendix A.1). VE: `sigma_i² - sigma_(i-1)²`;
    /// VP: DDPM's `beta_i = 1 - a²`.
    fn transition(&self, from: f64, to: f64) -> (f64, f64) {
        let ((mean_to, std_to), (mean_from, std_from)) = (self.marginal_prob(to), self.marginal_prob(from));
        let a = mean_to / mean_from;
        (a, std_to * std_to - a * a * std_from * std_from)
    }

    /// Its short name: `VE`, `sub-VP`.
    fn name(&self) -> &'static str;

    /// Its name for people, as a part of a model's title.
    fn title(&self) -> &'static str;

    /// Name and parameters in a few characters, for model cards.
    fn summary(&self) -> String;

    /// What black and white are in its authors' models.
    fn range(&self) -> DataRange {
        DataRange::CENTRED
    }

    /// What a network that predicts the noise from the unscaled state reads for the noise level `sigma`: `999·t` as
    /// DDPM and Score-SDE have it, `ln(sigma)` where the state is not scaled (NCSN++).
    fn c_noise(&self, sigma: f64) -> f64 {
        999.0 * self.time_of_sigma(sigma)
    }

    /// Refuses parameters that make no sense. One that is open passes; see [`Sde::is_open`].
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) names the parameters and what they may be.
    fn check(&self) -> Result<()>;

    /// Whether a parameter is left to be measured from the data.
    fn is_open(&self) -> bool {
        false
    }

    /// The same diffusion, what was open in it measured from `images`.
    ///
    /// # Errors
    /// What `watch` returns.
    fn measured(&self, _images: &ImageSet, _watch: &mut Watch<'_>) -> Result<Self>
    where
        Self: Sized + Clone,
    {
        Ok(self.clone())
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

/// Refuses parameters unless they are `fine`.
fn require(fine: bool, what: &str, values: [f64; 2], fix: &str) -> Result<()> {
    match fine {
        true => Ok(()),
        false => {
            let [a, b] = values;
            Err(crate::Error::config(format!("sde.{what} = {a}, {b}"), "is not allowed", fix))
        }
    }
}

/// Whether `0 < low < high`, both finite.
fn rises(low: f64, high: f64) -> bool {
    low > 0.0 && high > low && high.is_finite()
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
    ($($(#[$doc:meta])* $variant:ident($module:ident::$sde:ident)),+ $(,)?) => {
        $(pub use $module::$sde;)+

        /// One of the diffusions, as a model card stores it.
        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        pub enum AnySde { $($(#[$doc])* $variant($sde)),+ }

        impl AnySde {
            /// Every diffusion, with its paper's parameters.
            pub fn all() -> Vec<Self> {
                vec![$(Self::$variant($sde::default())),+]
            }

            /// [`Sde::until`].
            pub fn until(&self, t: f64) -> Self {
                match self { $(Self::$variant(sde) => Self::$variant(sde.until(t))),+ }
            }

            /// [`Sde::measured`].
            ///
            /// # Errors
            /// What `watch` returns.
            pub fn measured(&self, images: &ImageSet, watch: &mut Watch<'_>) -> Result<Self> {
                Ok(match self { $(Self::$variant(sde) => Self::$variant(sde.measured(images, watch)?)),+ })
            }
        }

        $(impl From<$sde> for AnySde {
            fn from(sde: $sde) -> Self {
                Self::$variant(sde)
            }
        })+

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
    Ve(ve::VeSde),
    /// Variance preserving.
    Vp(vp::VpSde),
    /// Sub-variance preserving.
    SubVp(sub_vp::SubVpSde),
    /// Karras et al.'s, `sigma(t) = t`.
    Edm(edm::EdmSde),
    /// DDPM's discrete levels.
    Ddpm(ddpm::DdpmSde),
}

// What CONTRIBUTING.md gives to copy stays a diffusion that works.
#[cfg(test)]
#[path = "../../docs/skeletons/sde.rs"]
mod skeleton;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_rise_from_above_zero_is_refused() {
        assert!(rises(0.01, 50.0));
        for [low, high] in [[0.0, 1.0], [-1.0, 1.0], [1.0, 1.0], [2.0, 1.0], [1.0, f64::INFINITY]] {
            assert!(!rises(low, high) && !rises(f64::NAN, high) && !rises(low, f64::NAN), "{low}, {high}");
        }
    }

    /// As [`marginals_satisfy_the_moment_equations`] asks of those in the list.
    #[test]
    fn the_skeleton_satisfies_the_moment_equations() {
        let (sde, t, h) = (skeleton::CosineSde::default(), 0.4, 1e-5);
        sde.check().unwrap();
        let [(m0, s0), (m, s), (m1, s1)] = [t - h, t, t + h].map(|t| sde.marginal_prob(t));
        let (f, g) = (sde.drift(t), sde.diffusion(t));
        assert!(((m1 - m0) / (2.0 * h) - f * m).abs() < 1e-6);
        assert!(((s1 * s1 - s0 * s0) / (2.0 * h) - 2.0 * f * s * s - g * g).abs() < 1e-6);
    }

    /// The marginal must solve the SDE's own moment equations: d mean/dt = f·mean and
    /// d var/dt = 2·f·var + g², here by central differences.
    #[test]
    fn marginals_satisfy_the_moment_equations() {
        for sde in AnySde::all() {
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
        for sde in AnySde::all() {
            for t in [1e-3, 0.1, 0.5, 0.9, 1.0] {
                assert!((sde.time_of_sigma(sde.sigma(t)) - t).abs() < 1e-9, "{sde:?} {t}");
            }
        }
    }

    /// Time runs `t` times as fast, so the drift is `t` times as large and the diffusion `sqrt(t)` times.
    #[test]
    fn a_part_of_a_diffusion_has_its_marginals() {
        for sde in AnySde::all() {
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
        for sde in AnySde::all() {
            let (reverse, flow) = (sde.reverse_drift(0.3), sde.probability_flow(0.3));
            assert_eq!((reverse.x, reverse.score), (flow.x, 2.0 * flow.score));
        }
    }

    /// Two transitions in a row are one, and a transition of the marginal is the marginal.
    #[test]
    fn transitions_compose() {
        for sde in AnySde::all() {
            let [(a1, v1), (a2, v2), (a, v)] =
                [(0.2, 0.5), (0.5, 0.7), (0.2, 0.7)].map(|(from, to)| sde.transition(from, to));
            assert!(
                (a1 * a2 - a).abs() < 1e-12 && (a2 * a2 * v1 + v2 - v).abs() < 1e-9 * (1.0 + v),
                "{sde:?}"
            );
            assert!([v1, v2, v].iter().all(|v| *v > 0.0), "{sde:?}");
        }
    }

    /// Many paths of the forward SDE by Euler and Maruyama, `x += f·x·dt + g·sqrt(dt)·z`, have the mean and
    /// the deviation that `marginal_prob` states, within five standard errors and the scheme's own error at
    /// `dt` = 1e-3: of the mean at most `dt·∫f²/2`, 1.7 % (VP); of the deviation a quarter of `dt` times the
    /// relative rate of `g²`, which is `2·ln 5000` = 17 (VE) or below `1/t·2` (EDM): 0.5 %.
    #[test]
    fn paths_of_the_forward_sde_have_the_marginals() {
        let (n, n_steps, x0) = (4000, 1000, 0.8);
        for sde in AnySde::all() {
            let (_, start) = sde.marginal_prob(0.0);
            let noise = crate::rng::Noise::new(1).domain(crate::rng::Domain::Data);
            let mut x: Vec<f64> = noise.normal(0, 1, n).iter().map(|z| x0 + start * f64::from(*z)).collect();
            let dt = 1.0 / n_steps as f64;
            for i in 0..n_steps {
                let t = i as f64 * dt;
                let (f, g) = (sde.drift(t), sde.diffusion(t));
                let z = noise.normal(i as u32 + 1, 1, n);
                x.iter_mut().zip(z).for_each(|(x, z)| *x += f * *x * dt + g * dt.sqrt() * f64::from(z));
                if (i + 1) % 200 == 0 {
                    let (mean_coeff, std) = sde.marginal_prob(t + dt);
                    let mean = x.iter().sum::<f64>() / n as f64;
                    let found = (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1) as f64).sqrt();
                    let error = 5.0 * std / (n as f64).sqrt();
                    assert!((mean - mean_coeff * x0).abs() < error + 0.02, "{sde:?} {t}: mean {mean}");
                    assert!(
                        (found / std - 1.0).abs() < error / std / 2.0_f64.sqrt() + 0.01,
                        "{sde:?} {t}: {found}, {std}"
                    );
                }
            }
        }
    }
}
