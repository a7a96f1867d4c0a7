//! Training: bit for bit repeatable and resumable, the same on both devices, and honest when it fails.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use pollster::block_on;
use scorefield::Error;
use scorefield::cancel::CancelToken;
use scorefield::data::{DataSource, Dataset};
use scorefield::dequantise::Dequantisation;
use scorefield::device::{DeviceChoice, Opened};
use scorefield::images::ImageSet;
use scorefield::model::PreconditioningChoice;
use scorefield::network::UNetConfig;
use scorefield::network::layers::{Dropout, Embedding};
use scorefield::objective::{Dsm, Likelihood, MicroBatch, Weighting};
use scorefield::rng::Noise;
use scorefield::rng::draws::training::{NOISE, TIMES};
use scorefield::sde::VeSde;
use scorefield::training::run::checkpoint::Checkpoint;
use scorefield::training::run::{Outcome, RunFolder, train};
use scorefield::training::{Batches, Course, Lesson, Problem, ScoreLesson, TrainConfig, Trainer, presets};
use scorefield::weights::ModelFile;

use crate::support::{brief, cpu, figure, gpu, small_unet, tensor, trials, values};

trials! {
    cpu: [
        a_run_can_start_from_a_model,
        another_seed_gives_another_run,
        the_loss_falls,
        the_loss_is_that_of_its_definition,
        what_cannot_be_trained_is_refused,
        presets_of_the_papers_start,
        dropout_zeroes_its_share_and_keeps_the_mean,
        the_gradient_norm_is_reported_before_clipping,
        problems_are_measured,
    ],
    gpu: [
        both_devices_have_the_same_losses,
    ],
}

/// Discs of random place, size and brightness on black, 12x12; the bright ones are of class 1.
pub fn discs(n: usize, channels: usize) -> ImageSet {
    let uniform = Noise::new(77).uniform(0, n, 4);
    let pixels = uniform.chunks_exact(4).flat_map(|u| {
        let (y, x, r, v) = (2.0 + 8.0 * u[0], 2.0 + 8.0 * u[1], 2.0 + 2.0 * u[2], 120.0 + 135.0 * u[3]);
        (0..channels * 144).map(move |i| {
            let (row, column) = ((i / 12 % 12) as f32, (i % 12) as f32);
            if (row - y).hypot(column - x) < r { v as u8 } else { 0 }
        })
    });
    ImageSet {
        name: "discs".into(),
        licence: "CC0-1.0".into(),
        channels,
        height: 12,
        width: 12,
        pixels: pixels.collect(),
        labels: Some(uniform.chunks_exact(4).map(|u| (u[3] > 0.5).into()).collect()),
        class_names: Vec::new(),
    }
}

/// Everything that can carry state from step to step is on: dropout, flips, a warm-up, an average, clipping.
pub fn config() -> TrainConfig {
    TrainConfig {
        name: "tiny".into(),
        steps: 12,
        batch: 7,
        learning_rate: 2e-3,
        muon: false,
        warmup: 3,
        clip: 0.5,
        ema: 0.9.into(),
        averages: vec![0.05, 0.1],
        dropout: 0.1,
        flip: true,
        checkpoint_every: 5,
        sample_every: 0,
        data: DataSource::new(Dataset::Synthetic),
        network: small_unet().into(),
        ..TrainConfig::default()
    }
}

pub fn variants() -> Vec<TrainConfig> {
    let sde = VeSde { sigma_min: 0.01, sigma_max: 0.0, ..VeSde::default() }.into();
    let positional = UNetConfig { embedding: Embedding::Positional, classes: 2, ..small_unet() };
    vec![
        config(),
        TrainConfig {
            sde,
            preconditioning: PreconditioningChoice::Eps,
            network: positional.into(),
            ..config()
        },
        TrainConfig { objective: Dsm { references: 5, ..Dsm::default() }.into(), flip: true, ..config() },
        TrainConfig {
            muon: true,
            augment: 0.3,
            network: UNetConfig { moves: true, ..small_unet() }.into(),
            ..config()
        },
    ]
}

pub fn trainer(config: &TrainConfig, images: &ImageSet, device: &Device) -> Trainer<ScoreLesson> {
    Trainer::new(ScoreLesson::new(config, images).unwrap(), device)
}

/// `steps` further steps: their losses and gradient norms.
pub fn steps<L: Lesson>(
    trainer: &mut Trainer<L>,
    config: &TrainConfig,
    images: &ImageSet,
    steps: usize,
) -> Vec<(f64, f64)> {
    let mut batches = Batches::new(images, config.seed, config.batch, config.flip).augmented(config.augment);
    (0..steps)
        .map(|_| block_on(trainer.step(&mut batches)).unwrap())
        .map(|report| (report.loss, report.gradient_norm))
        .collect()
}

