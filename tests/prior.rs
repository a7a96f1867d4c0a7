//! Where samples begin: around the mean of the data, of which much is left where the noise at the end is not large.

use pollster::block_on;
use scorefield::control;
use scorefield::flow::{Endpoint, Likelihood, Tolerance, Trace, interpolate};
use scorefield::model::{Conditioning, ScoreModel};
use scorefield::rng::Noise;
use scorefield::run::Run;
use scorefield::sde::{AnySde, EdmSde, VeSde, VpSde};
use serde_json::json;

use crate::support::{
    Part, analytic, brief, cpu, draw, estimate, figure, mixture, named, relative_error, tensor, trials,
    values,
};

trials! {
    cpu: [
        samplers_find_the_mean_of_the_data,
        densities_know_the_mean,
        interpolations_end_where_their_seeds_lead,
        what_is_not_known_begins_around_the_mean,
    ],
}

const MEAN: f64 = 3.0;
const VARIANCE: f64 = 0.05;
const SIGMA_MAX: f64 = 4.0;

/// A Gaussian far from zero.
const FAR: &[Part] = &[(1.0, [MEAN, MEAN], [VARIANCE, 0.0, VARIANCE])];

/// Diffusions whose largest noise level hardly exceeds the mean.
fn sdes() -> [AnySde; 2] {
    let (ve, edm) = (
        VeSde { sigma_min: 0.01, sigma_max: SIGMA_MAX, ..VeSde::default() },
        EdmSde { sigma_min: 0.002, sigma_max: SIGMA_MAX },
    );
    [ve.into(), edm.into()]
}

fn model(sde: AnySde) -> ScoreModel {
    analytic(&mixture(FAR), sde)
}

/// The flow keeps the state's distance from the mean of the data in units of `sqrt(VARIANCE + sigma²)`. A prior around
/// zero is `-MEAN/sqrt(VARIANCE + SIGMA_MAX²)` off, and so are the samples in deviations; a prior around the mean is not.
fn samplers_find_the_mean_of_the_data() {
    let expected = -MEAN / (VARIANCE + SIGMA_MAX * SIGMA_MAX).sqrt();
    for sde in sdes() {
        for sampler in [named("ode", json!({})), named("heun", json!({"n_steps": 40}))] {
            let off = |model: ScoreModel| {
                let drawn = draw(&sampler, &model, Noise::new(3), 2000);
                let (mean, error) = estimate(drawn.iter().map(|v| (f64::from(*v) - MEAN) / VARIANCE.sqrt()));
                assert!(error < 0.02, "{error}");
                mean
            };
            let [without, with] = [off(model(sde)), off(model(sde).of_mean(MEAN))];
            figure(format_args!("{}: means are {} deviations off", sde.name(), brief(&[without, with])));
            assert!((without - expected).abs() < 0.08, "{sde:?}: {without}, not {expected}");
            assert!(with.abs() < 0.08, "{sde:?}: {with}");
        }
    }
    // Of a mean of 1 VP leaves 0.0066: its prior needs no other place, but has it.
    let vp = AnySde::from(VpSde::default());
    assert_eq!(model(vp).of_mean(MEAN).prior_mean(), MEAN * vp.marginal_prob(1.0).0);
    assert_eq!(model(vp).prior_mean(), 0.0);
}

/// With the mean, the density is that of the data and the noise at which the flow begins, but for the prior's variance,
/// which lacks the data's: `ln(1 + VARIANCE/SIGMA_MAX²)/2` = 0.0016 nats per dimension, and less elsewhere.
fn densities_know_the_mean() {
    let z = Noise::new(17).normal(0, 16, 2);
    let points: Vec<f32> = z.iter().map(|z| (MEAN + VARIANCE.sqrt() * f64::from(*z)) as f32).collect();
    let tolerance = Tolerance { rtol: 1e-4, atol: 1e-4, ..Tolerance::default() };
    let likelihood = Likelihood { trace: Trace::Exact, tolerance: Some(tolerance), ..Likelihood::default() };
    for sde in sdes() {
        let off = |model: &ScoreModel| {
            let images = tensor(&points, [16, 2, 1, 1], &cpu());
            let run = &mut Run::default();
            let found = block_on(likelihood.measure(model, images, &Noise::new(1), run)).unwrap();
            let exact =
                |x: &[f32]| mixture(FAR).log_density(&[x[0], x[1]].map(f64::from), sde.sigma(likelihood.eps));
            let off = points.chunks_exact(2).zip(found.nats).map(|(x, nats)| (nats - exact(x)).abs() / 2.0);
            off.fold(0.0, f64::max)
        };
        let [without, with] = [off(&model(sde)), off(&model(sde).of_mean(MEAN))];
        figure(format_args!("{}: densities are {} nats/dim off", sde.name(), brief(&[without, with])));
        assert!(with < 0.01 && without > 0.1, "{sde:?}: {with} with the mean, {without} without");
    }
}

fn interpolations_end_where_their_seeds_lead() {
    for sde in sdes() {
        let model = model(sde).of_mean(MEAN);
        let ends = [Noise::new(1), Noise::new(2)];
        let [a, b] = ends.map(Endpoint::Seed);
        let run = &mut Run::default();
        let between = block_on(interpolate(&model, &a, &b, 3, 1.0, Tolerance::default(), run)).unwrap();
        let frames = values(between.images);
        let drawn = ends.map(|noise| draw(&named("ode", json!({})), &model, noise, 1));
        assert!(relative_error(&frames[..2], &drawn[0]) < 1e-4, "{frames:?}, {drawn:?}");
        assert!(relative_error(&frames[4..], &drawn[1]) < 1e-4, "{frames:?}, {drawn:?}");
        // An image and its code: there and back, around the same middle.
        let image = Endpoint::Pixels(drawn[0].clone());
        let back = block_on(interpolate(&model, &image, &b, 3, 1.0, Tolerance::default(), run)).unwrap();
        assert!(relative_error(&values(back.images)[..4], &frames[..4]) < 0.02, "{frames:?}");
    }
}

fn what_is_not_known_begins_around_the_mean() {
    for sde in sdes() {
        let [image, mask] = [[0.7, 0.0], [1.0, 0.0]].map(|values| tensor(&values, [1, 2, 1, 1], &cpu()));
        let model =
            control::inpaint(model(sde).of_mean(MEAN), image, mask, Conditioning::Replacement).unwrap();
        let begin = values(model.prior(tensor(&[0.0, 0.0], [1, 2, 1, 1], &cpu())));
        assert!((begin[0] - 0.7).abs() < 1e-6 && (f64::from(begin[1]) - MEAN).abs() < 1e-6, "{begin:?}");
    }
}
