//! Likelihood: the ODE leads to the noise and back, so it tells how dense the points lie (Song et al. 2021, section 4.3).

use super::{Lab, Number, Setup, stoppable};
use crate::Result;
use crate::cancel::CancelToken;
use crate::flow::{Likelihood, Trace};
use crate::lab::World;
use crate::rng::Noise;
use crate::sde::VpSde;
use crate::toy::Toy;

/// Points whose density is computed.
const POINTS: usize = 100;

pub fn setup() -> Setup {
    Setup {
        world: World::Toy(Toy::TwoMoons),
        sde: VpSde::default().into(),
        half: 4.0,
        count: POINTS,
        ..Setup::default()
    }
}

/// The logarithm of the density by the ODE with the true score, and by its formula.
pub async fn measure(lab: &Lab, cancel: &CancelToken) -> Result<Vec<Number>> {
    let (model, exact) = (lab.true_model(), lab.exact());
    let likelihood = Likelihood { trace: Trace::Exact, ..Likelihood::default() };
    let pixels = model.upload(&lab.values(&exact));
    let noise = Noise::new(lab.setup.seed);
    let density = likelihood.measure(&model, pixels, &noise, &mut stoppable(cancel)).await?;
    let sigma = model.sde.sigma(likelihood.eps);
    let off =
        exact.iter().zip(&density.nats).map(|(x, nats)| (nats - lab.truth.log_density(x, sigma)).powi(2));
    let off = (off.sum::<f64>() / exact.len() as f64).sqrt();
    Ok(vec![Number::new("nats between ODE and formula", off, [0.0, 0.05])])
}
