//! Guidance by a classifier: its gradient, and digits that it guides, in the opinion of a model that shares nothing with it.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor};
use scorefield::control::{ClassGuide, Guide, autoguided, class_guided, led_on};
use scorefield::images::DataRange;
use scorefield::model::{Learned, ScoreModel};
use scorefield::rng::Noise;
use scorefield::sde::{AnySde, VeSde, VpSde};
use scorefield::toy::GaussianMixture;
use scorefield::weights::shipped;
use serde_json::json;

use crate::support::{cpu, digits, draw, figure, gpu, named, relative_error, tensor, trials, values};

trials! {
    cpu: [
        a_classifier_has_the_gradient_of_its_verdict,
        a_classifiers_gradient_is_that_of_autodiff,
        guided_digits_are_of_their_class,
        a_model_moves_on_from_its_weaker_version,
        a_weaker_version_is_asked_for_the_same_classes,
    ],
    gpu: [a_classifiers_gradient_on_the_gpu_is_that_of_autodiff],
}

fn a_classifier_has_the_gradient_of_its_verdict() {
    let classifier = || shipped::open("mnist-classifier").unwrap().classifier(&cpu()).unwrap();
    let range = DataRange::CENTRED;
    let guide = ClassGuide::new(classifier(), range, 3);
    let noise = Noise::new(2).normal(0, 2, 784);
    let x: Vec<f32> =
        digits()[..2 * 784].iter().zip(&noise).map(|(b, z)| f32::from(*b) / 127.5 - 1.0 + 0.8 * z).collect();
    let gradient = values(guide.gradient(tensor(&x, [2, 1, 28, 28], &cpu()), &[0.8]));
    // Along the gradient itself, where the derivative is its length; f32 leaves three digits of it.
    for k in 0..2 {
        let of_k = |v: &[f32]| v[k * 784..(k + 1) * 784].to_vec();
        let (x, gradient) = (of_k(&x), of_k(&gradient));
        let length = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        let log_p = |h: f64| {
            let moved: Vec<f32> =
                x.iter().zip(&gradient).map(|(x, g)| x + (h * f64::from(*g) / length) as f32).collect();
            let pixels = range.decode(tensor(&moved, [1, 1, 28, 28], &cpu()));
            let logits: Vec<f64> =
                values(classifier().forward(pixels, &[0.4]).logits).into_iter().map(f64::from).collect();
            logits[3] - logits.iter().map(|l| l.exp()).sum::<f64>().ln()
        };
        let h = 0.02;
        let derivative = (log_p(h) - log_p(-h)) / (2.0 * h);
        assert!(
            (derivative / length - 1.0).abs() < 0.02,
            "{derivative} along the gradient of length {length}"
        );
    }
}

/// The gradient that is written out by hand is that of autodiff, on both devices; an odd size is padded.
fn a_classifiers_gradient_is_that_of_autodiff() {
    check_gradient("the CPU", &cpu());
}

fn a_classifiers_gradient_on_the_gpu_is_that_of_autodiff() {
    check_gradient("the GPU", &gpu());
}

fn check_gradient(name: &str, device: &Device) {
    let classifier = |device: &Device| shipped::open("mnist-classifier").unwrap().classifier(device).unwrap();
    let mut worst = 0.0_f64;
    for [h, w] in [[28, 28], [27, 30]] {
        let x = Noise::new(5).uniform(0, 3, h * w);
        let sigma = [0.0, 0.3, 4.0];
        let own = classifier(device).log_p_gradient(tensor(&x, [3, 1, h, w], device), &sigma, 7);
        let x = tensor(&x, [3, 1, h, w], &cpu().autodiff()).require_grad();
        let logits = classifier(&cpu()).forward(x.clone(), &sigma).logits;
        let log_p = log_softmax(logits, 1).narrow(1, 7, 1).sum();
        let expected = values(x.grad(&log_p.backward()).unwrap());
        worst = worst.max(relative_error(&values(own), &expected));
    }
    figure(format_args!("gradient of a classifier on {name}, by hand against autodiff: {worst:.1e}"));
    assert!(worst < 1e-4, "off by {worst:e}");
}

/// The class for which a model that has learned classes takes noise out of `pixels` `[n, 1, 28, 28]` best (Li et al. 2023,
/// "your diffusion model is secretly a zero-shot classifier"): at levels where its class is all that it knows of a digit,
/// with the same noise for every class.
fn judged(pixels: &[f32]) -> Vec<usize> {
    let n = pixels.len() / 784;
    let loaded = shipped::open("mnist-class-vp").unwrap().load(&cpu()).unwrap();
    let error_of = |class: usize| {
        let model = loaded.class_model(class, 1.0).unwrap();
        let image = model.range.encode(tensor(pixels, [n, 1, 28, 28], &cpu()));
        let mut total = Tensor::<1>::zeros([n], &cpu());
        for (draw, sigma) in [3.0, 5.0, 5.0, 8.0, 8.0].into_iter().enumerate() {
            let t = model.sde.time_of_sigma(sigma);
            let (mean_coeff, std) = model.sde.marginal_prob(t);
            let z = tensor(&Noise::new(1).normal(draw as u32, n, 784), [n, 1, 28, 28], &cpu());
            let denoised = model.denoised(image.clone() * mean_coeff + z * std, &[t]);
            total = total + (denoised - image.clone()).square().reshape([n, 784]).sum_dim(1).reshape([n]);
        }
        values(total)
    };
    let errors: Vec<Vec<f32>> = (0..10).map(error_of).collect();
    let best = |image: usize| (0..10).min_by(|a, b| errors[*a][image].total_cmp(&errors[*b][image])).unwrap();
    (0..n).map(best).collect()
}

