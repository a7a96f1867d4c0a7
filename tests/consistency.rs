//! Consistency functions: what is trained against those that are known.

use burn::tensor::Tensor;
use pollster::block_on;
use scorefield::learning::Fit;
use scorefield::model::{Denoiser, Preconditioned, Preconditioning, PreconditioningChoice, ScoreModel};
use scorefield::network::layers::Init;
use scorefield::network::{Classifier, ClassifierConfig, MlpConfig, Network};
use scorefield::objective::{
    ConsistencyDistillation, ConsistencyTraining, Features, Levels, Loss, Metric, Models, Objective, Solver,
    Step, Target,
};
use scorefield::rng::Noise;
use scorefield::sde::{AnySde, VeSde};
use scorefield::toy::GaussianMixture;

use crate::support::{MIXTURE, Part, cpu, figure, mixture, step_on, tensor, trials, values};

trials! {
    cpu: [
        losses_are_those_of_their_papers,
        gradients_pass_through_a_classifier,
        functions_of_a_gaussian_are_learned,
        functions_of_a_mixture_are_learned,
    ],
}

const SIGMA_DATA: f64 = 1.0;

fn ve() -> AnySde {
    VeSde { sigma_min: 0.02, sigma_max: 5.0, ..VeSde::default() }.into()
}

fn fit(objective: Objective) -> Fit {
    Fit {
        objective,
        network: MlpConfig { width: 64, layers: 2, noise: 64 }.into(),
        sde: ve(),
        preconditioning: PreconditioningChoice::Consistency,
        sigma_data: SIGMA_DATA,
        shape: [2, 1, 1],
        steps: 600,
        batch: 256,
        learning_rate: 3e-3,
        seed: 0,
    }
}

/// Where the probability-flow ODE of `target` leads to from `x` at the level `sigma`, down to `least`: Heun's method in 300
/// steps, equal in the logarithm.
fn end_of_path(target: &GaussianMixture, x: Tensor<4>, sigma: f64, least: f64) -> Tensor<4> {
    const STEPS: usize = 300;
    let level = |i: usize| sigma * (least / sigma).powf(i as f64 / STEPS as f64);
    let slope = |x: &Tensor<4>, sigma: f64| (x.clone() - target.denoise(x.clone(), &[sigma])) / sigma;
    (0..STEPS).fold(x, |x, i| {
        let (here, next) = (level(i), level(i + 1));
        let first = slope(&x, here);
        let second = slope(&(x.clone() + first.clone() * (next - here)), next);
        x + (first + second) * (0.5 * (next - here))
    })
}

/// Root of the mean square by which the function of `model` is off, in the data's deviations, at noisy data of each level.
fn errors(model: &ScoreModel, parts: &[Part]) -> Vec<f64> {
    const N: usize = 2000;
    let target = mixture(parts);
    let least = model.sde.sigma(model.sde.sampling_eps());
    let off = [0.1, 0.5, 2.0, 5.0].map(|sigma| {
        let x: Vec<f32> =
            target.sample(&Noise::new(8), N, sigma).into_iter().map(|value| value as f32).collect();
        let x = tensor(&x, [N, 2, 1, 1], &cpu());
        let found = values(model.denoised(x.clone(), &[model.sde.time_of_sigma(sigma)]));
        let truth = values(end_of_path(&target, x, sigma, least));
        let squares = found.iter().zip(&truth).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
        (squares / (2 * N) as f64).sqrt()
    });
    off.into()
}

fn trained(objective: Objective, parts: &[Part]) -> Vec<f64> {
    let fit = fit(objective);
    let (model, _) = block_on(fit.run_on(&mixture(parts), &cpu())).unwrap();
    let found = errors(&model, parts);
    figure(format_args!("{:?}: off by {found:.3?} at noise .1, .5, 2 and 5", fit.objective));
    found
}

fn training() -> Objective {
    ConsistencyTraining::default().into()
}

fn distillation() -> Objective {
    ConsistencyDistillation::default().into()
}

fn by_euler() -> Objective {
    let distillation = ConsistencyDistillation::default();
    ConsistencyDistillation { solver: Solver::Euler, levels: 80, metric: Metric::L1 {}, ..distillation }
        .into()
}

fn all() -> Vec<Objective> {
    let doubling = Levels::Doubling { first: 10, last: 160, mean: -0.4, std: 2.0 };
    let rising = ConsistencyTraining {
        levels: Levels::Rising { first: 2, last: 150 },
        metric: Metric::L2 {},
        target: Target::Average,
    };
    let doubling = ConsistencyTraining { levels: doubling, ..ConsistencyTraining::default() };
    let by_features = ConsistencyTraining { metric: Metric::Features {}, ..ConsistencyTraining::default() };
    vec![training(), doubling.into(), rising.into(), by_features.into(), distillation(), by_euler()]
}

