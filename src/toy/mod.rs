//! Distributions whose samples, density and score are known: [`GaussianMixture`] in any dimension, and those of the plane
//! that everyone draws.
//!
//! In the plane, too, all are mixtures of Gaussians, curves being made of long ones: so the score of each is exact at every
//! noise level, and what is learned of it can be compared with the truth. Adding one is a variant, its name, and one arm in
//! [`Toy::parts`].

mod axes;
mod mixture;
mod plane;

pub use mixture::GaussianMixture;
pub use plane::{Part, along, mixture, points};

use std::{f64::consts::TAU, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A distribution in the plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Toy {
    /// `1/5 N((-5, -5), I) + 4/5 N((5, 5), I)`: Langevin dynamics alone misses the weights (Song & Ermon 2019,
    /// section 3.2.2).
    TwoModes,
    /// Eight Gaussians of std 0.2 on a circle of radius 4.
    EightGaussians,
    /// A ring of radius 4, blurred by 0.3.
    Ring,
    /// Two interleaved half circles of radius 2.5, blurred by 0.15.
    TwoMoons,
    /// A spiral of one and a half turns out to radius 4.5, blurred by 0.15.
    SwissRoll,
    /// Two arms that turn around each other, blurred by 0.15.
    Spiral,
    /// The eight dark fields of a 4x4 board of side 8.
    Checkerboard,
    /// A line, which has no width: where there is no noise there is no density, and no score.
    Line,
    /// A circle of radius 4 without width.
    Circle,
}

impl Toy {
    /// Every distribution, in the order of the help text.
    pub const ALL: [Self; 9] = [
        Self::TwoModes,
        Self::EightGaussians,
        Self::Ring,
        Self::TwoMoons,
        Self::SwissRoll,
        Self::Spiral,
        Self::Checkerboard,
        Self::Line,
        Self::Circle,
    ];

    /// The name on the command line and in the page.
    pub fn name(self) -> &'static str {
        match self {
            Self::TwoModes => "two_modes",
            Self::EightGaussians => "eight_gaussians",
            Self::Ring => "ring",
            Self::TwoMoons => "two_moons",
            Self::SwissRoll => "swiss_roll",
            Self::Spiral => "spiral",
            Self::Checkerboard => "checkerboard",
            Self::Line => "line",
            Self::Circle => "circle",
        }
    }

    /// The Gaussians that it is made of.
    pub fn parts(self) -> Vec<Part> {
        let circle = |radius: f64| move |t: f64| [radius * (TAU * t).cos(), radius * (TAU * t).sin()];
        match self {
            Self::TwoModes => vec![Part::round(0.2, [-5., -5.], 1.), Part::round(0.8, [5., 5.], 1.)],
            Self::EightGaussians => {
                (0..8).map(|k| Part::round(1. / 8., circle(4.)(f64::from(k) / 8.), 0.2)).collect()
            }
            Self::Ring => along(circle(4.), 32, 0.3),
            Self::TwoMoons => {
                let upper = |t: f64| circle(2.5)(0.5 * t).map(|x| x - 0.625);
                let moon = |sign: f64| along(move |t| upper(t).map(|x| sign * x), 16, 0.15);
                [moon(1.), moon(-1.)].concat()
            }
            Self::SwissRoll => along(|t| circle(1. + 3.5 * t)(1.5 * t), 40, 0.15),
            Self::Spiral => {
                let arm = |begin: f64| along(move |t| circle(0.4 + 4. * t)(begin + 1.1 * t), 28, 0.15);
                [arm(0.), arm(0.5)].concat()
            }
            Self::Checkerboard => {
                let dark = (0..16).map(|i| [i % 4, i / 4]).filter(|[x, y]| (x + y) % 2 == 0);
                let spots = |[x, y]: [i32; 2]| {
                    let at = |field: i32, k: i32| f64::from(2 * field - 4) + f64::from(2 * k + 1) / 3.;
                    (0..9).map(move |k| Part::round(1. / 72., [at(x, k % 3), at(y, k / 3)], 0.3))
                };
                dark.flat_map(spots).collect()
            }
            Self::Line => along(|t| [6. * t - 3., 4. * t - 2.], 12, 0.),
            Self::Circle => along(circle(4.), 48, 0.),
        }
    }

    /// Its samples, density and score.
    ///
    /// # Errors
    /// None: those of [`GaussianMixture::new`] cannot happen here.
    pub fn mixture(self) -> Result<GaussianMixture> {
        mixture(&self.parts())
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
    use crate::rng::Noise;

    fn drawn(toy: Toy, n: usize) -> Vec<[f64; 2]> {
        points(&toy.mixture().unwrap().sample(&Noise::new(1), n, 0.))
    }

    #[test]
    fn names_are_the_same_in_every_place() {
        for toy in Toy::ALL {
            assert_eq!(toy.name().parse::<Toy>().unwrap(), toy);
            assert_eq!(serde_json::to_string(&toy).unwrap(), format!("\"{}\"", toy.name()));
        }
        assert!("three_moons".parse::<Toy>().unwrap_err().to_string().contains("two_moons"));
    }

    #[test]
    fn two_modes_have_their_weights_and_spread() {
        let points = drawn(Toy::TwoModes, 50_000);
        let small: Vec<_> = points.iter().filter(|p| p[0] + p[1] < 0.).collect();
        assert!((small.len() as f64 / 50_000. - 0.2).abs() < 0.01, "{}", small.len());
        let var = small.iter().map(|p| (p[0] + 5.).powi(2)).sum::<f64>() / small.len() as f64;
        assert!((var - 1.).abs() < 0.05, "{var}");
    }

    /// The circle has no width, the ring .3, and both the same density all around.
    #[test]
    fn curves_are_even_and_as_wide_as_said() {
        for (toy, width) in [(Toy::Circle, 0.), (Toy::Ring, 0.3)] {
            let points = drawn(toy, 24_000);
            let radii: Vec<f64> = points.iter().map(|[x, y]| x.hypot(*y)).collect();
            let spread = (radii.iter().map(|r| (r - 4.).powi(2)).sum::<f64>() / 24_000.).sqrt();
            assert!((spread - width).abs() < 0.03, "{toy:?}: {spread}");
            // Four for each Gaussian: where one begins and the next one ends no less is to be than in the middle of one.
            let sectors = 4 * toy.parts().len();
            let mut counts = vec![0; sectors];
            for [x, y] in points {
                counts[((y.atan2(x) / TAU).rem_euclid(1.) * sectors as f64) as usize % sectors] += 1;
            }
            let even = 24_000. / sectors as f64;
            assert!(counts.iter().all(|n| (f64::from(*n) - even).abs() < 5. * even.sqrt()), "{counts:?}");
        }
    }

    #[test]
    fn the_checkerboard_fills_every_other_field() {
        let mut fields = [0; 16];
        let mut inside = 0;
        for [x, y] in drawn(Toy::Checkerboard, 16_000) {
            if x.abs() < 4. && y.abs() < 4. {
                fields[4 * ((y + 4.) / 2.) as usize + ((x + 4.) / 2.) as usize] += 1;
                inside += 1;
            }
        }
        let dark: usize = (0..16).filter(|i| (i / 4 + i % 4) % 2 == 0).map(|i| fields[i]).sum();
        assert!(inside > 14_500 && dark as f64 > 0.85 * f64::from(inside), "{fields:?}");
    }
}