/// What the averaged weights make of noise: every one of them has a part in it.
pub fn fingerprint(trainer: &Trainer<ScoreLesson>) -> Vec<f32> {
    let model = trainer.score_model();
    let [c, h, w] = model.shape;
    let x = tensor(&Noise::new(4).normal(0, 2, c * h * w), [2, c, h, w], model.device());
    values(model.denoised(x, &[0.2, 0.6]))
}

pub fn opened() -> Opened {
    Opened::cpu("a test")
}

pub fn run(config: &TrainConfig, folder: &Path, resume: bool, stop: bool) -> scorefield::Result<Outcome> {
    let folder = RunFolder(folder.to_path_buf());
    let resume = resume.then(|| Checkpoint::read(&folder.checkpoint()).unwrap());
    let cancel = CancelToken::default();
    if stop {
        cancel.cancel();
    }
    let images = discs(40, 1);
    block_on(train(ScoreLesson::new(config, &images)?, &images, &opened(), &folder, resume, &cancel))
}

/// Fine-tuning begins where the other model is: after a step of nearly no size the model is still that one.
fn a_run_can_start_from_a_model() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = TrainConfig { steps: 3, ..config() };
    run(&config, first.path(), false, false).unwrap();
    let model = |folder: &tempfile::TempDir| {
        ModelFile::parse("tiny", &std::fs::read(RunFolder(folder.path().into()).model("tiny")).unwrap())
            .unwrap()
    };
    let begin = |config: &TrainConfig| {
        let folder = RunFolder(second.path().into());
        let init = RunFolder(first.path().into()).model("tiny").display().to_string();
        let config = TrainConfig { init: Some(init), ..config.clone() };
        let images = discs(40, 1);
        let lesson = ScoreLesson::new(&config, &images)?;
        block_on(train(lesson, &images, &opened(), &folder, None, &CancelToken::default()))
    };
    begin(&TrainConfig { steps: 1, learning_rate: 1e-12, ..config.clone() }).unwrap();
    let x = || tensor(&Noise::new(4).normal(0, 1, 144), [1, 1, 12, 12], &cpu());
    let denoised = |file: ModelFile| values(file.score_model(&cpu()).unwrap().denoised(x(), &[0.3]));
    assert_eq!(denoised(model(&first)), denoised(model(&second)));
    let other = TrainConfig { network: UNetConfig { blocks: 2, ..small_unet() }.into(), ..config.clone() };
    assert!(matches!(begin(&other), Err(Error::Weights { .. })));
}

fn another_seed_gives_another_run() {
    let images = discs(40, 1);
    let losses = |config: &TrainConfig| steps(&mut trainer(config, &images, &cpu()), config, &images, 3);
    let base = losses(&config());
    assert_eq!(base, losses(&config()), "the same seed repeats");
    for other in [
        TrainConfig { seed: 1, ..config() },
        TrainConfig { dropout: 0.0, ..config() },
        TrainConfig { flip: false, ..config() },
        TrainConfig { muon: true, ..config() },
        TrainConfig { augment: 0.3, network: UNetConfig { moves: true, ..small_unet() }.into(), ..config() },
    ] {
        assert!(losses(&other) != base, "{other:?}");
    }
}

fn the_loss_falls() {
    let images = discs(60, 1);
    for base in variants() {
        let config = TrainConfig { steps: 120, batch: 16, dropout: 0.0, clip: 1.0, ..base };
        let losses = steps(&mut trainer(&config, &images, &cpu()), &config, &images, config.steps);
        let mean = |part: &[(f64, f64)]| part.iter().map(|(loss, _)| loss).sum::<f64>() / part.len() as f64;
        let (early, late) = (mean(&losses[..10]), mean(&losses[100..]));
        figure(format_args!(
            "{:?}: loss {early:.3} at first, {late:.3} after 100 steps",
            config.preconditioning
        ));
        assert!(late < 0.75 * early, "{:?}: {early} to {late}", config.preconditioning);
    }
}

