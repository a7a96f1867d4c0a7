//! Distributions whose samples, density and score are known: [`GaussianMixture`] in any dimension, and some in the
//! plane, to see what a sampler does.
//!
//! They take their randomness from the caller, so the same generator drives them natively and in the page.
//! Adding one is a variant, its name, and one arm in [`Toy::point`] (or in `blobs` for a mixture).

mod mixture;

pub use mixture::GaussianMixture;

use std::{f64::consts::TAU, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A distribution in the plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Toy {
    /// Eight Gaussians of std 0.2 on a circle of radius 4.
    EightGaussians,
    /// Two interleaved half circles of radius 2, blurred by 0.1.
    TwoMoons,
    /// A spiral of one and a half turns out to radius 4, blurred by 0.1.
    SwissRoll,
    /// The eight dark fields of a 4x4 board of side 8, uniform.
    Checkerboard,
    /// `1/5 N((-5, -5), I) + 4/5 N((5, 5), I)`: Langevin dynamics alone misses the weights (Song & Ermon 2019,
    /// section 3.2.2).
    TwoModes,
}

/// Weight, centre and standard deviation of one Gaussian.
type Blob = (f64, [f64; 2], f64);

impl Toy {
    /// Every distribution, in the order of the help text.
    pub const ALL: [Self; 5] =
        [Self::EightGaussians, Self::TwoMoons, Self::SwissRoll, Self::Checkerboard, Self::TwoModes];

    /// The name on the command line and in the page.
    pub fn name(self) -> &'static str {
        match self {
            Self::EightGaussians => "eight_gaussians",
            Self::TwoMoons => "two_moons",
            Self::SwissRoll => "swiss_roll",
            Self::Checkerboard => "checkerboard",
            Self::TwoModes => "two_modes",
        }
    }

    /// `n` independent points; `uniform` gives numbers in [0, 1).
    ///
    /// Every point takes the same count of numbers, four, whatever the distribution.
    pub fn sample(self, n: usize, mut uniform: impl FnMut() -> f64) -> Vec<[f32; 2]> {
        (0..n).map(|_| self.point([(); 4].map(|()| uniform())).map(|x| x as f32)).collect()
    }

    /// The point that belongs to four numbers in [0, 1): two say where, two blur.
    pub fn point(self, [u, v, a, b]: [f64; 4]) -> [f64; 2] {
        let blur = |[x, y]: [f64; 2], std: f64| {
            let radius = std * (-2. * (1. - a).ln()).sqrt();
            [x + radius * (TAU * b).cos(), y + radius * (TAU * b).sin()]
        };
        match self {
            Self::EightGaussians | Self::TwoModes => {
                let blobs = self.blobs();
                let mut left = u;
                let chosen = blobs.iter().find(|(weight, ..)| {
                    left -= weight;
                    left < 0.
                });
                // Rounding may leave a little behind the last one.
                let (_, mean, std) = chosen.unwrap_or(&blobs[blobs.len() - 1]);
                blur(*mean, *std)
            }
            Self::TwoMoons => {
                let (sin, cos) = (TAU / 2. * v).sin_cos();
                let moon =
                    if u < 0.5 { [2. * cos - 1., 2. * sin - 0.5] } else { [1. - 2. * cos, 0.5 - 2. * sin] };
                blur(moon, 0.1)
            }
            Self::SwissRoll => {
                // the root makes the density even along the arc
                let turn = (0.1 + 0.9 * u).sqrt();
                let (sin, cos) = (1.5 * TAU * turn).sin_cos();
                blur([4. * turn * cos, 4. * turn * sin], 0.1)
            }
            Self::Checkerboard => {
                let (row, x) = ((4. * v).floor(), 2. * u);
                let field = 2. * x.floor() + row.rem_euclid(2.);
                [2. * (field + x.fract()) - 4., 8. * v - 4.]
            }
        }
    }

    /// The Gaussians it is made of, none if it is not such a mixture.
    fn blobs(self) -> Vec<Blob> {
        match self {
            Self::EightGaussians => (0..8)
                .map(|k| {
                    let (sin, cos) = (TAU * k as f64 / 8.).sin_cos();
                    (1. / 8., [4. * cos, 4. * sin], 0.2)
                })
                .collect(),
            Self::TwoModes => vec![(0.2, [-5., -5.], 1.), (0.8, [5., 5.], 1.)],
            _ => Vec::new(),
        }
    }

    /// Its density and score, if it is a mixture of Gaussians.
    pub fn mixture(self) -> Option<GaussianMixture> {
        let blobs = self.blobs();
        let weights: Vec<f64> = blobs.iter().map(|(weight, ..)| *weight).collect();
        let means: Vec<Vec<f64>> = blobs.iter().map(|(_, mean, _)| mean.to_vec()).collect();
        let round = |(.., std): &Blob| vec![vec![std * std, 0.], vec![0., std * std]];
        let covariances: Vec<_> = blobs.iter().map(round).collect();
        GaussianMixture::new(&weights, &means, &covariances).ok()
    }
}

