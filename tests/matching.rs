//! Score matching: every objective against the error of the score, which is known where the data's score is.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use pollster::block_on;
use scorefield::Error;
use scorefield::checkup::lively;
use scorefield::estimate::Estimate;
use scorefield::flow::Probe;
use scorefield::learning::Fit;
use scorefield::model::{Preconditioned, Preconditioning, PreconditioningChoice, ScoreModel};
use scorefield::network::layers::Init;
use scorefield::network::{Context, MlpConfig, Network};
use scorefield::objective::{
    DdpmBound, DdpmSimple, DsmAnnealed, DsmOne, Ism, Likelihood, Loss, Models, Objective, Ssm, SsmAnnealed,
    SsmVr, Step,
};
use scorefield::ops::{combine, each, scale};
use scorefield::rng::Noise;
use scorefield::sde::{AnySde, VeSde, VpSde};

use crate::support::{
    MIXTURE, cpu, figure, gpu, learning, mixture, relative_error, step_on, tensor, trials, values,
};

trials! {
    cpu: [
        without_the_truth_a_loss_is_its_distance_and_a_constant,
        denoising_losses_have_the_weights_of_their_papers,
        settings_that_make_no_sense_are_refused,
        every_objective_learns_a_score,
    ],
    gpu: [
        losses_are_the_same_on_the_gpu,
    ],
}

const N: usize = 20_000;
const SIGMA_DATA: f64 = 0.5;

fn ve() -> AnySde {
    VeSde { sigma_min: 0.2, sigma_max: 5.0, ..VeSde::default() }.into()
}

fn student(sde: AnySde, device: &Device) -> Preconditioned {
    let config = MlpConfig { width: 32, layers: 2, noise: 32 };
    let network = Network::new(&config.into(), 2, 2, &mut Init::new(0, device));
    let network = learning(lively(network, Noise::new(5)));
    Preconditioned::new(network, Preconditioning::Edm { sigma_data: SIGMA_DATA }, sde)
}

fn step(n: usize, device: &Device) -> Step<'static> {
    let points: Vec<f32> =
        mixture(MIXTURE).sample(&Noise::new(1), n, 0.0).into_iter().map(|x| x as f32).collect();
    step_on(tensor(&points, [n, 2, 1, 1], device), 3, 7)
}

fn losses(objective: &impl Loss, model: &Preconditioned, step: &Step<'_>) -> Vec<f64> {
    let loss = objective.loss(Models { student: model, average: model, teacher: None, features: None }, step);
    values(loss).into_iter().map(f64::from).collect()
}

/// The student's score at the points `x`, being told the levels.
fn score(model: &Preconditioned, x: Tensor<4>, told: &[f64]) -> Vec<f32> {
    let denoised = model.forward(x.clone(), told, Context::default());
    let precision = each(told, |s| s.powi(-2));
    values(combine(&[(denoised, &precision), (x, &each(&precision, |p| -p))]))
}

/// Half the squared length of each pair of numbers, per dimension.
fn half_square(pairs: impl Iterator<Item = f64>) -> Vec<f64> {
    let pairs: Vec<f64> = pairs.collect();
    pairs.chunks_exact(2).map(|v| 0.25 * (v[0] * v[0] + v[1] * v[1])).collect()
}

/// On a mixture whose score `s*` is known, implicit and sliced matching are in the mean `½E|s - s*|² - ½E|s*|²`, at data
/// without noise and with it, whatever the vectors are drawn from; and annealed at every level `sigma²` times that.
fn without_the_truth_a_loss_is_its_distance_and_a_constant() {
    let (model, step, target) = (student(ve(), &cpu()), step(N, &cpu()), mixture(MIXTURE));
    let ladder = SsmAnnealed { levels: 4, projections: 2, ..SsmAnnealed::default() };
    let (uniform, _) = step.levels();
    let rungs = each(&uniform, |u| 5.0 * f64::powf(0.2 / 5.0, (4.0 * u).floor() / 3.0));
    let mut cases: Vec<(String, Objective, Vec<f64>)> = vec![("ladder".into(), ladder.into(), rungs)];
    for sigma in [0.0, 0.3] {
        cases.push((format!("noise {sigma}"), Ism { sigma }.into(), vec![sigma]));
        for distribution in [Probe::Rademacher, Probe::Gaussian, Probe::Sphere] {
            let ssm = Ssm { sigma, projections: 2, distribution };
            let name = format!("noise {sigma}, {distribution:?}");
            cases.push((name.clone(), ssm.into(), vec![sigma]));
            cases.push((name, SsmVr(ssm).into(), vec![sigma]));
        }
    }
    for (name, objective, sigma) in cases {
        let x = if sigma == [0.0] { step.x0.clone() } else { step.x0.clone() + scale(step.noise(), &sigma) };
        let points: Vec<f64> = values(x.clone()).into_iter().map(f64::from).collect();
        let level = |i: usize| sigma[i % sigma.len()];
        let truth = points.chunks_exact(2).enumerate().flat_map(|(i, x)| target.score(x, level(i)));
        let truth: Vec<f64> = truth.collect();
        let found = score(&model, x, &each(&sigma, |s| s.max(0.2)));
        let error = half_square(found.iter().zip(&truth).map(|(s, t)| f64::from(*s) - t));
        let constant = half_square(truth.iter().copied());
        let losses = losses(&objective, &model, &step);
        let weight = |i: usize| if name == "ladder" { level(i).powi(2) } else { 1.0 };
        let off = Estimate::of((0..N).map(|i| losses[i] - weight(i) * (error[i] - constant[i])));
        let [distance, constant] =
            [&error, &constant].map(|v| Estimate::of((0..N).map(|i| weight(i) * v[i])).mean);
        figure(format_args!(
            "{}, {name}: {:.3} = {distance:.3} - {constant:.3}, off by {:+.4}, standard error {:.4}",
            objective.name(),
            Estimate::of(losses.iter().copied()).mean,
            off.mean,
            off.error,
        ));
        assert!(off.mean.abs() < 4.0 * off.error, "{objective:?}: off by {off:?}");
        assert!(
            off.error < 0.02 * (distance + constant),
            "{objective:?}: chance hides what is off, {off:?} of {distance}"
        );
    }
}