/// A fresh network returns zero, so under EDM's preconditioning the first loss is known: the mean of
/// `lambda/(std·sigma)²·|c_skip·x - x_0|²`.
fn the_loss_is_that_of_its_definition() {
    let images = discs(40, 1);
    for weighting in [Weighting::Std2, Weighting::Likelihood, Weighting::Edm] {
        let mut config = config();
        let objective = Dsm { weighting, ..Dsm::default() };
        config.objective = objective.into();
        config.dropout = 0.0;
        let problem = measured(&config, &images);
        let found = steps(&mut trainer(&config, &images, &cpu()), &config, &images, 1)[0].0;

        // By the definition: lambda·|score + z/std|², with the score of the fresh network.
        let model = trainer(&config, &images, &cpu()).score_model();
        let noise = Noise::new(config.seed).domain(scorefield::rng::Domain::Training);
        let mut stream = noise.stream(TIMES);
        let uniform: Vec<f64> = (0..7).map(|_| stream.uniform()).collect();
        let normal: Vec<f64> = (0..7).map(|_| stream.normal()).collect();
        let t = objective.times(&*problem.sde, problem.sigma_data, &uniform, &normal);
        let z = noise.normal(NOISE, 1, 7 * 144);
        let pixels = Batches::new(&images, config.seed, 7, config.flip).pixels(
            0,
            MicroBatch::whole(7),
            Dequantisation::Uniform,
        );
        let x0 = values(problem.range.encode(tensor(&pixels, [7, 1, 12, 12], &cpu())));
        let mut expected = 0.0;
        for (i, t) in t.iter().enumerate() {
            let ((mean_coeff, std), part) = (problem.sde.marginal_prob(*t), i * 144..(i + 1) * 144);
            let x: Vec<f32> = part
                .clone()
                .map(|j| (mean_coeff * f64::from(x0[j]) + std * f64::from(z[j])) as f32)
                .collect();
            let score = values(model.score(tensor(&x, [1, 1, 12, 12], &cpu()), &[*t]));
            let lambda = match weighting {
                Weighting::Std2 => std * std,
                Weighting::Likelihood => problem.sde.diffusion(*t).powi(2),
                Weighting::Edm => std * std * (1.0 + (problem.sde.sigma(*t) / problem.sigma_data).powi(2)),
            };
            let squares = part.zip(score).map(|(j, s)| (f64::from(s) + f64::from(z[j]) / std).powi(2));
            expected += lambda * squares.sum::<f64>() / 144.0 / 7.0;
        }
        assert!((found / expected - 1.0).abs() < 1e-4, "{weighting:?}: {found} instead of {expected}");
    }
}

fn what_cannot_be_trained_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let attempt = |config: &TrainConfig, images: &ImageSet| {
        let folder = RunFolder(folder.path().join("run"));
        let lesson = ScoreLesson::new(config, images)?;
        block_on(train(lesson, images, &opened(), &folder, None, &CancelToken::default()))
    };
    let config = TrainConfig { steps: 1, ..config() };
    for config in [
        TrainConfig { learning_rate: f64::NAN, ..config.clone() },
        TrainConfig { batch: 0, ..config.clone() },
        TrainConfig { clip: 0.0, ..config.clone() },
        TrainConfig { network: UNetConfig { channels: 6, ..small_unet() }.into(), ..config.clone() },
        TrainConfig { augment: 0.1, ..config.clone() },
        TrainConfig {
            augment: 0.1,
            network: UNetConfig { moves: true, ..small_unet() }.into(),
            preconditioning: PreconditioningChoice::Bytes,
            objective: Likelihood::default().into(),
            ..config.clone()
        },
        TrainConfig { objective: Dsm { references: 70_000, ..Dsm::default() }.into(), ..config.clone() },
    ] {
        let result = attempt(&config, &discs(4, 1));
        assert!(matches!(result, Err(Error::Config { .. })), "{result:?}");
    }
    // No image, and images of which no card can be written: said before the first step, not after the last.
    for images in [discs(0, 1), discs(4, 2)] {
        let result = attempt(&config, &images);
        assert!(matches!(result, Err(Error::Config { .. } | Error::Weights { .. })), "{result:?}");
    }
    // References that would take 2.6 GB.
    let large = ImageSet { height: 100, width: 100, pixels: vec![9; 10_000], ..discs(1, 1) };
    let objective = Dsm { references: 65_536, ..Dsm::default() }.into();
    let message = attempt(&TrainConfig { objective, ..config.clone() }, &large).unwrap_err().to_string();
    assert!(message.contains("references") && message.contains("26843"), "{message}");
    // One image, and images without any contrast, are odd but possible.
    let mut blank = discs(3, 1);
    blank.pixels.fill(9);
    for base in variants() {
        for images in [discs(1, 1), blank.clone()] {
            let config = TrainConfig { steps: 2, ..base.clone() };
            assert_eq!(attempt(&config, &images).unwrap(), Outcome::Finished);
        }
    }
}

