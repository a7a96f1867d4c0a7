//! Several processes that train one model: the same bits whatever their number. Here they are threads; `make test-scale` has
//! real ones.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use pollster::block_on;
use scorefield::cancel::CancelToken;
use scorefield::data::synthetic;
use scorefield::dequantise::Dequantisation;
use scorefield::flow::Probe;
use scorefield::images::ImageSet;
use scorefield::network::{ClassifierConfig, UNetConfig};
use scorefield::objective::{Loss, MicroBatch, Models, Objective, Ssm, Step};
use scorefield::rng::Noise;
use scorefield::team::{self, Team};
use scorefield::training::run::checkpoint::Checkpoint;
use scorefield::training::run::{Outcome, RunFolder, train_in};
use scorefield::training::{
    Batches, ClassifierLesson, ClassifierTraining, Lesson, ScoreLesson, TrainConfig, Trainer,
};

use crate::objectives::models;
use crate::support::{cpu, figure, relative_error, small_unet, tensor, trials, values};
use crate::training::{config, discs, opened};

trials! {
    cpu: [
        parts_have_the_random_numbers_of_the_whole,
        a_batch_in_parts_leads_where_the_whole_leads,
        any_number_of_processes_ends_with_the_same_bits,
        classifiers_too,
        sums_are_the_same_for_every_number_of_processes,
        a_loss_that_is_not_finite_stops_all,
        what_cannot_be_divided_is_refused,
        a_run_goes_on_with_another_number_of_processes,
    ],
}

/// A process, as a thread: its mail from each of the others, and to them.
struct Threads {
    rank: usize,
    to: Vec<Sender<Vec<f32>>>,
    from: Vec<Receiver<Vec<f32>>>,
    /// Sends what is no number.
    broken: bool,
}

impl Threads {
    fn new(size: usize) -> Vec<Self> {
        let mut team: Vec<Self> =
            (0..size).map(|rank| Self { rank, to: vec![], from: vec![], broken: false }).collect();
        for from in 0..size {
            for to in 0..size {
                let (sender, receiver) = channel();
                team[from].to.push(sender);
                team[to].from.push(receiver);
            }
        }
        team
    }
}

impl Team for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn local_rank(&self) -> usize {
        self.rank
    }

    fn send(&mut self, values: &[f32], to: usize) {
        let values = values.iter().map(|value| if self.broken { f32::NAN } else { *value }).collect();
        self.to[to].send(values).expect("the other is there");
    }

    fn receive(&mut self, values: &mut [f32], from: usize) {
        values.copy_from_slice(&self.from[from].recv().expect("the other is there"));
    }

    fn broadcast(&mut self, values: &mut [f32]) {
        match self.rank {
            0 => (1..self.size()).for_each(|to| self.send(values, to)),
            _ => self.receive(values, 0),
        }
    }

    fn abort(&mut self, _: u8) {}
}

/// What `work` returns in each of `size` processes.
fn together<T: Send>(size: usize, work: impl Fn(&mut Threads) -> T + Sync) -> Vec<T> {
    let work = &work;
    thread::scope(|scope| {
        let all: Vec<_> =
            Threads::new(size).into_iter().map(|mut team| scope.spawn(move || work(&mut team))).collect();
        all.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    })
}

/// The averaged weights and the last loss after some steps.
fn after_steps<L: Lesson>(
    lesson: L,
    images: &ImageSet,
    team: &mut dyn Team,
    steps: usize,
) -> (Vec<f32>, f64) {
    let pace = lesson.course().pace();
    let mut trainer = Trainer::new(lesson, &cpu());
    let mut batches = Batches::new(images, pace.seed, pace.batch, pace.flip).augmented(pace.augment);
    let mut loss = f64::NAN;
    for _ in 0..steps {
        loss = block_on(trainer.step_in(team, &mut batches)).unwrap().loss;
    }
    (values(trainer.row()), loss)
}

/// Classes, dropout, mirrored and moved images: all that draws random numbers.
fn scores(micro_batches: usize, batch: usize) -> TrainConfig {
    let network = UNetConfig { classes: 2, moves: true, ..small_unet() };
    let (label_dropout, network) = (0.3, network.into());
    TrainConfig { micro_batches, batch, label_dropout, augment: 0.3, network, ..config() }
}

