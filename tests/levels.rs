//! Diffusions of discrete levels: every sampler walks on them, and what other programs drew is drawn again.

use burn::tensor::{Device, Tensor};
use pollster::block_on;
use scorefield::model::ScoreModel;
use scorefield::rng::Noise;
use scorefield::run::Run;
use scorefield::sampler::{Order, Sampler};
use scorefield::sde::{AnySde, Betas, DdpmSde, Sde, VeSde};
use scorefield::weights::{LoadedModel, shipped};
use serde_json::json;

use crate::published::{Fixture, path};
use crate::samplers::compare;
use crate::support::{
    GAUSSIAN, analytic, cpu, draw, figure, gpu, mixture, named, relative_error, tensor, trials, values,
};

trials! {
    cpu: [
        every_sampler_walks_on_discrete_levels,
        published_images_are_drawn_again,
        noise_that_does_not_suffice_is_an_error,
    ],
    gpu: [
        published_images_are_drawn_again_on_the_gpu,
    ],
}

/// Relative to the largest value.
const BOUND: f64 = 1e-3;

/// As on continuous diffusions (`samplers`), after the evaluations at which a claim is at the statistical floor: the
/// schedules of DDPM, whose samplers end at the first level, and NCSN's ladder. Of the cosine the last level is left out, as
/// in models that are imported.
fn every_sampler_walks_on_discrete_levels() {
    let ddpm = DdpmSde::default();
    let scaled = DdpmSde { schedule: Betas::ScaledLinear, beta_start: 8.5e-4, beta_end: 0.012, ..ddpm };
    let cosine = DdpmSde { schedule: Betas::Cosine, ..ddpm }.until(0.999);
    let ladder = VeSde { sigma_min: 0.01, sigma_max: 50.0, levels: Some(232) };
    for sde in [AnySde::from(ddpm), scaled.into(), cosine.into(), ladder.into()] {
        let model = analytic(&mixture(GAUSSIAN), sde);
        for claim in Sampler::claims().into_iter().filter(|claim| claim.sigma == 0.0) {
            let order = match claim.order {
                Order::Ode(order) | Order::Weak(order) => order,
                Order::Adaptive | Order::None => 1,
            };
            let bias = claim.bias.1 * (claim.bias.0 as f64 / claim.floor_nfe as f64).powi(order as i32);
            let sampler = claim.method.within(claim.floor_nfe).unwrap();
            let samples = draw(&sampler, &model, Noise::new(11), 1024);
            let samples: Vec<[f64; 2]> =
                samples.chunks_exact(2).map(|x| [f64::from(x[0]), f64::from(x[1])]).collect();
            compare(&format!("{} on {}", json!(sampler), sde.summary()), &samples, GAUSSIAN, bias);
        }
    }
}

/// What a sampler draws of these noises, in the model's units.
fn drawn(sampler: &Sampler, model: &ScoreModel, noises: Vec<Tensor<4>>) -> Vec<f32> {
    let solution = block_on(sampler.sample_from(model, noises, &mut Run::default())).unwrap();
    values(solution.images.mul_scalar(2.0).sub_scalar(1.0))
}

fn opened(name: &str, device: &Device) -> LoadedModel {
    shipped::open(path(name).to_str().unwrap()).unwrap().load(device).unwrap()
}

/// DDIM and ancestral sampling in ten steps as `diffusers` takes them, which begin at level 900 of 1,000: the part of the
/// diffusion up to there.
fn ddpm(device: &Device, what: &str) {
    let fixture = Fixture::open("diffusers_ddpm", "diffusers_ddpm/expected.safetensors");
    let mut model = opened("diffusers_ddpm", device).score_model().unwrap();
    for (i, alpha_bar) in fixture.numbers("alphas_cumprod").into_iter().enumerate() {
        let (mean, _) = model.sde.marginal_prob((i + 1) as f64 / 1000.0);
        assert!((mean * mean / alpha_bar - 1.0).abs() < 1e-5, "level {i}: {} and {alpha_bar}", mean * mean);
    }
    assert_eq!(fixture.numbers("ddim_timesteps")[..2], [900.0, 800.0]);
    model.sde = model.sde.until(0.901);
    let (shape, prior) = fixture.tensor("noise");
    let shape: [usize; 4] = shape.try_into().unwrap();
    let prior = tensor(&prior, shape, device);
    let (_, steps) = fixture.tensor("ancestral_noises");
    let steps = steps.chunks_exact(shape.iter().product()).map(|noise| tensor(noise, shape, device));
    for (sampler, expected, noises) in [
        (named("ddim", json!({"n_steps": 10})), "ddim_10_steps_eta_0", vec![prior.clone()]),
        (
            named("ancestral", json!({"n_steps": 9})),
            "ancestral_10_steps",
            [prior.clone()].into_iter().chain(steps).collect(),
        ),
    ] {
        let error = relative_error(&drawn(&sampler, &model, noises), &fixture.tensor(expected).1);
        figure(format_args!("{expected} on the {what}: {error:.1e}"));
        assert!(error < BOUND, "{expected} on the {what}: off by {error:e}");
    }
}

/// One step, and two of which the second takes out the noise of the 23rd of 40 levels.
fn consistency(device: &Device, what: &str) {
    let fixture = Fixture::open("diffusers_cm", "diffusers_cm/expected.safetensors");
    let loaded = opened("diffusers_cm", device);
    let (shape, prior) = fixture.tensor("noise");
    let [n, c, h, w]: [usize; 4] = shape.try_into().unwrap();
    let (_, step) = fixture.tensor("step_0_noise");
    let sigma = fixture.numbers("sigmas")[22];
    for (sampler, expected) in [
        (named("multistep", json!({})), "steps_0"),
        (named("multistep", json!({"n_steps": 2, "last_sigma": sigma})), "steps_22_0"),
    ] {
        let image = c * h * w;
        let found: Vec<f32> = (0..n)
            .flat_map(|i| {
                let class = fixture.numbers("classes")[i] as usize;
                let model = loaded.class_model(class, 1.0).unwrap();
                let of = |noise: &[f32]| tensor(&noise[i * image..][..image], [1, c, h, w], device);
                drawn(&sampler, &model, vec![of(&prior), of(&step)])
            })
            .collect();
        let error = relative_error(&found, &fixture.tensor(expected).1);
        figure(format_args!("{expected} on the {what}: {error:.1e}"));
        assert!(error < BOUND, "{expected} on the {what}: off by {error:e}");
    }
}

fn published_images_are_drawn_again() {
    ddpm(&cpu(), "CPU");
    consistency(&cpu(), "CPU");
}

fn published_images_are_drawn_again_on_the_gpu() {
    ddpm(&gpu(), "GPU");
    consistency(&gpu(), "GPU");
}

fn noise_that_does_not_suffice_is_an_error() {
    let model = analytic(&mixture(GAUSSIAN), DdpmSde::default().into());
    let noise = |n: usize| tensor(&vec![0.5; 2 * n], [n, 2, 1, 1], &cpu());
    let sampler = named("ancestral", json!({"n_steps": 3}));
    for (noises, word) in [
        (vec![noise(4); 2], "give it 4 times"),
        (vec![], "[n, 2, 1, 1]"),
        (vec![noise(4), noise(3)], "[n, 2, 1, 1]"),
    ] {
        let result = block_on(sampler.sample_from(&model, noises, &mut Run::default()));
        let message = result.unwrap_err().to_string();
        assert!(message.contains(word), "{message}");
    }
    block_on(sampler.sample_from(&model, vec![noise(4); 4], &mut Run::default())).unwrap();
}
