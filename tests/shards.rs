//! Commands that are divided into shards: in any order, at once, interrupted, by a job array, and wrong.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::program::{bad, good, run, scorefield};
use crate::support::trials;

trials! {
    cpu: [
        images_are_those_of_one_run,
        codes_are_those_of_one_run,
        likelihoods_are_those_of_one_run,
        shards_that_begin_together_share_a_folder,
        what_is_drawn_under_a_condition_has_its_settings,
        an_interrupted_shard_goes_on,
        job_arrays_divide_the_work,
        other_settings_are_refused,
        gaps_and_damage_are_named,
        what_cannot_be_divided_is_refused,
    ],
}

/// Nine images in five batches.
const SAMPLE: &str =
    "sample --model mnist-weak --device cpu --sampler ddim --steps 3 --count 9 --batch 2 --seed 4 --first 7";
/// Five images in three batches.
const ENCODE: &str =
    "encode --model mnist-weak --device cpu --dataset synthetic --rtol .5 --atol .5 --count 5 --batch 2";
const LIKELIHOOD: &str = "likelihood --model mnist-weak --device cpu --dataset synthetic --rtol .5 --atol .5 --count 5 \
                          --batch 2 --probes 2 --repeats 2 --seed 3";

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Each file of a folder, with its content and the time of its last change.
fn contents(folder: &Path) -> BTreeMap<String, (Vec<u8>, SystemTime)> {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    let read = |path: &Path| (bytes(path), std::fs::metadata(path).unwrap().modified().unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), read(&entry.path()))).collect()
}

/// The names of the files that two states of a folder do not have alike.
fn changed<T: PartialEq>(before: &BTreeMap<String, T>, after: &BTreeMap<String, T>) -> Vec<String> {
    after
        .iter()
        .filter(|(name, content)| before.get(*name) != Some(content))
        .map(|(name, _)| name.clone())
        .collect()
}

/// Three shards of a command, out of order, are one run; what is missing is made again, to the bit, and nothing else is.
fn divided(at: &Path, command: &str, ending: &str) {
    let (whole, out) = (format!("whole.{ending}"), format!("divided.{ending}"));
    good(at, &format!("{command} --out {whole}"));
    assert!(!at.join(format!("{whole}.parts")).exists(), "one run needs no folder");
    let folder = at.join(format!("{out}.parts"));
    let shard = |i: usize| {
        let said = good(at, &format!("{command} --out {out} --shard {i}/3"));
        assert_eq!(said, format!("{out}.parts: shard {i}/3 is done\n"));
    };
    [3, 1].into_iter().for_each(shard);
    bad(at, &format!("merge {out}"), 1, &["lacks batch", "1", "--shard"]);
    assert!(!at.join(&out).exists());
    shard(2);
    good(at, &format!("merge {out}.parts"));
    assert!(bytes(&at.join(&out)) == bytes(&at.join(&whole)), "{command}");

    let before = contents(&folder);
    assert!(before.contains_key("settings.json"));
    std::fs::remove_file(folder.join("00001.safetensors")).unwrap();
    (1..=3).for_each(shard);
    let after = contents(&folder);
    assert_eq!(changed(&before, &after), ["00001.safetensors"], "only what was missing is made");
    assert!(before["00001.safetensors"].0 == after["00001.safetensors"].0);
    std::fs::remove_file(at.join(&out)).unwrap();
    good(at, &format!("merge {out} --json"));
    assert!(bytes(&at.join(&out)) == bytes(&at.join(&whole)), "{command}");
}

fn images_are_those_of_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    divided(at, SAMPLE, "png");
    // The parts know nothing of the file's format.
    good(at, &format!("{SAMPLE} --out whole.npy"));
    let said: Value = serde_json::from_str(&good(at, "merge divided.png --out other.npy --json")).unwrap();
    assert_eq!(said, json!({"file": "other.npy", "shape": [9, 1, 28, 28], "nfe": 3}));
    assert!(bytes(&at.join("other.npy")) == bytes(&at.join("whole.npy")));
    assert_eq!(good(at, "merge divided.png"), "divided.png: 9 images, 3 NFE\n");
}

fn codes_are_those_of_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    divided(at, ENCODE, "npy");
    let said = good(at, "merge divided.npy");
    assert!(said.starts_with("divided.npy: the codes of 5 test images of synthetic, "), "{said}");
    assert_eq!(good(at, &format!("{ENCODE} --out whole.npy")), said.replace("divided", "whole"));
    let said: Value = serde_json::from_str(&good(at, "merge divided.npy --json")).unwrap();
    assert_eq!(said["shape"], json!([5, 1, 28, 28]));
    assert_eq!(scorefield::picture::load_npy(at.join("divided.npy")).unwrap().0, [5, 1, 28, 28]);
    // They are codes of those images: decoded, they are near them.
    good(
        at,
        "decode --model mnist-weak --device cpu --latent divided.npy --rtol .5 --atol .5 --out back.png",
    );
}

