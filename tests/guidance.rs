//! Digits guided by a classifier, in the opinion of a model that shares nothing with it.

use burn::tensor::Tensor;
use scorefield::control::class_guided;
use scorefield::rng::Noise;
use scorefield::weights::shipped;
use serde_json::json;

use crate::support::{cpu, digits, draw, figure, named, tensor, trials, values};

trials! {
    cpu: [guided_digits_are_of_their_class],
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
