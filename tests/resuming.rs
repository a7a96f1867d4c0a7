//! Runs that are interrupted and go on: checkpoints repeat bit for bit, and those that do not fit are refused.

use std::path::Path;

use burn::tensor::Device;
use pollster::block_on;
use scorefield::Error;
use scorefield::cancel::CancelToken;
use scorefield::data::synthetic;
use scorefield::images::ImageSet;
use scorefield::network::{ClassifierConfig, UNetConfig};
use scorefield::rng::Noise;
use scorefield::sde::VeSde;
use scorefield::training::run::checkpoint::{self, Checkpoint, State, fingerprint as fingerprint_of};
use scorefield::training::run::report::read_loss_log;
use scorefield::training::run::{Outcome, RunFolder, train};
use scorefield::training::{
    ClassifierLesson, ClassifierTraining, Course, Problem, ScoreLesson, TrainConfig, Trainer,
};
use scorefield::weights::ModelFile;

use crate::support::{cpu, figure, gpu, small_unet, trials};
use crate::training::{config, discs, fingerprint, opened, run, steps, trainer, variants};

trials! {
    cpu: [
        a_resumed_run_repeats_the_uninterrupted_one,
        a_run_stopped_after_every_step_gives_the_same_model,
        the_log_of_a_resumed_run_is_that_of_the_uninterrupted_one,
        other_images_are_refused,
        what_was_measured_is_not_measured_again,
        classifiers_go_on_too,
        a_run_that_blows_up_stops_and_keeps_its_checkpoint,
        checkpoints_that_do_not_fit_are_refused,
        damaged_checkpoints_are_refused,
    ],
    gpu: [
        a_resumed_run_on_the_gpu_repeats_the_uninterrupted_one,
    ],
}

fn state(trainer: &Trainer<ScoreLesson>) -> State {
    let new = State::new(trainer.lesson(), &discs(40, 1), "scorefield train".into());
    State { step: trainer.step_count(), seconds: 1.5, ..new }
}