fn parts_have_the_random_numbers_of_the_whole() {
    const N: usize = 6;
    let x0 = Noise::new(4).normal(0, N, 64);
    let [student, average, teacher] = models();
    let models = Models { student: &student, average: &average, teacher: Some(&teacher), features: None };
    let gaussian = Ssm { distribution: Probe::Gaussian, ..Ssm::default() };
    for objective in Objective::all().into_iter().chain([gaussian.into()]) {
        let losses = |part: MicroBatch| {
            let x0 = tensor(&x0[part.values(64)], [part.len, 1, 8, 8], &cpu().autodiff());
            let (index, of, labels) = (5, 10, &[]);
            let step = Step {
                index,
                of,
                part,
                x0,
                labels,
                moved: &[],
                references: None,
                sigma_data: 0.5,
                dropout: 0.1,
                seed: 3,
            };
            values(objective.loss(models, &step).inner())
        };
        let whole = losses(MicroBatch::whole(N));
        for count in [2, 3, 6] {
            let parts = (0..count).flat_map(|index| losses(MicroBatch::nth(index, count, N)));
            let error = relative_error(&parts.collect::<Vec<_>>(), &whole);
            assert!(error < 1e-5, "{objective:?} in {count} parts: {error}");
        }
    }
    let images = discs(10, 3);
    let mut batches = Batches::new(&images, 1, N, true);
    let whole = batches.whole();
    let all = (
        batches.indices(3, whole),
        batches.labels(3, whole, 2, 0.3),
        batches.pixels(3, whole, Dequantisation::Uniform),
    );
    let mut parts = (vec![], vec![], vec![]);
    for index in 0..3 {
        let part = MicroBatch::nth(index, 3, N);
        parts.0.extend(batches.indices(3, part));
        parts.1.extend(batches.labels(3, part, 2, 0.3));
        parts.2.extend(batches.pixels(3, part, Dequantisation::Uniform));
    }
    assert_eq!(all, parts);
}

fn a_batch_in_parts_leads_where_the_whole_leads() {
    let images = discs(40, 1);
    let lead = |micro_batches| {
        let lesson = ScoreLesson::new(&scores(micro_batches, 8), &images).unwrap();
        after_steps(lesson, &images, &mut team::Alone, 3)
    };
    let (whole, loss) = lead(1);
    for micro_batches in [2, 4, 8] {
        let (parts, its_loss) = lead(micro_batches);
        let error = relative_error(&parts, &whole);
        figure(format_args!("{micro_batches} parts: weights differ by {error:.1e}"));
        assert!(error < 1e-4 && (loss - its_loss).abs() < 1e-5, "{micro_batches} parts: {error}");
    }
}

fn any_number_of_processes_ends_with_the_same_bits() {
    let images = discs(40, 1);
    for (micro_batches, sizes) in [(4, &[1, 2, 4][..]), (6, &[1, 3, 6]), (1, &[1])] {
        let config = scores(micro_batches, 12);
        let results = sizes.iter().flat_map(|size| {
            together(*size, |team| after_steps(ScoreLesson::new(&config, &images).unwrap(), &images, team, 4))
        });
        let results: Vec<_> = results.collect();
        assert!(results.iter().all(|result| *result == results[0]), "{micro_batches} parts");
    }
}

fn classifiers_too() {
    let images = synthetic::digits_like(40, 12, 0);
    let network = ClassifierConfig { channels: 8, features: 8, ..ClassifierConfig::default() };
    let base = ClassifierTraining { steps: 4, batch: 8, network, ..ClassifierTraining::default() };
    let results = |micro_batches, size| {
        let config = ClassifierTraining { micro_batches, ..base.clone() };
        together(size, |team| {
            after_steps(ClassifierLesson::new(&config, &images, &images).unwrap(), &images, team, 3)
        })
    };
    let one = results(4, 1);
    for size in [2, 4] {
        assert!(results(4, size).iter().all(|result| *result == one[0]), "{size} processes");
    }
    let error = relative_error(&one[0].0, &results(1, 1)[0].0);
    assert!(error < 1e-4, "in parts: {error}");
}

