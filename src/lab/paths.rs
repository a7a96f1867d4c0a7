//! What the paths of the ODE say: how dense the points lie, and where each comes from and goes to.

use super::{Lab, Point, Square};
use crate::Result;
use crate::flow::{Likelihood, Tolerance, Trace, decode, encode};
use crate::model::{Learned, ScoreModel};
use crate::ops::read;
use crate::rng::Noise;
use crate::run::Run;

/// The logarithm of a density at the places of a square, in nats.
#[derive(Debug, Clone)]
pub struct Densities {
    /// By the ODE, with the exact trace (Song et al. 2021, section 4.3).
    pub found: Vec<f64>,
    /// By the world's formula, with the noise in which the ODE begins.
    pub truth: Vec<f64>,
    /// What `found` integrates to over the square: 1 but for what lies outside and between the places.
    pub integral: f64,
    /// Mean of the difference over the density.
    pub error: f64,
    /// Evaluations of each place, counted.
    pub nfe: usize,
}

/// A point that was led into the noise and back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RoundTrip {
    /// Its code, in deviations of the prior.
    pub code: Point,
    /// Where the code leads to.
    pub back: Point,
    /// Evaluations of both ways, counted.
    pub nfe: usize,
}

/// Where noises are led to.
#[derive(Debug, Clone)]
pub struct Leap {
    /// The noises, in deviations of the prior.
    pub from: Vec<Point>,
    /// In the world.
    pub to: Vec<Point>,
    /// Evaluations of each, counted: one by a consistency function.
    pub nfe: usize,
}

impl Lab {
    /// The density of what a model draws, by the ODE and by the formula of what it should be.
    ///
    /// # Errors
    /// Those of [`Likelihood::measure`].
    pub async fn densities(&self, model: &ScoreModel, places: usize, run: &mut Run<'_>) -> Result<Densities> {
        let square = Square { half: self.setup.half, places };
        let points = square.points();
        let method = Likelihood { trace: Trace::Exact, ..Likelihood::default() };
        let pixels = model.upload(&self.values(&points));
        let density = method.measure(model, pixels, &Noise::new(self.setup.seed), run).await?;
        let sigma = model.sde.sigma(method.eps);
        let truth: Vec<f64> = points.iter().map(|x| self.truth.log_density(x, sigma)).collect();
        let mass = |nats: &[f64]| nats.iter().map(|nats| nats.exp()).sum::<f64>();
        let off = density.nats.iter().zip(&truth).map(|(found, truth)| truth.exp() * (found - truth).abs());
        let error = off.sum::<f64>() / mass(&truth).max(f64::MIN_POSITIVE);
        let integral = mass(&density.nats) * square.field();
        Ok(Densities { found: density.nats, truth, integral, error, nfe: density.nfe })
    }

    /// A point of the world into the noise and back.
    ///
    /// # Errors
    /// Those of [`encode`].
    pub async fn round_trip(&self, model: &ScoreModel, x: Point, run: &mut Run<'_>) -> Result<RoundTrip> {
        let tolerance = Tolerance { rtol: 1e-4, atol: 1e-4, ..Tolerance::default() };
        let before = model.nfe();
        let latent = encode(model, model.upload(&self.values(&[x])), tolerance, run).await?;
        let back = decode(model, latent.clone(), tolerance, false, run).await?;
        let code = read(latent / model.sde.prior_std()).await?;
        let back = self.points(&read(back).await?)[0];
        Ok(RoundTrip { code: [code[0], code[1]].map(f64::from), back, nfe: model.nfe() - before })
    }

    /// Where a square of noises, five deviations wide, is led to: by a consistency function at once, by a score along the ODE.
    ///
    /// # Errors
    /// Those of [`decode`].
    pub async fn leap(&self, model: &ScoreModel, places: usize, run: &mut Run<'_>) -> Result<Leap> {
        let from = Square { half: 2.5, places }.points();
        let z: Vec<f32> = from.as_flattened().iter().map(|x| *x as f32).collect();
        let (prior, before) = (model.prior(model.upload(&z)), model.nfe());
        let to = match model.learned {
            Learned::Consistency => model.range.decode(model.denoised(prior, &[1.0])),
            Learned::Score => decode(model, prior, Tolerance::default(), true, run).await?,
        };
        Ok(Leap { from, to: self.points(&read(to).await?), nfe: model.nfe() - before })
    }
}