/// 6 + 6 steps through a file against 12 in one go; true if every bit is the same.
fn resumes_exactly(config: &TrainConfig, device: &Device) -> bool {
    let images = discs(40, 1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(checkpoint::FILE);

    let mut whole = trainer(config, &images, device);
    let losses = steps(&mut whole, config, &images, 12);

    let mut first = trainer(config, &images, device);
    let mut resumed_losses = steps(&mut first, config, &images, 6);
    checkpoint::save(&path, &state(&first), &first).unwrap();
    drop(first);
    let checkpoint = Checkpoint::read(&path).unwrap();
    assert_eq!((checkpoint.state.step, checkpoint.state.seconds), (6, 1.5));
    assert_eq!(checkpoint.state.config, config.clone().into());
    let mut second = trainer(config, &images, device);
    checkpoint.restore(&mut second).unwrap();
    assert_eq!(second.step_count(), 6);
    resumed_losses.extend(steps(&mut second, config, &images, 6));

    let same = losses == resumed_losses && fingerprint(&whole) == fingerprint(&second);
    if !same {
        eprintln!("in one go {losses:?}\nresumed   {resumed_losses:?}");
    }
    // If nothing moved, equality would say nothing.
    assert!(losses[5..].windows(2).all(|pair| pair[0] != pair[1]));
    same
}

fn a_resumed_run_repeats_the_uninterrupted_one() {
    for config in variants() {
        assert!(resumes_exactly(&config, &cpu()), "{config:?}");
    }
}

fn a_resumed_run_on_the_gpu_repeats_the_uninterrupted_one() {
    assert!(resumes_exactly(&config(), &gpu()));
}

/// The weights of a model file, without its header, which tells the time that training took.
fn weights_of(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[8 + header..].to_vec()
}

fn a_run_stopped_after_every_step_gives_the_same_model() {
    let config = config();
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert_eq!(run(&config, whole.path(), false, false).unwrap(), Outcome::Finished);
    for step in 1..=4 {
        assert_eq!(run(&config, parts.path(), step > 1, true).unwrap(), Outcome::Stopped { step });
        // What is there after an interruption is a whole model.
        let model = std::fs::read(RunFolder(parts.path().into()).model("tiny")).unwrap();
        let file = ModelFile::parse("tiny", &model).unwrap();
        assert_eq!(file.card.training.steps, step);
        file.score_model(&cpu()).unwrap();
    }
    assert_eq!(run(&config, parts.path(), true, false).unwrap(), Outcome::Finished);
    let model = |folder: &tempfile::TempDir| weights_of(&RunFolder(folder.path().into()).model("tiny"));
    assert_eq!(model(&whole), model(&parts));
    for length in &config.averages {
        let average =
            |folder: &tempfile::TempDir| weights_of(&RunFolder(folder.path().into()).average(12, *length));
        assert_eq!(average(&whole), average(&parts), "{length}");
    }
    for folder in [&whole, &parts] {
        let mut names: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(
            names,
            ["averages", "checkpoint.safetensors", "config.toml", "loss.csv", "tiny.safetensors"],
            "no curve of one row"
        );
    }
    // Resuming what is finished does nothing and says so.
    assert_eq!(run(&config, parts.path(), true, false).unwrap(), Outcome::Finished);
}

/// The averages of `loss.csv` go over all steps, whenever the run was stopped.
fn the_log_of_a_resumed_run_is_that_of_the_uninterrupted_one() {
    let config = TrainConfig { steps: 25, ..config() };
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    run(&config, whole.path(), false, false).unwrap();
    for step in 1..=2 {
        assert_eq!(run(&config, parts.path(), step > 1, true).unwrap(), Outcome::Stopped { step });
    }
    run(&config, parts.path(), true, false).unwrap();
    let rows = |folder: &tempfile::TempDir| -> Vec<[f64; 3]> {
        let rows = read_loss_log(&folder.path().join("loss.csv")).unwrap();
        rows.iter().map(|row| [row.step as f64, row.loss, row.loss_ema]).collect()
    };
    assert_eq!(rows(&whole).len(), 2);
    assert_eq!(rows(&whole), rows(&parts));
}

fn other_images_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = RunFolder(folder.path().into());
    assert_eq!(run(&config(), folder.path(), false, true).unwrap(), Outcome::Stopped { step: 1 });
    let files = || [at.checkpoint(), at.config(), at.model("tiny")].map(|path| std::fs::read(path).unwrap());
    let before = files();
    let mut relabelled = discs(40, 1);
    relabelled.labels = None;
    for images in [discs(41, 1), relabelled] {
        let lesson = ScoreLesson::new(&config(), &images).unwrap();
        let checkpoint = Checkpoint::read(&at.checkpoint()).unwrap();
        let result =
            block_on(train(lesson, &images, &opened(), &at, Some(checkpoint), &CancelToken::default()));
        let message = result.unwrap_err().to_string();
        assert!(message.contains("not those of the checkpoint") && message.contains("--init"), "{message}");
        assert!(files() == before, "nothing is written");
    }
    let renamed = ImageSet { name: "moved".into(), ..discs(40, 1) };
    assert_eq!(fingerprint_of(&renamed), fingerprint_of(&discs(40, 1)), "another place is no other image");
}