fn likelihoods_are_those_of_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    divided(at, LIKELIHOOD, "json");
    let merged: Value = serde_json::from_slice(&bytes(&at.join("divided.json"))).unwrap();
    assert!(merged["chance_error"].as_f64().unwrap() > 0.0 && merged["count"] == 5, "{merged}");
    // What is printed has the time besides, of which the parts know nothing.
    let mut printed: Value = serde_json::from_str(&good(at, &format!("{LIKELIHOOD} --json"))).unwrap();
    assert!(printed.as_object_mut().unwrap().remove("seconds").unwrap().as_f64().unwrap() > 0.0);
    assert_eq!(printed, merged);
    let said = good(at, "merge divided.json");
    assert!(said.starts_with("mnist-weak: ") && said.contains("on 5 test images of synthetic, "), "{said}");
    assert_eq!(serde_json::from_str::<Value>(&good(at, "merge divided.json --json")).unwrap(), merged);
}

/// And whatever the division, the folder is the same.
fn shards_that_begin_together_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let start = |i| {
        let command = format!("{SAMPLE} --out a.png --shard {i}/4");
        scorefield(at, &command).stdout(Stdio::null()).spawn().expect("it starts")
    };
    for mut shard in [1, 2, 3, 4].map(start) {
        assert!(shard.wait().unwrap().success());
    }
    good(at, &format!("{SAMPLE} --out b.png --shard 1/1"));
    let content = |name: &str| -> BTreeMap<String, Vec<u8>> {
        contents(&at.join(name)).into_iter().map(|(name, (bytes, _))| (name, bytes)).collect()
    };
    let (a, b) = (content("a.png.parts"), content("b.png.parts"));
    assert_eq!((a.len(), b.len()), (6, 6), "{:?}", a.keys());
    assert_eq!(changed(&a, &b), [""; 0]);
    // One's work may be finished by a single process elsewhere.
    std::fs::remove_file(at.join("a.png.parts/00002.safetensors")).unwrap();
    good(at, &format!("{SAMPLE} --out a.png --shard 1/1"));
    assert_eq!(changed(&content("a.png.parts"), &b), [""; 0]);
}

/// The fields of a folder's settings.
fn settings(folder: &Path) -> Value {
    serde_json::from_slice(&bytes(&folder.join("settings.json"))).unwrap()
}

fn what_is_drawn_under_a_condition_has_its_settings() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let draw = "--device cpu --sampler ddim --steps 2 --count 2 --batch 1";
    for (condition, field, value) in [
        ("--model mnist-class-vp --class 3 --guidance 2", "class", json!(3)),
        ("--model mnist-vp --class 3 --guidance 2", "classifier", json!("mnist-classifier")),
        ("--model mnist-vp --weaker mnist-weak --weaker-weight 2", "weaker_weight", json!(2.0)),
    ] {
        let command = format!("sample {condition} {draw}");
        good(at, &format!("{command} --out whole.npy"));
        for shard in ["2/2", "1/2"] {
            good(at, &format!("{command} --out samples.npy --shard {shard}"));
        }
        good(at, "merge samples.npy");
        assert!(bytes(&at.join("samples.npy")) == bytes(&at.join("whole.npy")), "{condition}");
        let said = settings(&at.join("samples.npy.parts"));
        assert_eq!(said[field], value, "{said}");
        let plain = format!("sample --model mnist-vp {draw} --out samples.npy --shard 1/2");
        bad(at, &plain, 2, &["--out", "samples.npy.parts", "not"]);
        std::fs::remove_dir_all(at.join("samples.npy.parts")).unwrap();
    }
}

fn an_interrupted_shard_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let long = "sample --model mnist-weak --device cpu --steps 2 --count 100000 --batch 2 --out long.png --shard 2/2";
    let child = scorefield(at, long).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let patience = Instant::now() + Duration::from_secs(120);
    while !at.join("long.png.parts/00003.safetensors").exists() {
        assert!(Instant::now() < patience, "no two batches were drawn in two minutes");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill").success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "Ctrl-C keeps what is drawn and is no failure");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("the same command goes on with what is in long.png.parts"), "{said}");
    assert!(contents(&at.join("long.png.parts")).keys().all(|name| !name.ends_with(".part")));
}

/// The program with `variables`, `NAME=VALUE` each.
fn with(at: &Path, command: &str, variables: &str) -> Output {
    let variables = variables.split_whitespace().filter_map(|pair| pair.split_once('='));
    scorefield(at, command).envs(variables).output().expect("the program starts")
}

