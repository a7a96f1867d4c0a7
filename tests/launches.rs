//! How many kernels an evaluation and a training step launch, burn's among them: for small images a fast GPU waits for launches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId};

use burn::cubecl::logging::{LaunchObservation, LaunchObserver};
use burn::tensor::Tensor;
use pollster::block_on;
use scorefield::ops::{Adapter, Program, programs};
use scorefield::training::{Batches, TrainConfig};
use scorefield::weights::shipped;

use crate::support::{figure, gpu, trials};
use crate::training::{discs, trainer};

trials! {
    cpu: [],
    gpu: [evaluations_launch_no_more_than_they_did, steps_launch_no_more_than_they_did],
}

/// Counts what a thread launches by burn: under [`programs`] nothing of ours comes that far.
struct Launches {
    thread: ThreadId,
    of_burn: AtomicUsize,
}

impl LaunchObserver for Launches {
    fn launched(&self, _: &'static str) {
        if thread::current().id() == self.thread {
            self.of_burn.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The kernels of our own that `work` would launch, and how many of burn's it does.
fn launches(work: impl FnOnce()) -> (Vec<Program>, usize) {
    let launches = Arc::new(Launches { thread: thread::current().id(), of_burn: AtomicUsize::new(0) });
    let watching = LaunchObservation::new(launches.clone());
    let own = programs(work);
    drop(watching);
    (own, launches.of_burn.load(Ordering::Relaxed))
}

/// Launches of one evaluation of each shipped model, or judgement of the classifier: ours, and burn's.
///
/// For `mnist-vp` ours are 3 for each of 12 residual blocks, 2 for each of 6 attentions, and one each for time, stem, down, up,
/// the last normalisation, the head, and the sum with the input. burn's are the two scalings of the input, and
/// two copies that turn patches into channels and back. The last sum and one scaling are not among what is replayed.
const SHIPPED: [(&str, usize, usize); 13] = [
    ("mnist-vp", 55, 4),
    ("mnist-ve", 55, 4),
    ("mnist-class-vp", 55, 4),
    ("mnist-cm", 55, 4),
    ("mnist-weak", 39, 4),
    ("mnist-likelihood", 57, 4),
    ("fashion", 55, 4),
    ("letters", 70, 4),
    ("letters-cm", 70, 4),
    ("avatars", 70, 4),
    ("mnist-classifier", 12, 15),
    ("letters-classifier", 12, 15),
    ("fashion-classifier", 12, 15),
];

fn evaluations_launch_no_more_than_they_did() {
    let names: Vec<_> = SHIPPED.iter().map(|(name, ..)| *name).collect();
    assert_eq!(names, shipped::names().collect::<Vec<_>>());
    for (name, most_own, most_of_burn) in SHIPPED {
        let file = || shipped::open(name).expect("a shipped model");
        let [c, h, w] = file().card.shape();
        let x: Tensor<4> = Tensor::zeros([1, c, h, w], &gpu());
        let evaluate: Box<dyn FnOnce()> = match file().score_model(&gpu()) {
            Ok(model) => Box::new(move || drop(model.denoised(x, &[0.3]))),
            Err(_) => {
                let classifier = file().classifier(&gpu()).expect("a classifier");
                Box::new(move || drop(classifier.forward(x, &[0.3])))
            }
        };
        let (own, of_burn) = Adapter::HARDWARE.pretend(|| launches(evaluate));
        let mut counts = BTreeMap::<_, usize>::new();
        own.iter().for_each(|program| *counts.entry(program.name).or_default() += 1);
        figure(format_args!("{name}: {} launches of our own, {of_burn} of burn's: {counts:?}", own.len()));
        assert!(
            own.len() <= most_own && of_burn <= most_of_burn,
            "{name}: {counts:?} and {of_burn} of burn's"
        );
    }
}

/// A step of `mnist-vp`'s network by Adam alone, and with its 50 matrices moved by Muon.
fn steps_launch_no_more_than_they_did() {
    let images = discs(8, 1);
    for (muon, most) in [(false, 753), (true, 1171)] {
        let config = TrainConfig { batch: 4, muon, ..TrainConfig::default() };
        let mut trainer = trainer(&config, &images, &gpu());
        let mut batches = Batches::new(&images, 0, config.batch, false);
        let step = || drop(block_on(trainer.step(&mut batches)));
        let (own, of_burn) = Adapter::HARDWARE.pretend(|| launches(step));
        let all = own.len() + of_burn;
        figure(format_args!("Muon {muon}: {} launches of our own, {of_burn} of burn's", own.len()));
        assert!(all <= most, "Muon {muon}: {all}");
    }
}