/// Another version of the program may measure otherwise: the run keeps what it began with.
fn what_was_measured_is_not_measured_again() {
    let (config, images) = (variants()[1].clone(), discs(40, 1));
    let folder = tempfile::tempdir().unwrap();
    let at = RunFolder(folder.path().into());
    let new = ScoreLesson::new(&config, &images).unwrap();
    let found = *new.problem();
    let known = Problem {
        sde: VeSde { sigma_min: 0.01, sigma_max: 7.654_321_987_654_321, ..VeSde::default() }.into(),
        ..found
    };
    let lesson =
        |problem| ScoreLesson::knowing(&config, &images, problem, &mut |_| panic!("it measures")).unwrap();
    let begin = |lesson, resume, stop: bool| {
        let cancel = CancelToken::default();
        if stop {
            cancel.cancel();
        }
        block_on(train(lesson, &images, &opened(), &at, resume, &cancel))
    };
    assert_eq!(begin(lesson(Some(known)), None, true).unwrap(), Outcome::Stopped { step: 1 });
    let checkpoint = || Checkpoint::read(&at.checkpoint()).unwrap();
    assert_eq!(checkpoint().state.problem, Some(known), "to the last bit");
    let message = begin(new, Some(checkpoint()), true).unwrap_err().to_string();
    assert!(message.contains("measured differently"), "{message}");
    begin(lesson(checkpoint().state.problem), Some(checkpoint()), true).unwrap();
    let card = ModelFile::parse("tiny", &std::fs::read(at.model("tiny")).unwrap()).unwrap().card;
    assert_eq!((card.sde, card.training.steps), (Some(known.sde), 2));
}

fn a_run_that_blows_up_stops_and_keeps_its_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = RunFolder(folder.path().into()).checkpoint();
    let good = TrainConfig { steps: 4, ..config() };
    run(&good, folder.path(), false, false).unwrap();
    let before = std::fs::read(&path).unwrap();

    let wild = TrainConfig { steps: 60, learning_rate: 1e30, checkpoint_every: 1000, ..config() };
    let result = run(&wild, folder.path(), true, false);
    let Err(Error::NonFinite { step, .. }) = result else { panic!("{result:?}") };
    figure(format_args!("a learning rate of 1e30 from step 4 on stops at step {step}"));
    assert!((4..10).contains(&step));
    assert!(std::fs::read(&path).unwrap() == before, "the checkpoint was replaced");
    let mut restored = trainer(&good, &discs(40, 1), &cpu());
    Checkpoint::read(&path).unwrap().restore(&mut restored).unwrap();
    assert!(fingerprint(&restored).iter().all(|v| v.is_finite()));

    // With a checkpoint at every step, whatever it stops at, what is kept is finite.
    let eager = TrainConfig { checkpoint_every: 1, ..wild };
    let result = run(&eager, folder.path(), true, false);
    assert!(matches!(result, Err(Error::NonFinite { .. } | Error::Weights { .. })), "{result:?}");
    let mut restored = trainer(&good, &discs(40, 1), &cpu());
    Checkpoint::read(&path).unwrap().restore(&mut restored).unwrap();
    let found = fingerprint(&restored);
    assert!(found.iter().all(|v| v.is_finite()), "the kept checkpoint gives {found:?}");
}

fn saved(config: &TrainConfig, path: &Path) {
    let mut trainer = trainer(config, &discs(40, 1), &cpu());
    steps(&mut trainer, config, &discs(40, 1), 2);
    checkpoint::save(path, &state(&trainer), &trainer).unwrap();
}

/// From another network: never a panic, and never a silent half of one network in another.
fn checkpoints_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(checkpoint::FILE);
    saved(&config(), &path);
    let network = small_unet();
    for other in [
        UNetConfig { channels: 16, ..network.clone() },
        UNetConfig { multipliers: vec![1], attention_levels: vec![], ..network.clone() },
        UNetConfig { multipliers: vec![1, 2, 2], ..network.clone() },
        UNetConfig { attention_levels: vec![], ..network.clone() },
        UNetConfig { blocks: 2, ..network.clone() },
        UNetConfig { patch: 1, ..network },
    ] {
        let other = TrainConfig { network: other.into(), ..config() };
        let mut trainer = trainer(&other, &discs(40, 1), &cpu());
        let result = Checkpoint::read(&path).unwrap().restore(&mut trainer);
        assert!(matches!(result, Err(Error::Weights { .. })), "{:?}: {result:?}", other.network);
    }
    // From another version of the program: whole, but of other parts.
    let whole = std::fs::read(&path).unwrap();
    let (name, other) = (b"\"first_moment\"", b"\"first_memory\"");
    let at = whole.windows(name.len()).position(|window| window == name).unwrap();
    std::fs::write(&path, [&whole[..at], other, &whole[at + name.len()..]].concat()).unwrap();
    let error = Checkpoint::read(&path).unwrap_err().to_string();
    assert!(error.contains("another version") && error.contains("--init"), "{error}");
}