/// Task `id` of an array from `min` to `max`.
fn task(id: usize, min: usize, max: usize) -> String {
    let count = max - min + 1;
    format!(
        "SLURM_ARRAY_TASK_ID={id} SLURM_ARRAY_TASK_COUNT={count} SLURM_ARRAY_TASK_MIN={min} SLURM_ARRAY_TASK_MAX={max} \
         SLURM_ARRAY_TASK_STEP=1"
    )
}

fn job_arrays_divide_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    good(at, &format!("{SAMPLE} --out whole.png"));
    for (out, tasks, reason) in [
        ("zero.png", [task(2, 0, 2), task(0, 0, 2), task(1, 0, 2)], "as SLURM_ARRAY_TASK_ID = 1 of 0 to 2"),
        ("one.png", [task(1, 1, 3), task(3, 1, 3), task(2, 1, 3)], "as SLURM_ARRAY_TASK_ID = 2 of 1 to 3"),
        (
            "mpi.png",
            [0, 2, 1].map(|rank| format!("OMPI_COMM_WORLD_RANK={rank} OMPI_COMM_WORLD_SIZE=3")),
            "as OMPI_COMM_WORLD_RANK = 1 of 3",
        ),
    ] {
        for (k, variables) in tasks.iter().enumerate() {
            let output = with(at, &format!("{SAMPLE} --out {out} --shard auto"), variables);
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{stderr}");
            if k == 2 {
                assert!(stderr.contains(&format!("shard 2/3, {reason}")), "{stderr}");
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                assert_eq!(said, format!("{out}.parts: shard 2/3 is done\n"));
            }
        }
        good(at, &format!("merge {out}"));
        assert!(bytes(&at.join(out)) == bytes(&at.join("whole.png")), "{out}");
    }
    for (variables, words) in [
        ("SLURM_PROCID=0", &["finds no division", "SLURM_ARRAY_TASK_ID", "--shard I/N"][..]),
        ("JOB_COMPLETION_INDEX=1", &["JOB_COMPLETIONS is not set", "manifest"]),
        (&task(2, 2, 2), &["alone in its array", "scontrol requeue"]),
    ] {
        for command in [SAMPLE, ENCODE, LIKELIHOOD, "evaluate --device cpu --dataset synthetic"] {
            let out = if command == LIKELIHOOD { "--out no.json" } else { "" };
            let output = with(at, &format!("{command} {out} --shard auto"), variables);
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{command}: {stderr}");
            words.iter().for_each(|word| assert!(stderr.contains(word), "{stderr} does not say `{word}`"));
        }
    }
}

fn other_settings_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (command, out, changes) in [
        (
            SAMPLE,
            "a.png",
            &[
                ("--seed 4", "--seed 5", "seed = 4, not 5"),
                ("--count 9", "--count 8", "count = 9, not 8"),
                ("--batch 2", "--batch 3", "batch = 2, not 3"),
                ("--first 7", "--first 8", "first = 7, not 8"),
                ("--steps 3", "--steps 4", "\"n_steps\":3,\"name\":\"ddim\"}, not"),
                ("--model mnist-weak", "--model mnist-vp", "model = \"mnist-weak\", not \"mnist-vp\""),
            ][..],
        ),
        (
            ENCODE,
            "a.npy",
            &[
                ("--rtol .5", "--rtol .4", "rtol = 0.5, not 0.4"),
                ("--count 5", "--count 4", "count = 5, not 4"),
            ],
        ),
        (
            LIKELIHOOD,
            "a.json",
            &[
                ("--probes 2", "--probes 1", "probes = 2, not 1"),
                ("--repeats 2", "--repeats 1", "repeats = 2, not 1"),
                ("--seed 3", "--seed 3 --eps 1e-4", "eps = 0.00001, not 0.0001"),
            ],
        ),
    ] {
        good(at, &format!("{command} --out {out} --shard 1/3"));
        for (from, to, words) in changes {
            assert!(command.contains(from));
            let other = command.replace(from, to);
            bad(
                at,
                &format!("{other} --out {out} --shard 2/3"),
                2,
                &["--out", ".parts", words, "another file"],
            );
        }
        let parts = contents(&at.join(format!("{out}.parts")));
        assert!(!parts.contains_key("00001.safetensors"), "nothing was made: {:?}", parts.keys());
    }
    bad(at, &format!("{} --out a.npy --shard 1/3", SAMPLE), 2, &["command = \"encode\", not \"sample\""]);
}

