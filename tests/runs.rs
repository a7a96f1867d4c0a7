//! Training runs as a user meets them: how they go on, what is refused, and that what they write can be read again.

use std::path::Path;
use std::process::Command;

use image::{Rgb, RgbImage};
use scorefield::training::presets;
use scorefield::weights::{ModelCard, ModelFile};

use crate::program::{bad, good, run, scorefield};
use crate::support::trials;

trials! {
    cpu: [
        a_run_goes_on_with_the_same_pictures_only,
        a_checkpoint_of_an_earlier_version_goes_on_and_says_so,
        settings_beside_resume_are_refused,
        what_would_be_without_effect_is_refused,
        every_configuration_is_read_again,
        a_card_says_how_the_model_was_made,
        a_part_does_not_name_the_data_set,
        a_batch_may_be_computed_in_parts,
        one_of_several_processes_is_told_from_one_alone,
    ],
}

/// A small network on a folder of pictures, whose largest noise level is measured.
const SMALL: &str = r#"
name = "t"
steps = 2
batch = 4
sample_every = 0
checkpoint_every = 1
warmup = 1

[data]
dataset = "folder"

[sde]
kind = "ve"
sigma_min = 0.01
sigma_max = 0.0

[network]
channels = 8
multipliers = [1]
attention_levels = []
patch = 1
"#;

pub const TRAIN: &str = "train --config small.toml --device cpu";

/// `small.toml`, and a folder `name` of six dark pictures.
pub fn prepare(at: &Path, name: &str) {
    std::fs::write(at.join("small.toml"), SMALL).unwrap();
    std::fs::create_dir_all(at.join(name)).unwrap();
    (0..6).for_each(|i| picture(&at.join(name), i, 10 * i));
}

fn picture(folder: &Path, number: u8, grey: u8) {
    RgbImage::from_pixel(8, 8, Rgb([grey; 3])).save(folder.join(format!("{number}.png"))).unwrap();
}

/// The card of the model in a run's folder.
fn card(run: &Path, name: &str) -> ModelCard {
    let bytes = std::fs::read(run.join(format!("{name}.safetensors"))).unwrap();
    ModelFile::parse(name, &bytes).unwrap().card
}

fn a_run_goes_on_with_the_same_pictures_only() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    prepare(at, "dark");
    good(at, &format!("{TRAIN} --data-dir dark --out r"));
    let before = card(&at.join("r"), "t");
    // Black and 50 differ by 50/255 in 192 values.
    let width = (192.0_f64).sqrt() * 50.0 / 255.0;
    assert!((before.sde.unwrap().sigma(1.0) - width).abs() < 1e-6, "{:?}", before.sde);
    assert!((before.data_mean - 25.0 / 255.0).abs() < 1e-9, "{}", before.data_mean);

    let go_on = "train --name t --out r --device cpu --resume --steps 4";
    picture(&at.join("dark"), 6, 255);
    bad(at, go_on, 2, &["not those of the checkpoint", "--data-dir", "--init"]);
    assert_eq!(card(&at.join("r"), "t"), before);
    std::fs::remove_file(at.join("dark/6.png")).unwrap();
    std::fs::rename(at.join("dark"), at.join("moved")).unwrap();
    good(at, &format!("{go_on} --data-dir moved"));
    let after = card(&at.join("r"), "t");
    assert_eq!((after.training.steps, after.sde, after.sigma_data), (4, before.sde, before.sigma_data));
    assert_eq!(after.data_mean, before.data_mean);
}

fn a_checkpoint_of_an_earlier_version_goes_on_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/checkpoint.safetensors");
    std::fs::create_dir(folder.path().join("r")).unwrap();
    std::fs::copy(golden, folder.path().join("r/checkpoint.safetensors")).unwrap();
    let output = run(folder.path(), "train --out r --device cpu --resume --steps 3");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && said.contains("warning: the checkpoint is of an earlier version"),
        "{said}"
    );
}

