//! Evaluations of a network on a GPU that are replayed, against the same ones launched.

use std::thread;

use burn::tensor::{Tensor, TensorData};
use scorefield::model::{Preconditioned, Preconditioning};
use scorefield::network::{Context, UNetConfig};
use scorefield::ops::{Replay, at_pace, launches};
use scorefield::rng::Noise;
use scorefield::sde::{AnySde, VpSde};
use scorefield::weights::{Architecture, shipped};

use crate::support::{figure, gpu, lively_unet, relative_error, small_unet, tensor, trials, values};

trials! {
    cpu: [],
    gpu: [
        a_replay_is_bit_equal_to_a_launch,
        other_shapes_are_launched_and_recorded_anew,
        odd_sizes_are_replayed_too,
        other_weights_are_launched,
        each_thread_launches_for_itself,
        memory_of_others_stays_as_it_is,
        what_cannot_be_recorded_is_launched,
        an_evaluation_in_parts_is_the_whole,
    ],
}

const SIDE: usize = 14;

fn model(seed: u64) -> Preconditioned {
    let config = UNetConfig { classes: 4, ..small_unet() };
    let network = lively_unet(&config, 1, seed, &gpu());
    Preconditioned::new(network, Preconditioning::Edm { sigma_data: 0.5 }, AnySde::Vp(VpSde::default()))
}

fn images(n: usize, draw: u32) -> Tensor<4> {
    tensor(&Noise::new(3).normal(draw, n, SIDE * SIDE), [n, 1, SIDE, SIDE], &gpu())
}

/// The result of `f`, and how many kernels were launched for it.
fn counted<T>(f: impl FnOnce() -> T) -> (T, usize) {
    let before = launches();
    (f(), launches() - before)
}

/// Evaluates `model` on `n` images of their own each time, and a new one with its weights for comparison; returns the
/// kernels launched for the first.
fn evaluate(model: &Preconditioned, n: usize, sigma: f64, class: Option<usize>) -> usize {
    let fresh = Preconditioned::new(model.network().clone(), model.preconditioning, model.sde);
    let x = images(n, (1e3 * sigma) as u32);
    let of = |model: &Preconditioned| {
        model.forward(x.clone(), &[sigma], Context { labels: &[class], ..Context::default() })
    };
    let (found, launched) = counted(|| values(of(model)));
    assert_eq!(found, values(of(&fresh)), "{n} images, sigma = {sigma}");
    launched
}

/// The input's scaling, and the sum of input and output.
const REPLAYED: usize = 2;

fn a_replay_is_bit_equal_to_a_launch() {
    let model = model(5);
    let levels = [(10.0, None), (3.0, Some(0)), (1.0, Some(3)), (0.3, None), (0.1, Some(0))];
    let counts = levels.map(|(sigma, class)| evaluate(&model, 3, sigma, class));
    assert_eq!(counts[2..], [REPLAYED; 3], "{counts:?}");
    assert!(counts[0] > 30, "{counts:?}");
    figure(format_args!("kernels launched by evaluations in a row: {counts:?}"));
}

fn other_shapes_are_launched_and_recorded_anew() {
    let model = model(5);
    for n in [1, 16, 3] {
        let counts = [2.0, 1.0, 0.5].map(|sigma| evaluate(&model, n, sigma, None));
        assert!(counts[0] > 30 && counts[2] == REPLAYED, "{n} images: {counts:?}");
    }
    let alternating = [1, 2, 1, 2].map(|n| evaluate(&model, n, 1.0, None));
    assert!(alternating.iter().all(|count| *count > 30), "{alternating:?}");
}