impl FromStr for Toy {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|toy| toy.name() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::config("toy distribution", format!("`{name}` is not known"), format!("use one of {known}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Weyl sequence with a scramble: even enough for these counts.
    fn uniform() -> impl FnMut() -> f64 {
        let mut state = 1u64;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state ^ (state >> 29)) >> 11) as f64 / (1u64 << 53) as f64
        }
    }

    #[test]
    fn names_are_the_same_in_every_place() {
        for toy in Toy::ALL {
            assert_eq!(toy.name().parse::<Toy>().unwrap(), toy);
            assert_eq!(serde_json::to_string(&toy).unwrap(), format!("\"{}\"", toy.name()));
        }
    }

    #[test]
    fn points_are_finite_bounded_and_spread_even_at_the_ends_of_the_range() {
        for toy in Toy::ALL {
            let points = toy.sample(20_000, uniform());
            assert!(points.iter().flatten().all(|x| x.abs() < 12.), "{toy:?}");
            for end in [0., 1. - f64::EPSILON / 2.] {
                assert!(toy.point([end; 4]).iter().all(|x| x.is_finite()), "{toy:?} at {end}");
            }
        }
    }

    #[test]
    fn mixtures_have_their_weights_and_spread() {
        let points = Toy::TwoModes.sample(50_000, uniform());
        let small: Vec<_> = points.iter().filter(|p| p[0] + p[1] < 0.).collect();
        assert!((small.len() as f64 / 50_000. - 0.2).abs() < 0.01, "{}", small.len());
        let var = small.iter().map(|p| (p[0] + 5.).powi(2) as f64).sum::<f64>() / small.len() as f64;
        assert!((var - 1.).abs() < 0.05, "{var}");
        let ring = Toy::EightGaussians.sample(50_000, uniform());
        let right = ring.iter().filter(|p| p[0] > 3. && p[1].abs() < 1.).count();
        assert!((right as f64 / 50_000. - 0.125).abs() < 0.01, "{right}");
    }

    #[test]
    fn the_checkerboard_fills_every_other_field() {
        let mut fields = [0; 16];
        for [x, y] in Toy::Checkerboard.sample(16_000, uniform()) {
            let (column, row) = (((x + 4.) / 2.) as usize, ((y + 4.) / 2.) as usize);
            fields[4 * row + column] += 1;
        }
        for (i, &count) in fields.iter().enumerate() {
            let dark = (i / 4 + i % 4) % 2 == 0;
            assert!(if dark { (1800..2200).contains(&count) } else { count == 0 }, "{fields:?}");
        }
    }

    #[test]
    fn a_mixture_has_the_density_of_its_samples() {
        let known: Vec<Toy> = Toy::ALL.into_iter().filter(|toy| toy.mixture().is_some()).collect();
        assert_eq!(known, [Toy::EightGaussians, Toy::TwoModes]);
        for toy in known {
            // The mean of -log p over samples is the entropy, for well separated modes that of the modes and their choice.
            let (points, mixture) = (toy.sample(20_000, uniform()), toy.mixture().unwrap());
            let nats = |[x, y]: &[f32; 2]| -mixture.log_density(&[f64::from(*x), f64::from(*y)], 0.);
            let entropy = points.iter().map(nats).sum::<f64>() / points.len() as f64;
            let (std, choice): (f64, f64) =
                if toy == Toy::TwoModes { (1., 0.5004) } else { (0.2, 8f64.ln()) };
            let expected = choice + 1. + (TAU * std * std).ln();
            assert!((entropy - expected).abs() < 0.05, "{toy:?}: {entropy} instead of {expected}");
        }
    }
}