/// What each of them weighs `|score + z/sigma|²` by, written out from the papers for the diffusion at hand.
fn denoising_losses_have_the_weights_of_their_papers() {
    let device = cpu();
    // VP's own: beta from .1 to 20, of which ln(alpha_bar) is minus the integral.
    let vp = AnySde::from(VpSde::default());
    let log_alpha_bar = |t: f64| -(0.1 * t + 0.5 * 19.9 * t * t);
    let vp_sigma = |t: f64| ((-log_alpha_bar(t)).exp() - 1.0).sqrt();
    let step = step(64, &device);
    let (uniform, _) = step.levels();
    type Weights<'a> = Box<dyn Fn(f64) -> (f64, f64) + 'a>;
    let chain = |steps: f64, bound: bool| -> Weights<'_> {
        Box::new(move |u: f64| {
            let i = (u * steps).floor() + 1.0;
            let sigma = vp_sigma(i / steps);
            let alpha = (log_alpha_bar(i / steps) - log_alpha_bar((i - 1.0) / steps)).exp();
            let one_less_alpha_bar = 1.0 - log_alpha_bar(i / steps).exp();
            let of_noise = match bound {
                true => steps * (1.0 - alpha) / (2.0 * alpha * one_less_alpha_bar),
                false => 1.0,
            };
            (sigma, of_noise * sigma * sigma)
        })
    };
    let range = (vp_sigma(1.0) / vp_sigma(1e-5)).ln();
    let cases: Vec<(Objective, AnySde, Weights<'_>)> = vec![
        (DsmOne { sigma: 0.3 }.into(), ve(), Box::new(|_| (0.3, 0.09))),
        (
            DsmAnnealed { levels: 6, power: 2.0 }.into(),
            ve(),
            Box::new(|u| {
                let sigma = 5.0 * f64::powf(0.04, (6.0 * u).floor() / 5.0);
                (sigma, sigma * sigma)
            }),
        ),
        (
            DsmAnnealed { levels: 2, power: 0.5 }.into(),
            ve(),
            Box::new(|u| {
                let sigma = if u < 0.5 { 5.0 } else { 0.2 };
                (sigma, f64::sqrt(sigma))
            }),
        ),
        (DdpmSimple { steps: 1000 }.into(), vp, chain(1000.0, false)),
        (DdpmSimple { steps: 7 }.into(), vp, chain(7.0, false)),
        (DdpmBound(DdpmSimple { steps: 1000 }).into(), vp, chain(1000.0, true)),
        (DdpmBound(DdpmSimple { steps: 7 }).into(), vp, chain(7.0, true)),
        (
            Likelihood {}.into(),
            vp,
            Box::new(|u| {
                let sigma = vp_sigma(1e-5) * (u * range).exp();
                (sigma, range * sigma * sigma)
            }),
        ),
    ];
    for (objective, sde, weights) in cases {
        let model = student(sde, &device);
        let (sigma, weight): (Vec<_>, Vec<_>) = uniform.iter().map(|u| weights(*u)).unzip();
        let z = values(step.noise());
        let s = score(&model, step.x0.clone() + scale(step.noise(), &sigma), &sigma);
        let errors =
            s.iter().zip(&z).enumerate().map(|(i, (s, z))| f64::from(*s) + f64::from(*z) / sigma[i / 2]);
        let expected = half_square(errors).into_iter().zip(weight).map(|(half, w)| (2.0 * half * w) as f32);
        let found: Vec<f32> = losses(&objective, &model, &step).into_iter().map(|loss| loss as f32).collect();
        for (found, expected) in found.iter().zip(expected) {
            // A score is a small difference of large numbers where the noise is small.
            assert!((found / expected - 1.0).abs() < 2e-2, "{objective:?}: {found} instead of {expected}");
        }
    }
}