/// The papers' settings with fewer channels, on smaller images: two steps of each.
fn presets_of_the_papers_start() {
    let names = presets::names().filter(|name| name.contains("ncsn")).collect::<Vec<_>>();
    assert!(names.len() > 6, "{names:?}");
    for name in names {
        let Course::Score(config) = presets::preset(name).unwrap() else {
            panic!("{name} is no score network")
        };
        let mut table = serde_json::json!(config);
        table["network"]["channels"] = 4.into();
        table["steps"] = 2.into();
        table["batch"] = 3.into();
        let config: TrainConfig = serde_json::from_value(table).unwrap();
        let images = discs(10, if name.contains("mnist") { 1 } else { 3 });
        let losses = steps(&mut trainer(&config, &images, &cpu()), &config, &images, 2);
        // The mean squared error of unit noise, in all dimensions and levels alike.
        assert!(losses.iter().all(|(loss, _)| (0.1..20.0).contains(loss)), "{name}: {losses:?}");
    }
}

fn dropout_zeroes_its_share_and_keeps_the_mean() {
    let n = 40_000;
    let masked = |layer: &Dropout| {
        values(Tensor::from(layer.apply(Tensor::<4>::ones([4, 10, 10, 100], &cpu()).into())))
    };
    for rate in [0.1, 0.5, 0.9] {
        let dropped = masked(&Dropout::new(rate, 3, 5));
        let zeros = dropped.iter().filter(|v| **v == 0.0).count() as f64;
        let error = (zeros / n as f64 - rate).abs();
        assert!(
            error < 5.0 * (rate * (1.0 - rate) / n as f64).sqrt(),
            "rate {rate}: {zeros} of {n} are zero"
        );
        let keep = (1.0 / (1.0 - rate)) as f32;
        assert!(dropped.iter().all(|v| *v == 0.0 || (*v - keep).abs() < 1e-5));
        assert_eq!(dropped, masked(&Dropout::new(rate, 3, 5)), "a resumed step repeats its masks");
        assert_ne!(dropped, masked(&Dropout::new(rate, 3, 6)), "another step has others");
        assert_ne!(dropped, masked(&Dropout::new(rate, 4, 5)), "another seed has others");
        let two = Dropout::new(rate, 3, 5);
        masked(&two);
        assert_ne!(dropped, masked(&two), "another layer has others");
    }
    assert!(masked(&Dropout::new(0.0, 3, 5)).iter().all(|v| *v == 1.0));
}

/// Clipping at a norm that is never reached changes nothing; what is reported does not depend on it.
fn the_gradient_norm_is_reported_before_clipping() {
    let images = discs(40, 1);
    let first = |clip: f64| {
        let config = TrainConfig { clip, ..config() };
        steps(&mut trainer(&config, &images, &cpu()), &config, &images, 3)
    };
    let (free, high, low) = (first(1e9), first(1e6), first(1e-3));
    assert_eq!(free, high);
    assert_eq!(free[0], low[0], "the first step reports the same norm");
    assert!(free[0].1 > 1e-3 && free[2] != low[2], "{free:?}, {low:?}");
}

fn measured(config: &TrainConfig, images: &ImageSet) -> Problem {
    Problem::measure(config, images, &mut |_| Ok(())).unwrap()
}

fn problems_are_measured() {
    let mut images = discs(10, 1);
    images.pixels.fill(0);
    images.pixels[..144].fill(255);
    let vp = measured(&config(), &images);
    // A tenth of the pixels is white: the deviation on [-1, 1] is 2·sqrt(.1·.9).
    assert!((vp.sigma_data - 0.6).abs() < 1e-9, "{vp:?}");
    let ve = measured(&variants()[1], &images);
    assert!((ve.sigma_data - 0.3).abs() < 1e-9, "{ve:?}");
    // Black and white differ by 1 in each of 144 pixels: technique 1 gives 12.
    assert!((ve.sde.sigma(1.0) - 12.0).abs() < 1e-4, "{ve:?}");
    assert_eq!((vp.range.low, ve.range.low, vp.shape), (-1.0, 0.0, [1, 12, 12]));
}

fn both_devices_have_the_same_losses() {
    let images = discs(40, 1);
    for config in [config(), variants().pop().unwrap()] {
        let [on_cpu, on_gpu] =
            [cpu(), gpu()].map(|device| steps(&mut trainer(&config, &images, &device), &config, &images, 5));
        for (step, (a, b)) in on_cpu.iter().zip(&on_gpu).enumerate() {
            let off = [(a.0 / b.0 - 1.0).abs(), (a.1 / b.1 - 1.0).abs()];
            figure(format_args!("step {step}: loss and gradient norm on the GPU differ by {}", brief(&off)));
            // Adam divides by the gradient's own size, which makes rounding in small gradients count in full.
            let bound = if step == 0 { 1e-4 } else { 2e-3 };
            assert!(off.iter().all(|off| *off < bound), "step {step}: {a:?} and {b:?}");
        }
    }
    assert_eq!(Opened::cpu("").kind, DeviceChoice::Cpu);
}