/// Two layers: the image, and the image with one added, of which the second channel counts thrice.
struct Plain;

impl Features for Plain {
    fn layers(&self, x: Tensor<4>) -> Vec<Tensor<4>> {
        let x = x.permute([0, 2, 3, 1]);
        vec![x.clone(), x + 1.0]
    }

    fn weights(&self) -> Option<Vec<Tensor<1>>> {
        Some([[1.0, 1.0], [1.0, 3.0]].map(|weights| Tensor::from_floats(weights, &cpu())).into())
    }
}

/// What [`Plain`] sees of two points.
fn perceived(a: [f64; 2], b: [f64; 2]) -> f64 {
    let layer = |more: f64, weights: [f64; 2]| {
        let [a, b] = [a, b].map(|x| {
            let length = (x[0] + more).hypot(x[1] + more);
            [(x[0] + more) / length, (x[1] + more) / length]
        });
        (0..2).map(|i| weights[i] * (a[i] - b[i]).powi(2)).sum::<f64>()
    };
    layer(0.0, [1.0, 1.0]) + layer(1.0, [1.0, 3.0])
}

/// Of the features of a classifier whose weights are off the tape, by differences.
fn gradients_pass_through_a_classifier() {
    let classifier = Classifier::new(&ClassifierConfig::default(), 1, &mut Init::new(5, &cpu()));
    let x = Noise::new(4).uniform(0, 1, 64);
    let layers = |x: Tensor<4>| {
        let sum = classifier.layers(x).map(|layer| (layer.clone() * layer).mean());
        sum.into_iter().reduce(|a, b| a + b).unwrap()
    };
    let at = tensor(&x, [1, 1, 8, 8], &cpu().autodiff()).require_grad();
    let gradient = values(at.grad(&layers(at.clone()).backward()).expect("a gradient"));
    for pixel in [0, 9, 37, 63] {
        let moved = |by: f32| {
            let mut x = x.clone();
            x[pixel] += by;
            f64::from(values(layers(tensor(&x, [1, 1, 8, 8], &cpu())))[0])
        };
        let (slope, found) = ((moved(1e-2) - moved(-1e-2)) / 2e-2, f64::from(gradient[pixel]));
        assert!((slope - found).abs() < 0.02 * found.abs().max(1e-2), "{pixel}: {found}, {slope}");
    }
}

/// A Gaussian's score model is a network that says nothing, under EDM's scaling.
fn teacher_of_a_gaussian(deviation: f64) -> Preconditioned {
    let network =
        Network::new(&MlpConfig { width: 4, layers: 1, noise: 4 }.into(), 2, 2, &mut Init::new(0, &cpu()));
    Preconditioned::new(network, Preconditioning::Edm { sigma_data: deviation }, ve())
}

/// Each with the largest error that it may have after so short a training, too short for the grids that grow, where a network
/// that says nothing is off by .004, .034, .176 and .405.
fn functions_of_a_gaussian_are_learned() {
    let round: &[Part] = &[(1.0, [0.0, 0.0], [0.36, 0.0, 0.36])];
    for (objective, bound) in [(training(), 0.08), (distillation(), 0.08), (by_euler(), 0.2)] {
        let found = trained(objective, round);
        assert!(found.iter().all(|off| *off < bound), "{objective:?}: {found:?}");
    }
}

/// Where a path ends far off if it begins a little aside, between the modes, a network is off the most.
fn functions_of_a_mixture_are_learned() {
    for objective in [training(), distillation()] {
        let found = trained(objective, MIXTURE);
        assert!(found.iter().all(|off| *off < 0.5), "{objective:?}: {found:?}");
    }
}

