//! The four diffusions once more, written out in `f64` from their papers without a line of the crate: what golden updates
//! are computed from, and what the crate's diffusions and grids are held to.

use scorefield::images::DataRange;
use scorefield::schedule;
use scorefield::sde::AnySde;

use crate::support::{sdes, trials};

trials! {
    cpu: [
        diffusions_are_those_of_their_papers,
        grids_are_those_of_their_papers,
    ],
}

/// A diffusion of [`sdes`] by its name there: VE from 0.01 to 50, the others with their papers' parameters.
#[derive(Debug, Clone, Copy)]
pub enum Formulas {
    Ve,
    Vp,
    SubVp,
    Edm,
}

impl Formulas {
    /// Each diffusion of [`sdes`] with its formulas.
    pub fn all() -> [(AnySde, Self); 4] {
        let [ve, vp, sub_vp, edm] = sdes().map(|(sde, _)| sde);
        [(ve, Self::Ve), (vp, Self::Vp), (sub_vp, Self::SubVp), (edm, Self::Edm)]
    }

    fn scales(self) -> bool {
        matches!(self, Self::Vp | Self::SubVp)
    }

    /// `beta(t)` of VP and sub-VP.
    fn beta(t: f64) -> f64 {
        0.1 + 19.9 * t
    }

    /// `∫beta` from 0 to `t`.
    fn integral(t: f64) -> f64 {
        0.1 * t + 9.95 * t * t
    }

    pub fn mean(self, t: f64) -> f64 {
        if self.scales() { (-0.5 * Self::integral(t)).exp() } else { 1.0 }
    }

    pub fn std(self, t: f64) -> f64 {
        match self {
            Self::Ve => 0.01 * 5000.0_f64.powf(t),
            Self::Vp => (1.0 - (-Self::integral(t)).exp()).sqrt(),
            Self::SubVp => 1.0 - (-Self::integral(t)).exp(),
            Self::Edm => 80.0 * t,
        }
    }

    pub fn sigma(self, t: f64) -> f64 {
        self.std(t) / self.mean(t)
    }

    /// `t` of `sigma(t)`: `sigma² = exp(∫beta) - 1` for VP, `sigma = 2·sinh(∫beta/2)` for sub-VP.
    pub fn time_of_sigma(self, sigma: f64) -> f64 {
        let of_integral = |b: f64| (-0.1 + (0.01 + 39.8 * b).sqrt()) / 19.9;
        match self {
            Self::Ve => (sigma / 0.01).ln() / 5000.0_f64.ln(),
            Self::Vp => of_integral((1.0 + sigma * sigma).ln()),
            Self::SubVp => of_integral(2.0 * (sigma / 2.0).asinh()),
            Self::Edm => sigma / 80.0,
        }
    }

    /// `f(t)`.
    pub fn drift(self, t: f64) -> f64 {
        if self.scales() { -0.5 * Self::beta(t) } else { 0.0 }
    }

    /// `g(t)²`.
    pub fn diffusion_sq(self, t: f64) -> f64 {
        match self {
            Self::Ve => 2.0 * 5000.0_f64.ln() * self.std(t).powi(2),
            Self::Vp => Self::beta(t),
            Self::SubVp => Self::beta(t) * (1.0 - (-2.0 * Self::integral(t)).exp()),
            Self::Edm => 2.0 * 6400.0 * t,
        }
    }

    pub fn prior_std(self) -> f64 {
        match self {
            Self::Ve => 50.0,
            Self::Vp | Self::SubVp => 1.0,
            Self::Edm => 80.0,
        }
    }

    /// The last time of sampling.
    pub fn last(self) -> f64 {
        match self {
            Self::Ve => 1e-5,
            Self::Vp | Self::SubVp => 1e-3,
            Self::Edm => 0.002 / 80.0,
        }
    }

    /// What a network that predicts the noise reads: `999·t` where the state is scaled, else `ln(sigma)`.
    pub fn label(self, t: f64) -> f64 {
        if self.scales() { 999.0 * t } else { self.sigma(t).ln() }
    }