/// Unguided, one digit in ten is a four, and four of twelve only once in forty seeds. The judge knows 17 or more of
/// the twenty test digits, two of each class, which it has not seen.
fn guided_digits_are_of_their_class() {
    let pixels: Vec<f32> = digits().iter().map(|byte| f32::from(*byte) / 255.0).collect();
    let right = judged(&pixels).into_iter().enumerate().filter(|(i, class)| *class == i / 2).count();
    figure(format_args!("the judge knows {right} of 20 test digits"));
    assert!(right >= 17, "the judge knows {right} of 20");

    let open = |name: &str| shipped::open(name).unwrap();
    let sampler = named("heun", json!({"n_steps": 12}));
    let found: Vec<usize> = [0.0, 3.0]
        .map(|weight| {
            let classifier = open("mnist-classifier").classifier(&cpu()).unwrap();
            let model =
                class_guided(open("mnist-vp").score_model(&cpu()).unwrap(), classifier, 10, 4, weight)
                    .unwrap();
            let drawn = draw(&sampler, &model, Noise::new(21), 12);
            judged(&drawn).into_iter().filter(|class| *class == 4).count()
        })
        .to_vec();
    figure(format_args!("of 12 digits, {} are fours with weight 0, {} with weight 3", found[0], found[1]));
    assert!(found[0] < 4 && found[1] >= 6, "{found:?}");
}

/// Gaussians of variance .3 and .5, of which the second is in other units and of another diffusion: the denoised image is
/// `x·v/(v + sigma²)` for each.
fn a_model_moves_on_from_its_weaker_version() {
    let gaussian = |variance: f64, middle: f64, sde: AnySde, range| {
        let rows = vec![vec![variance, 0.0], vec![0.0, variance]];
        let mixture = GaussianMixture::new(&[1.0], &[vec![middle; 2]], &[rows]).unwrap();
        ScoreModel::new(Box::new(mixture), sde, range, [2, 1, 1], &cpu())
    };
    let better = || gaussian(0.3, 0.0, VpSde::default().into(), DataRange::CENTRED);
    let worse = || gaussian(0.5 / 4.0, 0.5, VeSde::default().into(), DataRange::UNIT);
    let guided = autoguided(better(), worse(), 2.5).unwrap();
    let (t, x) = (0.4, [0.7_f32, -1.1, 0.2, 1.9]);
    let [mean, sigma] = [guided.sde.marginal_prob(t).0, guided.sde.sigma(t)];
    let found = values(guided.denoised(tensor(&x, [2, 2, 1, 1], &cpu()), &[t]));
    let gain = |variance: f64| variance / (variance + sigma * sigma);
    let expected: Vec<f32> =
        x.iter().map(|x| (f64::from(*x) / mean * (2.5 * gain(0.3) - 1.5 * gain(0.5))) as f32).collect();
    let error = relative_error(&found, &expected);
    figure(format_args!("guided by a weaker Gaussian: {error:.1e}"));
    assert!(error < 1e-5 && guided.nfe() == 2, "{error:.1e}, {} NFE", guided.nfe());

    let alone = autoguided(better(), worse(), 1.0).unwrap();
    let of = |model: &ScoreModel| values(model.denoised(tensor(&x, [2, 2, 1, 1], &cpu()), &[t]));
    assert!(relative_error(&of(&alone), &of(&better())) < 1e-6, "a weight of 1 is the model alone");
    let error = |weaker: ScoreModel, weight| autoguided(better(), weaker, weight).unwrap_err().to_string();
    assert!(error(worse(), -1.0).contains("use 0 to 100"));
    assert!(error(worse().having_learned(Learned::Consistency), 2.0).contains("the same data set"));
}

/// Led on from itself, a model that is told the class stays as it is; led on from what it says of any class, it is guided to the
/// class as by itself.
fn a_weaker_version_is_asked_for_the_same_classes() {
    let loaded = shipped::open("mnist-class-vp").unwrap().load(&cpu()).unwrap();
    let unaware = shipped::open("mnist-vp").unwrap().load(&cpu()).unwrap();
    let x = tensor(&Noise::new(3).normal(0, 2, 784), [2, 1, 28, 28], &cpu());
    let of = |model: &ScoreModel| values(model.denoised(x.clone(), &[0.5]));
    let classes = [3, 8];
    let told = || loaded.asked(Some(&classes), 1.0).unwrap();
    let same = led_on(told(), &loaded, Some(&classes), 2.5).unwrap();
    let other = led_on(told(), &loaded, None, 2.5).unwrap();
    let guided = loaded.asked(Some(&classes), 2.5).unwrap();
    let errors = [(&same, &told()), (&other, &guided)].map(|(a, b)| relative_error(&of(a), &of(b)));
    figure(format_args!("led on from itself, from itself of any class: {errors:?}"));
    assert!(errors.iter().all(|&error| error < 1e-5), "{errors:?}");
    assert!(relative_error(&of(&same), &of(&other)) > 0.01);
    let led = led_on(told(), &unaware, Some(&classes), 2.0).unwrap();
    assert!(of(&led).iter().all(|value| value.is_finite()) && led.nfe() == 2, "by one without classes");
}
