//! SDE and ODE: paths of two kinds, and the same points at every time (Song et al. 2021, section 4.3).

use super::{Lab, Number, Setup, stoppable};
use crate::Result;
use crate::cancel::CancelToken;
use crate::lab::World;
use crate::lab::measure::energy_distance;
use crate::sampler::{EulerMaruyama, Heun, Sampler};
use crate::sde::VpSde;
use crate::toy::Toy;

fn by_ode() -> Sampler {
    Sampler::Heun(Heun { n_steps: 40, ..Heun::default() })
}

fn by_sde() -> Sampler {
    Sampler::EulerMaruyama(EulerMaruyama { n_steps: 500, ..EulerMaruyama::default() })
}

pub fn setup() -> Setup {
    Setup {
        world: World::Toy(Toy::TwoMoons),
        sde: VpSde::default().into(),
        sampler: by_sde(),
        half: 4.0,
        ..Setup::default()
    }
}

/// What the two draw cannot be told apart, nor from the world itself.
pub async fn measure(lab: &Lab, cancel: &CancelToken) -> Result<Vec<Number>> {
    let (model, exact) = (lab.true_model(), lab.exact());
    let (sde, _) = lab.draw_by(&by_sde(), &model, &mut stoppable(cancel)).await?;
    let (ode, _) = lab.draw_by(&by_ode(), &model, &mut stoppable(cancel)).await?;
    let distance = |name, a: &[_], b: &[_]| Number::new(name, energy_distance(a, b), [-0.02, 0.02]);
    Ok(vec![
        distance("distance of SDE and ODE", &sde, &ode),
        distance("distance of SDE and truth", &sde, &exact),
        distance("distance of ODE and truth", &ode, &exact),
    ])
}