fn damaged_checkpoints_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(checkpoint::FILE);
    let missing = Checkpoint::read(&path);
    assert!(matches!(missing, Err(Error::Io { .. })), "{missing:?}");
    let config = TrainConfig {
        network: UNetConfig { channels: 4, multipliers: vec![1], ..UNetConfig::default() }.into(),
        ..config()
    };
    saved(&config, &path);
    let good = std::fs::read(&path).unwrap();
    let attempt = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let mut trainer = trainer(&config, &discs(40, 1), &cpu());
        Checkpoint::read(&path).and_then(|checkpoint| checkpoint.restore(&mut trainer))
    };
    attempt(&good).unwrap();
    for cut in (0..good.len()).step_by(good.len() / 40 + 1) {
        let result = attempt(&good[..cut]);
        assert!(
            matches!(result, Err(Error::Data { .. } | Error::Weights { .. })),
            "cut at {cut}: {result:?}"
        );
    }
    // One byte changed, most often in one of the headers: an error or a checkpoint, never a panic.
    let mut random = Noise::new(1).stream(0);
    let mut refused = 0;
    for case in 0..200 {
        let mut bytes = good.clone();
        let at = if case % 2 == 0 { random.below(2000) } else { random.below(good.len()) };
        bytes[at] ^= 1 << random.below(8);
        refused += usize::from(attempt(&bytes).is_err());
    }
    assert_eq!(refused, 200, "there is a checksum");
}

/// The classifier's run is the same run: stopped after every step it ends with the same weights, and a stopped one says
/// where it stands.
fn classifiers_go_on_too() {
    let images = synthetic::digits_like(40, 28, 0);
    let network = ClassifierConfig { channels: 8, features: 8, ..ClassifierConfig::default() };
    let config = ClassifierTraining { steps: 3, batch: 8, network, ..ClassifierTraining::default() };
    let run = |folder: &Path, resume: bool, stop: bool| {
        let folder = RunFolder(folder.to_path_buf());
        let resume = resume.then(|| Checkpoint::read(&folder.checkpoint()).unwrap());
        let cancel = CancelToken::default();
        if stop {
            cancel.cancel();
        }
        let lesson = ClassifierLesson::new(&config, &images, &images).unwrap();
        block_on(train(lesson, &images, &opened(), &folder, resume, &cancel)).unwrap()
    };
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert_eq!(run(whole.path(), false, false), Outcome::Finished);
    assert_eq!(run(parts.path(), false, true), Outcome::Stopped { step: 1 });
    assert_eq!(run(parts.path(), true, true), Outcome::Stopped { step: 2 });
    assert_eq!(run(parts.path(), true, false), Outcome::Finished);
    let model = |folder: &tempfile::TempDir| RunFolder(folder.path().into()).model(&config.name);
    assert!(weights_of(&model(&whole)) == weights_of(&model(&parts)));

    let file = ModelFile::parse("c", &std::fs::read(model(&parts)).unwrap()).unwrap();
    assert_eq!((file.card.accuracy.len(), file.card.sde), (5, None), "examined at the end");
    file.classifier(&cpu()).unwrap();
    let text = std::fs::read_to_string(RunFolder(parts.path().into()).config()).unwrap();
    assert!(text.contains("lesson = \"classifier\""), "{text}");
    assert_eq!(toml::from_str::<Course>(&text).unwrap(), config.into());
}
