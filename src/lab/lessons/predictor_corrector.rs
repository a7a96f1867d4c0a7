//! Predictor and corrector: a step down the noise, then steps that mend it at its level (Song et al. 2021, section 4.2).

use super::{Lab, Number, Setup, stoppable};
use crate::Result;
use crate::cancel::CancelToken;
use crate::lab::{Point, World};
use crate::sampler::{PredictorCorrector, Sampler};
use crate::toy::Toy;

/// So few that a predictor alone is visibly off.
const STEPS: usize = 10;

fn corrected(n_corrector: usize) -> Sampler {
    Sampler::PredictorCorrector(PredictorCorrector {
        n_steps: STEPS,
        n_corrector,
        ..PredictorCorrector::default()
    })
}

pub fn setup() -> Setup {
    Setup { world: World::Toy(Toy::EightGaussians), sampler: corrected(2), half: 6.0, ..Setup::default() }
}

/// How wide the modes come out, as a share of what they are: so few steps of a predictor leave them too wide, and correction
/// mends a part of it.
pub async fn measure(lab: &Lab, cancel: &CancelToken) -> Result<Vec<Number>> {
    let model = lab.true_model();
    let (alone, _) = lab.draw_by(&corrected(0), &model, &mut stoppable(cancel)).await?;
    let (both, _) = lab.draw_by(&corrected(2), &model, &mut stoppable(cancel)).await?;
    let centres = lab.setup.world.centres();
    let width = |points: &[Point]| (spread(points, &centres) / spread(&lab.exact(), &centres)).sqrt();
    let [alone, both] = [width(&alone), width(&both)];
    Ok(vec![
        Number::new("width of the modes by the predictor", alone, [1.25, 1.7]),
        Number::new("width with the corrector", both, [1.0, 0.95 * alone]),
    ])
}

/// The mean square of the distance to the nearest of some centres.
fn spread(points: &[Point], centres: &[Point]) -> f64 {
    let square = |x: &Point, c: &Point| (x[0] - c[0]).powi(2) + (x[1] - c[1]).powi(2);
    let nearest = |x: &Point| centres.iter().map(|c| square(x, c)).fold(f64::INFINITY, f64::min);
    points.iter().map(nearest).sum::<f64>() / points.len() as f64
}
