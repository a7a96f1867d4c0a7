//! Networks that know classes: labels, their training, and classifier-free guidance.

use burn::module::Module;
use pollster::block_on;
use scorefield::Error;
use scorefield::images::ImageSet;
use scorefield::model::ScoreModel;
use scorefield::network::{Context, Network, UNetConfig};
use scorefield::ops::at_pace;
use scorefield::rng::Noise;
use scorefield::run::Run;
use scorefield::sampler::Sampler;
use scorefield::training::{Batches, ScoreLesson, TrainConfig, Trainer};
use scorefield::weights::{Architecture, ModelCard, ModelFile, Precision, to_bytes};
use serde_json::json;

use crate::support::{
    cpu, figure, gpu, lively_unet, named, relative_error, small_unet, tensor, trials, values,
};
use crate::weights::card;

trials! {
    cpu: [
        every_image_has_its_own_label,
        no_class_is_the_network_without_one,
        guidance_extrapolates_and_counts_both_evaluations,
        each_image_may_have_a_class_of_its_own,
        batches_leave_out_their_share_of_labels,
        a_model_learns_what_its_classes_mean,
        what_is_not_learned_yet_changes_nothing,
        classes_that_do_not_exist_are_refused,
    ],
    gpu: [
        both_devices_know_the_same_classes,
    ],
}

fn config(classes: usize) -> UNetConfig {
    UNetConfig { classes, ..small_unet() }
}

fn noise(n: usize) -> Vec<f32> {
    Noise::new(2).normal(0, n, 144)
}

fn labelled(labels: &[Option<usize>]) -> Context<'_> {
    Context { labels, ..Context::default() }
}

fn every_image_has_its_own_label() {
    let network = lively_unet(&config(3), 1, 1, &cpu());
    let (x, labels) = (noise(4), [Some(2), None, Some(0), Some(2)]);
    let forward = |x: &[f32], labels: &[Option<usize>]| {
        let x = tensor(x, [x.len() / 144, 1, 12, 12], &cpu());
        values(network.forward(x, &[0.3], labelled(labels)))
    };
    let all = forward(&x, &labels);
    for (i, label) in labels.iter().enumerate() {
        let place = i * 144..(i + 1) * 144;
        let alone = forward(&x[place.clone()], &[*label]);
        assert!(relative_error(&all[place.clone()], &alone) < 1e-5, "image {i}");
        let other = forward(&x[place], &[Some(1)]);
        assert!(relative_error(&other, &alone) > 1e-3, "class 1 is another than {label:?}");
    }
    assert_eq!(forward(&x, &[]), forward(&x, &[None]));
}

fn file(classes: usize) -> ModelFile {
    let config = config(classes);
    let bytes = to_bytes(&lively_unet(&config, 1, 1, &cpu()), &card(&config), Precision::F32).unwrap();
    ModelFile::parse("tiny", &bytes).unwrap()
}

fn denoised(model: &ScoreModel) -> Vec<f32> {
    let [c, h, w] = model.shape;
    values(model.denoised(tensor(&Noise::new(2).normal(0, 2, c * h * w), [2, c, h, w], &cpu()), &[0.4]))
}

fn no_class_is_the_network_without_one() {
    let without = denoised(&file(0).score_model(&cpu()).unwrap());
    let file = || file(0).learning(&config(3).into());
    assert!(relative_error(&denoised(&file().score_model(&cpu()).unwrap()), &without) < 1e-6);
    let untrained = denoised(&file().load(&cpu()).unwrap().class_model(1, 1.0).unwrap());
    assert!(relative_error(&untrained, &without) < 1e-6, "a class that was never learned changes nothing");
    let network = lively_unet(&config(3), 1, 1, &cpu());
    assert_eq!(
        file().fill(network).unwrap().num_params(),
        lively_unet(&config(3), 1, 1, &cpu()).num_params()
    );
}