fn settings_that_make_no_sense_are_refused() {
    let refused: [(&str, Objective); 8] = [
        ("sigma = -0.1", Ism { sigma: -0.1 }.into()),
        ("sigma = NaN", Ssm { sigma: f64::NAN, ..Ssm::default() }.into()),
        ("projections = 0", SsmVr(Ssm { projections: 0, ..Ssm::default() }).into()),
        ("sigma = 0", DsmOne { sigma: 0.0 }.into()),
        ("levels = 1", DsmAnnealed { levels: 1, ..DsmAnnealed::default() }.into()),
        ("levels = 0", SsmAnnealed { levels: 0, ..SsmAnnealed::default() }.into()),
        ("power = NaN", DsmAnnealed { power: f64::NAN, ..DsmAnnealed::default() }.into()),
        ("steps = 0", DdpmBound(DdpmSimple { steps: 0 }).into()),
    ];
    for (words, objective) in refused {
        let result = objective.check();
        assert!(matches!(&result, Err(Error::Config { .. })), "{objective:?}: {result:?}");
        let message = result.unwrap_err().to_string();
        assert!(message.contains(&format!("objective.{words}")), "{message}");
    }
    assert!(Objective::all().iter().all(|objective| objective.check().is_ok()));
    let message = "ssm2".parse::<Objective>().unwrap_err().to_string();
    assert!(message.contains("`ssm2`") && message.contains("ssm_annealed"), "{message}");
}

/// The squared error of a model's score at the level `sigma`, relative to that of the truth.
fn fisher_divergence(model: &ScoreModel, sigma: f64) -> f64 {
    let (target, n) = (mixture(MIXTURE), 2000);
    let points = target.sample(&Noise::new(99), n, sigma);
    let x: Vec<f32> = points.iter().map(|x| *x as f32).collect();
    let found = values(model.score(tensor(&x, [n, 2, 1, 1], &cpu()), &[model.sde.time_of_sigma(sigma)]));
    let truth: Vec<f64> = points.chunks_exact(2).flat_map(|x| target.score(x, sigma)).collect();
    let error: f64 = found.iter().zip(&truth).map(|(s, t)| (f64::from(*s) - t).powi(2)).sum();
    error / truth.iter().map(|t| t * t).sum::<f64>()
}

/// A short training leads all of them to a score that is nearly right: what they have in common is the least of the loss.
fn every_objective_learns_a_score() {
    const LEVEL: f64 = 0.2;
    for mut objective in Objective::of_scores() {
        if let Some(sigma) = objective.sigma() {
            *sigma = LEVEL;
        }
        let training = Fit {
            objective,
            network: MlpConfig { width: 64, layers: 2, noise: 64 }.into(),
            sde: VeSde { sigma_min: 0.1, sigma_max: 5.0, ..VeSde::default() }.into(),
            preconditioning: PreconditioningChoice::Edm,
            sigma_data: 1.0,
            shape: [2, 1, 1],
            steps: 400,
            batch: 256,
            learning_rate: 3e-3,
            seed: 0,
        };
        let (model, losses) = block_on(training.run_on(&mixture(MIXTURE), &cpu())).unwrap();
        let found = fisher_divergence(&model, LEVEL);
        figure(format_args!(
            "{}: {found:.3} of the score's square, loss {:.3}",
            objective.name(),
            losses[399]
        ));
        assert!(found < 0.12, "{}: {found}", objective.name());
    }
}

fn losses_are_the_same_on_the_gpu() {
    struct Gradients(burn::tensor::Gradients, Vec<f32>);
    impl ModuleVisitor for Gradients {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.1.extend(param.val().grad(&self.0).map(values).unwrap_or_default());
        }
    }
    for objective in Objective::all() {
        let [on_cpu, on_gpu] = [cpu(), gpu()].map(|device| {
            let device = device.autodiff();
            let model = student(ve(), &device);
            let models = Models { student: &model, average: &model, teacher: None, features: None };
            let loss = objective.loss(models, &step(16, &device));
            let mut gradients = Gradients(loss.clone().sum().backward(), vec![]);
            model.network().visit(&mut gradients);
            assert!(gradients.1.iter().any(|g| *g != 0.0));
            (values(loss.inner()), gradients.1)
        });
        for (what, cpu, gpu) in [("loss", on_cpu.0, on_gpu.0), ("gradient", on_cpu.1, on_gpu.1)] {
            let error = relative_error(&gpu, &cpu);
            figure(format_args!("{}, {what}: {error:.1e}", objective.name()));
            assert!(error < 1e-4, "{}, {what}: {error:.1e}", objective.name());
        }
    }
}