fn settings_beside_resume_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    prepare(at, "dark");
    good(at, &format!("{TRAIN} --data-dir dark --out r"));
    let go_on = "train --out r --device cpu --resume";
    for setting in [
        "--dataset mnist",
        "--preset mnist-ve",
        "--batch 2",
        "--seed 99",
        "--crop 4",
        "--size 4",
        "--flip",
        "--augment 0.1",
        "--conditional",
        "--init mnist-vp",
    ] {
        let flag = setting.split(' ').next().unwrap();
        bad(at, &format!("{go_on} {setting}"), 2, &["--resume", flag]);
    }
    bad(at, &format!("{go_on} --name other"), 2, &["--name", "is of t"]);
    bad(at, &format!("{go_on} --steps 1"), 2, &["--steps", "2 are done already"]);
    let config = std::fs::read_to_string(at.join("r/config.toml")).unwrap();
    std::fs::write(at.join("less.toml"), config.replace("steps = 2", "steps = 1")).unwrap();
    bad(at, &format!("{go_on} --config less.toml"), 2, &["--steps", "2 are done already"]);
    let moved = config.replace("muon = false", "muon = true");
    assert_ne!(moved, config);
    std::fs::write(at.join("moved.toml"), moved).unwrap();
    bad(at, &format!("{go_on} --config moved.toml"), 2, &["--config", "muon"]);
    good(at, go_on);
}

fn what_would_be_without_effect_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    image::GrayImage::new(28, 28).save(at.join("a.png")).unwrap();
    for (arguments, words) in [
        ("denoise --image a.png --sigma 1 --steps 3", &["--draw"][..]),
        ("denoise --image a.png --sigma 1 --sampler pc", &["--draw"]),
        ("denoise --image a.png --sigma 1 --option n_corrector=2", &["--draw"]),
        ("denoise --image a.png --sigma 1 --count 3", &["--draw"]),
        ("denoise --image a.png --sigma 1 --seed 3", &["--draw"]),
        ("denoise --image a.png --sigma 1 --first 3", &["--draw"]),
        ("denoise --image a.png --sigma 1 --batch 3", &["--draw"]),
        ("interpolate --fit pad --from seed:1", &["--fit", "--from or --to"]),
        ("sample --steps 3 --option n_steps=4", &["`n_steps`", "twice", "--steps"]),
        (
            "sample --sampler pc --option corrector_snr=0.1 --option corrector_snr=0.2",
            &["`corrector_snr`", "twice"],
        ),
        ("train --dataset synthetic --data-dir here", &["data_dir", "no files"]),
        ("likelihood --dataset synthetic --data-dir here", &["data_dir", "no files"]),
        ("evaluate --shard 1/2 --json", &["--json", "--shard"]),
        ("figures --only langevin --second mnist-vp", &["--second", "encodings"]),
        ("figures --only langevin --color-model avatars", &["--color-model", "colorization"]),
        ("figures --only encodings --color-data a.npz", &["--color-data", "colorization"]),
    ] {
        bad(at, &format!("{arguments} --device cpu"), 2, words);
    }
    good(at, "denoise --image a.png --sigma 1 --device cpu");
    good(at, "denoise --image a.png --sigma 1 --device cpu --draw --steps 2 --count 1 --seed 3");
}