/// Whichever of classes and moves is learned first, the network is still what it was, and reads each at its place.
fn what_is_not_learned_yet_changes_nothing() {
    let moving = |classes| UNetConfig { moves: true, ..config(classes) };
    let without = denoised(&file(0).score_model(&cpu()).unwrap());
    let stages = [vec![moving(0)], vec![config(3), moving(3)], vec![moving(0), moving(3)], vec![moving(3)]];
    for stages in &stages {
        let file = || stages.iter().fold(file(0), |file, config| file.learning(&config.clone().into()));
        let config = stages.last().unwrap();
        let network = file().fill(lively_unet(config, 1, 1, &cpu())).unwrap();
        assert_eq!(network.num_params(), lively_unet(config, 1, 1, &cpu()).num_params());
        assert!(
            relative_error(&denoised(&file().score_model(&cpu()).unwrap()), &without) < 1e-6,
            "{stages:?}"
        );
        let told = Context { moved: &[[1.0; 9]], ..Context::default() };
        let [told, untold] = [told, Context::default()].map(|context| {
            values(network.forward(tensor(&noise(1), [1, 1, 12, 12], &cpu()), &[0.3], context))
        });
        assert_eq!(told, untold, "{stages:?}");
    }
    // What it knows of moves already stays where it is when it learns classes.
    let (knows, learns) = (moving(0), moving(3));
    let bytes = to_bytes(&lively_unet(&knows, 1, 1, &cpu()), &card(&knows), Precision::F32).unwrap();
    let file = ModelFile::parse("tiny", &bytes).unwrap().learning(&learns.clone().into());
    let led_on = file.fill(lively_unet(&learns, 1, 1, &cpu())).unwrap();
    let of = |network: &Network| {
        let context = Context { moved: &[[1.0; 9]], ..Context::default() };
        values(network.forward(tensor(&noise(1), [1, 1, 12, 12], &cpu()), &[0.3], context))
    };
    assert!(relative_error(&of(&led_on), &of(&lively_unet(&knows, 1, 1, &cpu()))) < 1e-6);
    // And a network reads classes and moves each for itself.
    let both = lively_unet(&moving(3), 1, 1, &cpu());
    let x = || tensor(&noise(1), [1, 1, 12, 12], &cpu());
    let of = |context| values(both.forward(x(), &[0.3], context));
    let class = Context { labels: &[Some(1)], ..Context::default() };
    let moved = Context { moved: &[[1.0; 9]], ..Context::default() };
    assert_ne!(of(class), of(Context::default()));
    assert_ne!(of(moved), of(Context::default()));
    assert_ne!(of(moved), of(class));
}

fn guidance_extrapolates_and_counts_both_evaluations() {
    let model = |guidance: f64| file(3).load(&cpu()).unwrap().class_model(2, guidance).unwrap();
    let [free, given, guided] = [0.0, 1.0, 2.5].map(|guidance| denoised(&model(guidance)));
    assert!(relative_error(&free, &denoised(&file(3).score_model(&cpu()).unwrap())) < 1e-6);
    assert!(relative_error(&given, &free) > 1e-3);
    let expected: Vec<f32> = free.iter().zip(&given).map(|(a, b)| a + 2.5 * (b - a)).collect();
    assert!(relative_error(&guided, &expected) < 1e-5);
    let sampler = named("heun", json!({"n_steps": 4}));
    for (guidance, each) in [(0.0, 1), (1.0, 1), (2.5, 2)] {
        let drawn =
            block_on(sampler.sample(&model(guidance), &Noise::new(1), 1, &mut Run::default())).unwrap();
        assert_eq!(drawn.nfe, each * sampler.evaluations().unwrap(), "guidance {guidance}");
    }
}

/// Also where a slow GPU would take but one at once: what belongs to an image is not given to another.
fn each_image_may_have_a_class_of_its_own() {
    let loaded = file(3).load(&cpu()).unwrap();
    let classes = [2, 0, 1, 1, 0];
    for guidance in [1.0, 2.5] {
        let of = |classes: Vec<usize>, range: std::ops::Range<usize>| {
            let model = loaded.classes_model(classes, guidance).unwrap();
            let [c, h, w] = model.shape;
            let dim = c * h * w;
            let x = Noise::new(2).normal(0, 5, dim)[range.start * dim..range.end * dim].to_vec();
            values(model.denoised(tensor(&x, [range.len(), c, h, w], &cpu()), &[0.4]))
        };
        let each: Vec<f32> = (0..5).flat_map(|i| of(vec![classes[i]], i..i + 1)).collect();
        let together = of(classes.to_vec(), 0..5);
        let divided = at_pace(1e-9, || of(classes.to_vec(), 0..5));
        assert!(relative_error(&together, &each) < 1e-6, "guidance {guidance}");
        assert!(relative_error(&divided, &each) < 1e-6, "guidance {guidance}, one at a time");
    }
    assert!(loaded.classes_model(vec![0, 3], 1.0).is_err());
}