fn gaps_and_damage_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    good(at, &format!("{SAMPLE} --out a.png --shard 2/3"));
    let output = run(at, "merge a.png --status");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said, "a.png.parts: 2 of 5 batches of `sample` are there; missing: 0, 2 to 3\n");
    let refused = &["a.png.parts", "lacks batches 0, 2 to 3 (of 0 to 4)", "`sample` command", "--shard 1/1"];
    bad(at, "merge a.png", 1, refused);
    bad(at, "merge a.png.parts --status", 1, refused);
    let said: Value = serde_json::from_slice(&run(at, "merge a.png --status --json").stdout).unwrap();
    let expected = json!({
        "folder": "a.png.parts", "command": "sample", "complete": false, "batches": 5, "missing": [0, 2, 3]
    });
    assert_eq!(said, expected);
    good(at, &format!("{SAMPLE} --out a.png --shard 1/1"));
    assert_eq!(good(at, "merge a.png --status"), "a.png.parts: 5 of 5 batches of `sample` are there\n");
    assert!(!at.join("a.png").exists(), "nothing is merged");

    // A file of other settings, and half a one.
    let other = SAMPLE.replace("--seed 4", "--seed 5");
    good(at, &format!("{other} --out b.png --shard 1/5"));
    let first = at.join("a.png.parts/00000.safetensors");
    std::fs::copy(at.join("b.png.parts/00000.safetensors"), &first).unwrap();
    bad(at, "merge a.png", 1, &["00000.safetensors", "other settings", "delete the file"]);
    let half = bytes(&first);
    std::fs::write(&first, &half[..half.len() / 2]).unwrap();
    bad(at, "merge a.png", 1, &["00000.safetensors", "damaged", "delete the file; it will be made again"]);
    std::fs::remove_file(&first).unwrap();
    good(at, &format!("{SAMPLE} --out a.png --shard 1/5"));
    good(at, "merge a.png");

    for text in ["", "{}", "{\"command\": \"sample\", \"count\": 9, \"batch\": 0}"] {
        std::fs::write(at.join("a.png.parts/settings.json"), text).unwrap();
        bad(at, "merge a.png", 1, &["settings.json", "delete its folder"]);
        bad(at, &format!("{SAMPLE} --out a.png --shard 1/5"), 1, &["settings.json", "delete its folder"]);
    }
    std::fs::write(
        at.join("a.png.parts/settings.json"),
        "{\"command\": \"draw\", \"count\": 9, \"batch\": 2}",
    )
    .unwrap();
    bad(at, "merge a.png", 1, &["a.png.parts", "`draw`", "version"]);
    bad(at, "merge a.png b.png", 2, &["merge", "a.png.parts", "alone"]);
    bad(at, "merge none.png.parts", 1, &["none.png.parts", "with --shard has written"]);
    bad(at, "merge none.png", 1, &["none.png", "`evaluate` has written"]);
}

fn what_cannot_be_divided_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    image::GrayImage::new(28, 28).save(at.join("black.png")).unwrap();
    for (command, words) in [
        (&format!("{SAMPLE} --shard 6/6")[..], &["--shard", "6/6 has nothing to do", "5 batches"][..]),
        (&format!("{SAMPLE} --shard 0/3"), &["1/3, 2/3 or 3/3"]),
        (&format!("{SAMPLE} --shard 1/3 --json"), &["--shard", "--json"]),
        (&format!("{SAMPLE} --shard 1/3 --out a.txt"), &["--out", ".png or .npy"]),
        (&format!("{LIKELIHOOD} --shard 1/3"), &["--shard", "--out", ".json"]),
        (&format!("{LIKELIHOOD} --out a.txt"), &["--out", "use .json"]),
        (&format!("{ENCODE} --out a.png --shard 1/3"), &["--out", "use .npy"]),
        (&format!("{ENCODE} --fit pad"), &["--fit", "--image"]),
        (&format!("{ENCODE} --count 0").replace("--count 5 ", ""), &["--count", "1 to 1000000"]),
        (
            &format!("{ENCODE} --model avatars").replace("--model mnist-weak ", ""),
            &["--dataset", "[1, 28, 28]"],
        ),
        ("encode", &["--image"]),
        ("encode --image black.png --dataset synthetic", &["--image", "--dataset"]),
        ("encode --image black.png --count 3", &["--image", "--count"]),
        ("encode --image black.png --shard 1/2", &["--image", "--shard"]),
        ("decode --latent a.npy --shard 1/2", &["--shard"]),
        ("evaluate merge a b", &["merge"]),
    ] {
        bad(at, command, 2, words);
    }
    bad(at, &format!("{SAMPLE} --shard 1/3 --out nodir/a.png"), 1, &["create the folder first"]);
    assert_eq!(crate::program::files(at), ["black.png"]);
}
