//! Where there are no data, nothing is learned (Song and Ermon 2019, figure 2).

use super::{Lab, Number, Setup};
use crate::Result;
use crate::cancel::CancelToken;
use crate::lab::measure::{relative_error, score};
use crate::lab::{Mode, Point, Square, World};
use crate::objective::{Ssm, SsmVr};
use crate::sde::VeSde;

/// Deviation of the two modes.
const STD: f64 = 0.2;
/// Noise so small that it changes nothing to be seen.
const LEVEL: f64 = 0.05;
/// Places on a side of the square.
const PLACES: usize = 25;

pub fn setup() -> Setup {
    let mode = |weight, x| Mode { weight, at: [x, x], std: STD };
    Setup {
        world: World::Modes(vec![mode(0.2, -1.0), mode(0.8, 1.0)]),
        sde: VeSde { sigma_min: 0.05, sigma_max: 4.0, ..VeSde::default() }.into(),
        half: 1.6,
        objective: SsmVr(Ssm { sigma: LEVEL, ..Ssm::default() }).into(),
        steps: 1000,
        ..Setup::default()
    }
}

/// The error of the learned score relative to the true one, within three deviations of a mode and elsewhere.
pub async fn measure(lab: &Lab, _: &CancelToken) -> Result<Vec<Number>> {
    let (model, _) = lab.learned().await?;
    let grid = Square { half: lab.setup.half, places: PLACES }.points();
    let near =
        |x: &Point| lab.setup.world.centres().iter().any(|c| (x[0] - c[0]).hypot(x[1] - c[1]) < 3.0 * STD);
    let (inside, outside): (Vec<Point>, Vec<Point>) = grid.into_iter().partition(near);
    let mut errors = vec![];
    for points in [&inside, &outside] {
        let found = score(&model, points, LEVEL).await?;
        errors.push(relative_error(points, &found, &lab.truth, LEVEL).map_or(f64::NAN, f64::sqrt));
    }
    Ok(vec![
        Number::new("error where the data are", errors[0], [0.0, 0.15]),
        Number::new("error elsewhere", errors[1], [0.25, 2.0]),
    ])
}