/// Images of which the left half is bright in class 0 and the right one in class 1, 12x12.
fn halves(n: usize) -> ImageSet {
    let uniform = Noise::new(7).uniform(0, n, 144);
    let bright = |i: usize| usize::from(i % 12 >= 6) == i / 144 % 2;
    let level = |(i, u): (usize, &f32)| (20.0 * u) as u8 + if bright(i) { 200 } else { 30 };
    ImageSet {
        name: "halves".into(),
        licence: "CC0-1.0".into(),
        channels: 1,
        height: 12,
        width: 12,
        pixels: uniform.iter().enumerate().map(level).collect(),
        labels: Some((0..n).map(|i| (i % 2) as u8).collect()),
        class_names: Vec::new(),
    }
}

fn batches_leave_out_their_share_of_labels() {
    let images = halves(50);
    let mut batches = Batches::new(&images, 3, 40, false);
    let mut kept = 0;
    for step in 0..50 {
        let labels = batches.labels(step, batches.whole(), 2, 0.25);
        for (label, index) in labels.into_iter().zip(batches.indices(step, batches.whole())) {
            assert!(label.is_none_or(|label| label == index % 2));
            kept += usize::from(label.is_some());
        }
    }
    // 2000 draws: five standard deviations are 97.
    assert!((1403..=1597).contains(&kept), "{kept} of 2000 kept, 1500 expected");
    assert!(
        batches.labels(0, batches.whole(), 0, 0.0).is_empty(),
        "a network without classes gets no labels"
    );
}

fn a_model_learns_what_its_classes_mean() {
    let images = halves(64);
    let config = TrainConfig {
        steps: 200,
        batch: 16,
        // So few steps of so small a network: Adam.
        muon: false,
        learning_rate: 3e-3,
        warmup: 10,
        ema: 0.98.into(),
        network: config(2).into(),
        ..TrainConfig::default()
    };
    let mut trainer = Trainer::new(ScoreLesson::new(&config, &images).unwrap(), &cpu());
    let mut batches = Batches::new(&images, 0, config.batch, false);
    for _ in 0..config.steps {
        block_on(trainer.step(&mut batches)).unwrap();
    }
    let problem = *trainer.lesson().problem();
    let of_class = ModelCard {
        architecture: Architecture::Score {
            network: config.network.clone(),
            preconditioning: problem.preconditioning,
        },
        sde: Some(problem.sde),
        range: problem.range,
        height: 12,
        width: 12,
        ..card(&self::config(2))
    };
    let bytes = to_bytes(&trainer.average(), &of_class, Precision::F32).unwrap();
    let step = |class: usize| {
        let model = ModelFile::parse("halves", &bytes)
            .unwrap()
            .load(&cpu())
            .unwrap()
            .class_model(class, 1.0)
            .unwrap();
        let sampler = Sampler::named("heun").unwrap();
        let drawn = block_on(sampler.sample(&model, &Noise::new(1), 16, &mut Run::default())).unwrap();
        let pixels = values(drawn.images);
        let sign = |i: usize| if i % 12 < 6 { 1.0 } else { -1.0 };
        255.0 * pixels.iter().enumerate().map(|(i, v)| sign(i) * v).sum::<f32>() / (pixels.len() / 2) as f32
    };
    let [left, right] = [step(0), step(1)];
    figure(format_args!(
        "the left half is brighter by {left:.0} in class 0, by {right:.0} in class 1; data: 170, -170"
    ));
    assert!((left - 170.0).abs() < 17.0 && (right + 170.0).abs() < 17.0, "{left}, {right}");
}

fn classes_that_do_not_exist_are_refused() {
    for (classes, class, guidance, word) in [
        (0, 0, 1.0, "has learned no classes"),
        (3, 3, 1.0, "use 0 to 2"),
        (3, 1, -1.0, "0 to 100"),
        (3, 1, f64::NAN, "0 to 100"),
    ] {
        let error = file(classes).load(&cpu()).unwrap().class_model(class, guidance).unwrap_err();
        assert!(matches!(&error, Error::Config { .. }) && error.to_string().contains(word), "{error}");
    }
}

fn both_devices_know_the_same_classes() {
    let labels = [Some(2), None, Some(0)];
    let on = |device| {
        let x = tensor(&noise(3), [3, 1, 12, 12], &device);
        values(lively_unet(&config(3), 1, 1, &device).forward(x, &[0.3], labelled(&labels)))
    };
    let error = relative_error(&on(gpu()), &on(cpu()));
    assert!(error < 1e-4, "off by {error:e}");
}