/// Images that the network pads to whole patches, and crops again.
fn odd_sizes_are_replayed_too() {
    let model = model(5);
    let counts = [2.0, 1.0, 0.5].map(|sigma| {
        let x = tensor(&Noise::new(3).normal(0, 2, 15 * 13), [2, 1, 15, 13], &gpu());
        let of = |model: &Preconditioned| values(model.forward(x.clone(), &[sigma], Context::default()));
        let fresh = Preconditioned::new(model.network().clone(), model.preconditioning, model.sde);
        let (found, launched) = counted(|| of(&model));
        assert_eq!(found, of(&fresh), "sigma = {sigma}");
        launched
    });
    assert_eq!(counts[2], REPLAYED, "{counts:?}");
}

fn other_weights_are_launched() {
    let mut changing = model(5);
    for sigma in [2.0, 1.0, 0.5] {
        evaluate(&changing, 2, sigma, None);
    }
    *changing.network_mut() = model(6).network().clone();
    assert!(evaluate(&changing, 2, 0.2, None) > 30);
}

fn each_thread_launches_for_itself() {
    let model = model(5);
    for sigma in [2.0, 1.0, 0.5] {
        evaluate(&model, 2, sigma, None);
    }
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| [2.0, 1.0, 0.5, 0.2].map(|sigma| evaluate(&model, 2, sigma, None)));
        }
    });
}

/// A recording's memory is its own: nothing that came to be after it is in the way of its replays.
fn memory_of_others_stays_as_it_is() {
    let model = model(5);
    let evaluate = |sigma| model.forward(images(4, 0), &[sigma], Context::default());
    let first = [2.0, 1.0, 0.5].map(|sigma| values(evaluate(sigma)));
    let others: Vec<_> = (1..60).map(|k| Tensor::<1>::ones([97 * k * k], &gpu()) * k as f32).collect();
    let again = [2.0, 1.0, 0.5].map(evaluate);
    for (k, other) in (1..).zip(others) {
        assert!(values(other).iter().all(|v| *v == k as f32), "tensor {k}");
    }
    assert_eq!(again.map(values), first);
}

/// An upload is no launch: a recording would be without it.
fn what_cannot_be_recorded_is_launched() {
    let replay = Replay::default();
    for k in 1..6 {
        let x = images(2, k);
        let expected: Vec<f32> = values(x.clone()).into_iter().map(|v| 3.0 * v + k as f32).collect();
        let found = replay.run(
            (x, &[3.0]),
            TensorData::new(vec![0.0_f32; 4], [1, 4]),
            |x, _| x + Tensor::<1>::from_floats([k as f32], &gpu()).reshape([1, 1, 1, 1]),
            |y| y * 1.0,
        );
        assert_eq!(values(found), expected, "evaluation {k}");
    }
}

/// At a pace at which the largest kernel of `mnist-vp` takes .02 s for an image, two are evaluated at once; and such parts of
/// equal size are replayed.
fn an_evaluation_in_parts_is_the_whole() {
    let file = shipped::open("mnist-vp").unwrap();
    let Architecture::Score { network, .. } = &file.card.architecture else { panic!("a score model") };
    let pace = network.heaviest(28, 28) / 0.02;
    let model = file.score_model(&gpu()).unwrap();
    let evaluate = |n: usize, draw: u32| {
        let x = tensor(&Noise::new(3).normal(draw, n, 784), [n, 1, 28, 28], &gpu());
        counted(|| values(model.denoised(x, &[0.5])))
    };
    let (whole, launched) = evaluate(6, 1);
    let (parts, launched_in_parts) = at_pace(pace, || evaluate(6, 1));
    let error = relative_error(&parts, &whole);
    figure(format_args!(
        "{launched} launches as a whole, {launched_in_parts} in parts, which are {error:.1e} off"
    ));
    assert!(error < 1e-5, "{error}");
    // The first two of three parts are launched and recorded. Without a pace that is over.
    assert!(launched_in_parts > launched, "{launched_in_parts} of {launched}");
    let (_, replayed) = at_pace(pace, || evaluate(6, 2));
    assert_eq!(replayed, 3 * REPLAYED);
}
