//! Averages of the weights: those that a run saves, and those of other lengths that are made of them.

use std::path::Path;

use scorefield::training::TrainConfig;
use scorefield::training::run::{RunFolder, averages};
use scorefield::weights::{Architecture, ModelFile};

use crate::program::{bad, good};
use crate::support::{cpu, figure, relative_error, trials, values};
use crate::training::{config, run};

trials! {
    cpu: [
        the_average_of_one_step_is_its_weights,
        an_average_of_any_length_is_made_of_what_a_run_has_saved,
        what_has_no_averages_is_told,
    ],
}

/// What a model of a run says of some noise.
fn says(file: ModelFile) -> Vec<f32> {
    assert!(matches!(file.card.architecture, Architecture::Score { .. }));
    let model = file.score_model(&cpu()).unwrap();
    let x = model.upload(&scorefield::rng::Noise::new(4).normal(0, 2, 144));
    values(model.denoised(x, &[0.3]))
}

fn open(path: &Path) -> ModelFile {
    ModelFile::parse("average", &std::fs::read(path).unwrap()).unwrap()
}

/// Whatever the length: nothing is left of what was there before. The step is long, so that it says something else.
fn the_average_of_one_step_is_its_weights() {
    let folder = tempfile::tempdir().unwrap();
    let run_folder = RunFolder(folder.path().join("run"));
    let short = TrainConfig { steps: 1, checkpoint_every: 1, averages: vec![0.25], ..config() };
    let ema = scorefield::learning::Ema::Rate(0.0);
    let config = TrainConfig { ema, learning_rate: 0.05, warmup: 1, ..short };
    run(&config, &run_folder.0, false, false).unwrap();
    let [weights, average] = [run_folder.0.join("tiny.safetensors"), run_folder.average(1, 0.25)];
    let off = relative_error(&says(open(&average)), &says(open(&weights)));
    figure(format_args!("the average of one step is off by {off:.1e}"));
    assert!(off < 1e-3, "off by {off:.1e}");
}

fn an_average_of_any_length_is_made_of_what_a_run_has_saved() {
    let folder = tempfile::tempdir().unwrap();
    let run_folder = RunFolder(folder.path().join("run"));
    let (steps, lengths) = (60, [0.05, 0.1, 0.07]);
    let config = TrainConfig { steps, checkpoint_every: 6, averages: lengths.to_vec(), ..config() };
    run(&config, &run_folder.0, false, false).unwrap();
    let kept = lengths.map(|length| says(open(&run_folder.average(steps, length))));
    for step in (6..=steps).step_by(6) {
        std::fs::remove_file(run_folder.average(step, 0.07)).unwrap();
    }
    let made = lengths.map(|length| says(averages::average(&run_folder, length).unwrap()));
    let apart = relative_error(&kept[0], &kept[1]);
    for ((length, kept), made) in lengths.iter().zip(&kept).zip(&made) {
        let off = relative_error(made, kept);
        figure(format_args!("length {length}: off by {off:.1e}, where .05 and .1 are {apart:.1e} apart"));
        // Those that were saved are what they were, up to half precision.
        let bound = if *length == 0.07 { 0.1 * apart } else { 2e-3 };
        assert!(off < bound && apart > 1e-2, "length {length}: off by {off:.1e}, {apart:.1e}");
    }
    let printed = good(folder.path(), "average run --length 0.07 --length 0.2 --out there");
    assert_eq!(printed.lines().count(), 2, "{printed}");
    let off = relative_error(&says(open(&folder.path().join("there/tiny-0.07.safetensors"))), &made[2]);
    assert!(off < 2e-3, "half precision is off by {off:.1e}");
}

fn what_has_no_averages_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    run(&TrainConfig { steps: 1, averages: vec![], ..config() }, &at.join("run"), false, false).unwrap();
    for (arguments, words) in [
        ("average run --length 0.1", "has no saved averages"),
        ("average nowhere --length 0.1", "has no saved averages"),
        ("average run --length 0.9", "the length of an average = 0.9"),
        ("average run", "--length"),
    ] {
        bad(at, arguments, 2, &[words]);
    }
    let message = TrainConfig { averages: vec![0.5], ..config() }.validate().unwrap_err().to_string();
    assert!(message.contains("0.5 is not allowed"), "{message}");
}