/// What `--dry-run` prints, and the `config.toml` of a run, mean the same when they come back.
fn every_configuration_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for preset in presets::names() {
        let printed =
            good(at, &format!("train --preset {preset} --batch 3 --seed {} --size 8 --dry-run", u64::MAX));
        std::fs::write(at.join("c.toml"), &printed).unwrap();
        assert_eq!(good(at, "train --config c.toml --dry-run"), printed, "{preset}");
    }
    prepare(at, "dark");
    good(at, &format!("{TRAIN} --data-dir dark --out r --steps 1"));
    let written = std::fs::read_to_string(at.join("r/config.toml")).unwrap();
    assert_eq!(good(at, "train --config r/config.toml --dry-run"), written);
    for (dataset, name) in [
        ("mnist", "mnist-vp"),
        ("fashion-mnist", "fashion"),
        ("cifar10", "cifar10-vp"),
        ("celeba", "celeba-ve"),
        ("letters", "letters"),
        ("avatars", "avatars"),
    ] {
        let printed = good(at, &format!("train --dataset {dataset} --dry-run"));
        assert!(printed.starts_with(&format!("name = \"{name}\"\n")), "{dataset}: {printed}");
    }
    // What was said of another data set does not stay.
    let named = good(at, "train --preset avatars --dry-run");
    let named = named.replace("[data]\n", "[data]\nname = \"smileys\"\nlicence = \"Apache-2.0\"\n");
    std::fs::write(at.join("named.toml"), named).unwrap();
    assert!(good(at, "train --config named.toml --dry-run").contains("smileys"));
    let printed = good(at, "train --config named.toml --dataset folder --data-dir dark --dry-run");
    assert!(!printed.contains("smileys") && !printed.contains("Apache"), "{printed}");
}

fn a_card_says_how_the_model_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    prepare(at, "my pictures");
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@localhost"];
        Command::new("git").current_dir(at).args(identity).args(arguments).output().expect("git starts")
    };
    git(&["init", "--quiet"]);
    git(&["commit", "--quiet", "--allow-empty", "--message", "of somebody else"]);
    let commit = String::from_utf8(git(&["rev-parse", "--short=7", "HEAD"]).stdout).unwrap();
    assert!(commit.len() > 7, "{commit}");

    let started = Command::new(env!("CARGO_BIN_EXE_scorefield"))
        .current_dir(at)
        .args(TRAIN.split(' '))
        .args(["--data-dir", "my pictures", "--out", "r"])
        .output()
        .unwrap();
    assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    let made = card(&at.join("r"), "t").training;
    assert_eq!(made.revision, env!("SCOREFIELD_REVISION"));
    assert!(made.revision.starts_with(env!("CARGO_PKG_VERSION")) && !made.revision.contains(commit.trim()));
    let command = "scorefield train --config small.toml --device cpu --data-dir 'my pictures' --out r";
    assert_eq!(made.command, command);
    let go_on = "train --out r --device cpu --resume --steps 3";
    good(at, go_on);
    assert_eq!(card(&at.join("r"), "t").training.command, format!("{command} && scorefield {go_on}"));
}

fn a_part_does_not_name_the_data_set() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    prepare(at, "pictures/train");
    for (data_dir, out) in [("pictures", "whole"), ("pictures/train", "part")] {
        good(at, &format!("{TRAIN} --data-dir {data_dir} --out {out} --steps 1"));
        assert_eq!(card(&at.join(out), "t").dataset, "pictures");
    }
}

/// Also where a run goes on; what was measured of the images is told.
fn a_batch_may_be_computed_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    prepare(at, "dark");
    let train = format!("{TRAIN} --data-dir dark --out r");
    bad(at, &format!("{train} --micro-batches 3"), 2, &["micro_batches = 3", "batch = 4"]);
    let output = run(at, &format!("{train} --micro-batches 2"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("measured: pixels from 0 to 1 have mean 0.098"),
        "{said}"
    );
    let config = || std::fs::read_to_string(at.join("r/config.toml")).unwrap();
    assert!(config().contains("micro_batches = 2"), "{}", config());
    good(at, "train --resume --out r --steps 3 --micro-batches 1 --device cpu");
    assert!(!config().contains("micro_batches"), "{}", config());
}

/// Processes of a program without MPI would each train into the same folder.
fn one_of_several_processes_is_told_from_one_alone() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    prepare(at, "dark");
    let command = format!("{TRAIN} --data-dir dark --out r");
    let mut one = scorefield(at, &command);
    let output = one.env("OMPI_COMM_WORLD_SIZE", "2").output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("2 processes") && said.contains("--features mpi"), "{said}");
    assert!(!at.join("r").exists());
}