/// Of a Gaussian all is linear, if the student says nothing either: levels, steps, distances and weights, written out from
/// the papers.
fn losses_are_those_of_their_papers() {
    const N: usize = 64;
    let (deviation, sde) = (0.6, ve());
    let network =
        Network::new(&MlpConfig { width: 4, layers: 1, noise: 4 }.into(), 2, 2, &mut Init::new(0, &cpu()));
    let student = Preconditioned::new(network, Preconditioning::Consistency { sigma_data: SIGMA_DATA }, sde);
    let teacher = teacher_of_a_gaussian(deviation);
    let x0 = tensor(&Noise::new(3).normal(0, N, 2), [N, 2, 1, 1], &cpu());
    let step = Step { sigma_data: SIGMA_DATA, ..step_on(x0, 3, 7) };
    let (uniform, normal) = step.levels();
    let [x0, z] = [step.x0.clone(), step.noise()].map(values);
    let (least, most) = (0.02_f64, 5.0_f64);
    let grid = |i: usize, n: usize| {
        let root = |sigma: f64| sigma.powf(1.0 / 7.0);
        (root(least) + i as f64 / (n - 1) as f64 * (root(most) - root(least))).powf(7.0)
    };
    // From above, as the paper counts from below.
    let chosen = |n: usize, image: usize| n - 2 - (uniform[image] * (n - 1) as f64) as usize;
    let skip = |sigma: f64| 1.0 / ((sigma - least).powi(2) + 1.0);
    let slope = |x: f64, sigma: f64| x * sigma / (deviation * deviation + sigma * sigma);
    for objective in all() {
        let found = values(objective.loss(
            Models { student: &student, average: &student, teacher: Some(&teacher), features: Some(&Plain) },
            &step,
        ));
        for (image, found) in found.iter().enumerate() {
            let (high, low, weight) = match objective {
                Objective::ConsistencyDistillation(ConsistencyDistillation { levels: n, .. }) => {
                    let i = chosen(n, image);
                    (grid(i + 1, n), grid(i, n), 1.0)
                }
                Objective::ConsistencyTraining(ConsistencyTraining {
                    levels: Levels::Rising { .. }, ..
                }) => {
                    let n = ((0.3 * (151.0_f64.powi(2) - 4.0) + 4.0).sqrt() - 1.0).ceil() as usize + 1;
                    let i = chosen(n, image);
                    (grid(i + 1, n), grid(i, n), 1.0)
                }
                Objective::ConsistencyTraining(ConsistencyTraining {
                    levels: Levels::Doubling { .. },
                    ..
                }) => {
                    // The second of five stages of two steps each.
                    let n = 21;
                    let below = |i: usize| 0.5 * (1.0 + libm::erf((grid(i, n).ln() + 0.4) / 8.0_f64.sqrt()));
                    let at = below(0) + uniform[image] * (below(n - 1) - below(0));
                    let i = (0..n - 1).find(|i| below(i + 1) >= at).unwrap();
                    (grid(i + 1, n), grid(i, n), 1.0 / (grid(i + 1, n) - grid(i, n)))
                }
                _ => {
                    let t = (-0.4 + 2.0 * normal[image]).exp();
                    if !(1.01 * least..most).contains(&t) {
                        continue;
                    }
                    // The third of eight stages.
                    let near = 1.0 + 8.0 / (1.0 + (0.5 * t).exp());
                    let r = (t * (1.0 - near / 8.0)).max(least);
                    (t, r, 1.0 / (t - r))
                }
            };
            let ends = [2 * image, 2 * image + 1].map(|at| {
                let (x0, z) = (f64::from(x0[at]), f64::from(z[at]));
                let x = x0 + high * z;
                let there = match objective {
                    Objective::ConsistencyDistillation(ConsistencyDistillation { solver, .. }) => {
                        let first = slope(x, high);
                        let euler = x + (low - high) * first;
                        match solver {
                            Solver::Euler => euler,
                            Solver::Heun => x + (low - high) * 0.5 * (first + slope(euler, low)),
                        }
                    }
                    _ => x0 + low * z,
                };
                [skip(high) * x, skip(low) * there]
            });
            let pair = ends.map(|[a, b]| a - b);
            let square = pair[0] * pair[0] + pair[1] * pair[1];
            let metric = match objective {
                Objective::ConsistencyDistillation(ConsistencyDistillation { metric, .. })
                | Objective::ConsistencyTraining(ConsistencyTraining { metric, .. }) => metric,
                _ => unreachable!(),
            };
            let distance = match metric {
                Metric::L2 {} => square / 2.0,
                Metric::L1 {} => (pair[0].abs() + pair[1].abs()) / 2.0,
                Metric::PseudoHuber { .. } => {
                    let c = 0.00054 * 2.0_f64.sqrt();
                    (square + c * c).sqrt() - c
                }
                Metric::Features {} => perceived(ends.map(|end| end[0]), ends.map(|end| end[1])),
            };
            let (found, expected) = (f64::from(*found), weight * distance);
            assert!(
                (found - expected).abs() < 1e-4 * (0.1 + expected),
                "{objective:?}, {image}: {found}, {expected}"
            );
        }
    }
}