    /// `(a, b²)` of the forward chain from `t_next` to `t_cur`, `x_cur = a·x_next + b·z`.
    pub fn forward(self, t_next: f64, t_cur: f64) -> (f64, f64) {
        let a = self.mean(t_cur) / self.mean(t_next);
        (a, self.std(t_cur).powi(2) - (a * self.std(t_next)).powi(2))
    }

    /// `n` times, equal in time.
    pub fn uniform(self, n: usize) -> Vec<f64> {
        between(1.0, self.last(), n)
    }

    /// `n` times whose noise levels have one ratio, down to `last`.
    pub fn geometric(self, n: usize, last: f64) -> Vec<f64> {
        let logs = between(self.sigma(1.0).ln(), last.ln(), n);
        logs.into_iter().map(|log| self.time_of_sigma(log.exp())).collect()
    }

    /// `n` times whose noise levels are equal in `sigma^(1/rho)`.
    pub fn karras(self, n: usize, rho: f64) -> Vec<f64> {
        let [first, last] = [1.0, self.last()].map(|t| self.sigma(t).powf(1.0 / rho));
        between(first, last, n).into_iter().map(|root| self.time_of_sigma(root.powf(rho))).collect()
    }

    /// The grid of its authors.
    pub fn natural(self, n: usize) -> Vec<f64> {
        if matches!(self, Self::Edm) { self.karras(n, 7.0) } else { self.uniform(n) }
    }
}

fn between(first: f64, last: f64, n: usize) -> Vec<f64> {
    (0..n).map(|i| first + (last - first) * i as f64 / (n - 1) as f64).collect()
}

/// Equal up to the rounding of `f64` in differences of almost equal numbers.
#[track_caller]
fn assert_near(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{found} instead of {expected}");
}

fn diffusions_are_those_of_their_papers() {
    for (sde, formulas) in Formulas::all() {
        sde.check().unwrap();
        assert_near(sde.prior_std(), formulas.prior_std());
        assert_near(sde.sampling_eps(), formulas.last());
        assert_eq!(sde.grid_exponent(), matches!(formulas, Formulas::Edm).then_some(7.0));
        let range = if matches!(formulas, Formulas::Ve) { DataRange::UNIT } else { DataRange::CENTRED };
        assert_eq!(sde.range(), range);
        for t in [1e-3, 0.1, 0.35, 0.8, 1.0] {
            let (mean, std) = sde.marginal_prob(t);
            assert_near(mean, formulas.mean(t));
            assert_near(std, formulas.std(t));
            assert_near(sde.sigma(t), formulas.sigma(t));
            assert_near(sde.time_of_sigma(formulas.sigma(t)), t);
            assert_near(sde.diffusion(t).powi(2), formulas.diffusion_sq(t));
            assert_near(sde.c_noise(formulas.sigma(t)), formulas.label(t));
            let (reverse, flow) = (sde.reverse_drift(t), sde.probability_flow(t));
            for (drift, share) in [(reverse, 1.0), (flow, 0.5)] {
                assert_near(drift.x, formulas.drift(t));
                assert_near(drift.score, -share * formulas.diffusion_sq(t));
            }
            let (a, b_sq) = sde.transition(0.7 * t, t);
            let (expected_a, expected_b_sq) = formulas.forward(0.7 * t, t);
            assert_near(a, expected_a);
            assert_near(b_sq, expected_b_sq);
        }
    }
}

fn grids_are_those_of_their_papers() {
    for (sde, formulas) in Formulas::all() {
        let last = sde.sampling_eps();
        for (found, expected) in [
            (schedule::uniform(1.0, last, 5), formulas.uniform(5)),
            (schedule::geometric(&*sde, 1.0, last, 5), formulas.geometric(5, formulas.sigma(last))),
            (schedule::karras(&*sde, 1.0, last, 5, 3.0), formulas.karras(5, 3.0)),
            (schedule::natural(&*sde, 5), formulas.natural(5)),
        ] {
            assert_eq!(found.len(), 5);
            found.iter().zip(&expected).for_each(|(found, expected)| assert_near(*found, *expected));
        }
        // One level alone is the first.
        assert_eq!(schedule::uniform(1.0, last, 1), [1.0]);
    }
}