/// Numbers whose sum depends on the order.
fn sums_are_the_same_for_every_number_of_processes() {
    let numbers = Noise::new(1).normal(0, 24, 3);
    let of = |size: usize| {
        together(size, |team| {
            let mut sum = team::Pairwise::default();
            for index in team::share(team, 24).unwrap() {
                sum.add(tensor(&numbers[3 * index..3 * (index + 1)], [3], &cpu()));
            }
            let mut sum = values(sum.total().unwrap());
            team::sum(team, &mut sum);
            let third = team.rank() == 2;
            (sum, team::any(team, third), team::any(team, false))
        })
    };
    let one = of(1).remove(0).0;
    for size in [3, 6, 12, 24] {
        assert!(of(size).iter().all(|(sum, ..)| *sum == one), "{size} processes");
        assert!(of(size).iter().all(|(_, two, none)| *two && !none), "{size} processes");
    }
    let straight: Vec<f32> = (0..3).map(|k| numbers.iter().skip(k).step_by(3).sum()).collect();
    assert_ne!(one, straight, "the order of these numbers matters");
}

fn a_loss_that_is_not_finite_stops_all() {
    let (images, config) = (discs(40, 1), scores(2, 8));
    let said = together(2, |team| {
        let mut trainer = Trainer::new(ScoreLesson::new(&config, &images).unwrap(), &cpu());
        let mut batches = Batches::new(&images, config.seed, config.batch, config.flip);
        block_on(trainer.step_in(team, &mut batches)).unwrap();
        team.broken = team.rank() == 1;
        block_on(trainer.step_in(team, &mut batches)).unwrap_err().to_string()
    });
    assert!(said.iter().all(|said| said.contains("not finite") || said.contains("NaN")), "{said:?}");
}

fn what_cannot_be_divided_is_refused() {
    for (count, size, sizes) in [(4, 3, "1 or 2 or 4"), (6, 2, "1 or 3 or 6"), (1, 2, "1 processes")] {
        let said = together(size, |team| team::share(team, count).unwrap_err().to_string());
        assert!(said[0].contains(sizes) && said[0].contains("micro_batches"), "{}", said[0]);
    }
    let message = scores(3, 8).validate().unwrap_err().to_string();
    assert!(message.contains("micro_batches = 3 does not divide batch = 8"), "{message}");
    let message = scores(0, 8).validate().unwrap_err().to_string();
    assert!(message.contains("micro_batches"), "{message}");
}

/// A run in `size` processes, of which the last one is asked to stop, if any is.
fn run(config: &TrainConfig, folder: &Path, size: usize, resume: bool, stop: bool) -> Vec<Outcome> {
    let images = discs(40, 1);
    together(size, |team| {
        let folder = RunFolder(folder.into());
        let checkpoint = resume.then(|| Checkpoint::read(&folder.checkpoint()).unwrap());
        team::wait(team);
        let problem = checkpoint.as_ref().and_then(|checkpoint| checkpoint.state.problem);
        let lesson = ScoreLesson::knowing(config, &images, problem, &mut |_| Ok(())).unwrap();
        let cancel = CancelToken::default();
        if stop && team.rank() + 1 == team.size() {
            cancel.cancel();
        }
        block_on(train_in(team, lesson, &images, &opened(), &folder, checkpoint, &cancel)).unwrap()
    })
}

fn a_run_goes_on_with_another_number_of_processes() {
    let config = TrainConfig { steps: 4, ..scores(4, 8) };
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert_eq!(run(&config, whole.path(), 1, false, false), [Outcome::Finished]);
    assert_eq!(run(&config, parts.path(), 4, false, true), [Outcome::Stopped { step: 1 }; 4]);
    assert_eq!(run(&config, parts.path(), 2, true, true), [Outcome::Stopped { step: 2 }; 2]);
    assert_eq!(run(&config, parts.path(), 1, true, true), [Outcome::Stopped { step: 3 }]);
    assert_eq!(run(&config, parts.path(), 4, true, false), [Outcome::Finished; 4]);
    let model = |folder: &tempfile::TempDir| {
        let bytes = std::fs::read(RunFolder(folder.path().into()).model("tiny")).unwrap();
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        bytes[8 + header..].to_vec()
    };
    assert_eq!(model(&whole), model(&parts));
}
