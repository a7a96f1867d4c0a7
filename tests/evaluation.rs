//! Evaluations as a user runs them: interrupted, divided, put together, and wrong.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use scorefield::evaluation::Judged;
use scorefield::weights::ModelFile;
use serde_json::Value;

use crate::program::{bad, good, run, scorefield};
use crate::support::trials;

trials! {
    cpu: [
        shards_and_interruptions_change_nothing,
        options_are_those_that_were_asked_for,
        what_does_not_belong_together_is_refused,
        an_interrupted_evaluation_goes_on,
        numbers_are_saved_into_the_card,
        classes_are_asked_for_in_turn,
    ],
}

/// Eight samples of two samplers in three batches, and two images' likelihood.
const SMALL: &str = "evaluate --device cpu --dataset synthetic --samplers heun,ode --nfe 3,33 --count 8 --batch 3 \
                     --likelihood 2 --seed 5";

/// The results in a folder, as text.
fn results(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("results.json")).unwrap()
}

/// Row `k` of the results.
fn row(results: &str, k: usize) -> Value {
    serde_json::from_str::<Value>(results).unwrap()["rows"][k].clone()
}

fn shards_and_interruptions_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let table = good(at, &format!("{SMALL} --out whole"));
    assert_eq!(table.lines().filter(|line| line.starts_with('|')).count(), 2 + 1 + 3, "{table}");
    assert!(table.contains("bits/dim on 2 test images of synthetic"), "{table}");
    let whole = results(&at.join("whole"));
    let heun = row(&whole, 1);
    assert_eq!((heun["nfe"].as_u64(), heun["count"].as_u64()), (Some(3), Some(8)));
    let images: u64 = heun["histogram"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(images, 8);
    assert!(image::open(at.join("whole/results.png")).is_ok());

    // Every number, bit by bit: the text of the numbers is exact.
    good(at, &format!("{SMALL} --out a --shard 1/2"));
    // As the second task of an array.
    let task = [("ID", "1"), ("COUNT", "2"), ("MIN", "0"), ("MAX", "1"), ("STEP", "1")];
    let task = task.map(|(name, value)| (format!("SLURM_ARRAY_TASK_{name}"), value));
    let output = scorefield(at, &format!("{SMALL} --out b --shard auto")).envs(task).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "b: shard 2/2 is done\n");
    good(at, "merge b a --out merged");
    assert_eq!(results(&at.join("merged")), whole);

    // What is missing is drawn again, to the bit; what is there is not.
    let batch = |k: usize| at.join(format!("whole/00-heun/0000{k}.safetensors"));
    std::fs::remove_file(batch(1)).unwrap();
    std::fs::remove_file(at.join("whole/likelihood/00000.safetensors")).unwrap();
    good(at, &format!("{SMALL} --out whole"));
    assert_eq!(results(&at.join("whole")), whole);
    let mut other = Judged::load(&batch(0), 3).unwrap();
    other.nfe = 300;
    other.save(&batch(0)).unwrap();
    good(at, &format!("{SMALL} --out whole"));
    assert_eq!(row(&results(&at.join("whole")), 1)["nfe"], (3 * 300 + 5 * 3) / 8);
}

/// Of a consistency model too, which nobody has to tell of its sampler.
fn options_are_those_that_were_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let start = "evaluate --device cpu --dataset synthetic --count 4 --batch 4";
    good(at, &format!("{start} --model mnist-cm --option n_steps=2 --option last_sigma=0.5 --out leaps"));
    let leaps = row(&results(&at.join("leaps")), 1);
    assert_eq!(leaps["nfe"], 2);
    assert_eq!(leaps["options"]["name"], "multistep");
    assert_eq!(leaps["options"]["last_sigma"], 0.5);
    good(at, &format!("{start} --samplers heun --nfe 5 --option s_churn=3 --out churned"));
    let churned = row(&results(&at.join("churned")), 1);
    assert_eq!((&churned["options"]["s_churn"], &churned["nfe"]), (&3.0.into(), &5.into()));
}

fn what_does_not_belong_together_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let few = "evaluate --device cpu --dataset synthetic --samplers ddim --nfe 2 --count 6 --batch 2";
    for shard in 1..=3 {
        good(at, &format!("{few} --shard {shard}/3 --out s{shard}"));
    }
    good(at, &format!("{few} --shard 2/2 --out half"));
    good(at, &format!("{few} --shard 3/3 --seed 1 --out seed"));
    bad(at, "merge s1 s3", 2, &["lacks shard 2/3"]);
    bad(at, "merge s1", 2, &["lacks shard 2/3, 3/3"]);
    bad(at, "merge s1 s2 s3 s2", 2, &["both shard 2/3", "once"]);
    bad(at, "merge s1 half s3", 2, &["do not belong together", "2/2"]);
    bad(at, "merge s1 s2 seed", 2, &["do not belong together", "seed = 1, not 0"]);
    bad(at, "merge s1 s2 nothing", 1, &["nothing", "`evaluate` has written"]);
    bad(at, "merge", 2, &["FOLDERS"]);
    let said = good(at, "merge s3 s1 s2 --status");
    assert_eq!(said, "3 of 3 shards are there\n");
    assert!(!at.join("s3/results.json").exists(), "nothing is merged");
    std::fs::remove_file(at.join("s2/00-ddim/00001.safetensors")).unwrap();
    bad(at, "merge s1 s2 s3", 1, &["s2", "not finished", "repeat"]);
    let lacks = run(at, "merge s2 s1 --status");
    assert_eq!(lacks.status.code(), Some(1));
    let said = String::from_utf8_lossy(&lacks.stdout).into_owned();
    assert_eq!(
        said,
        "2 of 3 shards are there\nmissing shards: 3 (of 3)\ns2 (shard 2/3): 00-ddim is missing, batch 1\n"
    );
    let said: Value = serde_json::from_slice(&run(at, "merge s1 s2 --status --json").stdout).unwrap();
    assert_eq!((&said["complete"], &said["missing_shards"]), (&false.into(), &serde_json::json!(["3/3"])));
    assert_eq!(said["missing"][0]["batches"], serde_json::json!([1]));
    bad(at, "merge s1 s2 seed --status", 2, &["do not belong together", "seed = 1, not 0"]);
    bad(at, "merge s1 s2 s3 --status --out merged", 2, &["--status", "--out"]);
    good(at, &format!("{few} --shard 2/3 --out s2"));
    std::fs::write(at.join("s3/00-ddim/00002.safetensors"), "half a file").unwrap();
    bad(at, "merge s1 s2 s3", 1, &["00002.safetensors", "delete the file"]);
    std::fs::write(at.join("s3/settings.json"), "{}").unwrap();
    bad(at, "merge s1 s2 s3", 1, &["settings.json", "not an evaluation"]);

    for (changed, word) in [
        ("--nfe 2 --count 7 --batch 2 --shard 1/3", "count = 6, not 7"),
        ("--nfe 2 --count 6 --batch 1 --shard 1/3", "batch = 2, not 1"),
        ("--nfe 2 --count 6 --batch 2 --shard 1/3 --seed 9", "seed = 0, not 9"),
        ("--nfe 3 --count 6 --batch 2 --shard 1/3", "samplers"),
        ("--nfe 2 --count 6 --batch 2 --shard 1/3 --model mnist-ve", "mnist-ve"),
        ("--nfe 2 --count 6 --batch 2 --shard 1/3 --weaker mnist-weak", "weaker = null, not {"),
        ("--nfe 2 --count 6 --batch 2 --shard 2/3", "shard = \"1/3\", not \"2/3\""),
    ] {
        let command = format!("evaluate --device cpu --dataset synthetic --samplers ddim --out s1 {changed}");
        bad(at, &command, 2, &["--out", "another folder", word]);
    }
    for (wrong, words) in [
        ("--shard 4/3", &["1/3, 2/3 or 3/3"][..]),
        ("--shard 0/3", &["1/3, 2/3 or 3/3"]),
        ("--shard 4/4", &["nothing to do", "3 batches"]),
        ("--shard 1/3 --save", &["--save"]),
        ("--save", &["shipped"]),
        ("--classifier mnist-vp", &["not a classifier"]),
    ] {
        let code = if wrong.starts_with("--classifier") { 1 } else { 2 };
        bad(at, &format!("{few} {wrong} --out wrong"), code, words);
    }
    let start = "evaluate --device cpu --dataset synthetic --out wrong";
    bad(at, &format!("{start} --count 3"), 2, &["--count", "4 to"]);
    bad(at, &format!("{start} --batch 0"), 2, &["--batch"]);
    bad(at, &format!("{start} --samplers ode,pc --nfe 2"), 2, &["ode cannot work with 2", "raise --nfe"]);
    bad(at, &format!("{start} --samplers leapfrog"), 2, &["dpmpp_2m"]);
    bad(at, &format!("{start} --samplers ddim --option eta"), 2, &["NAME=VALUE"]);
    bad(at, &format!("{start} --samplers ddim --option s_churn=1"), 2, &["s_churn", "eta"]);
}

fn an_interrupted_evaluation_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let long = "evaluate --device cpu --dataset synthetic --samplers ddim --nfe 4 --count 100000 --batch 2 --out long";
    let child = scorefield(at, long).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let patience = Instant::now() + Duration::from_secs(120);
    while !at.join("long/00-ddim/00001.safetensors").exists() {
        assert!(Instant::now() < patience, "no batch was drawn in two minutes");
        std::thread::sleep(Duration::from_millis(20));
    }
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(interrupt.success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "Ctrl-C keeps what is drawn and is no failure");
    assert!(said.contains("the same command goes on"), "{said}");
    let files = std::fs::read_dir(at.join("long/00-ddim")).unwrap().count();
    for batch in 0..files {
        Judged::load(&at.join(format!("long/00-ddim/{batch:05}.safetensors")), 2).unwrap();
    }
}

fn numbers_are_saved_into_the_card() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let model = at.join("mine.safetensors");
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/web/models/mnist-vp.safetensors"), &model).unwrap();
    let command = "evaluate --model mine.safetensors --device cpu --dataset synthetic --samplers ddim,heun --nfe 3 \
                   --count 4 --save --json";
    let said = good(at, command);
    let results: Value = serde_json::from_str(&said).unwrap();
    let card = || ModelFile::parse("mine", &std::fs::read(&model).unwrap()).unwrap().card;
    let saved = serde_json::json!(card().quality);
    assert_eq!(saved.as_array().unwrap().len(), 2);
    for (saved, row) in saved.as_array().unwrap().iter().zip(&results["rows"].as_array().unwrap()[1..]) {
        for field in ["sampler", "nfe", "count", "recognised", "class_entropy", "frechet"] {
            assert_eq!(saved[field], row[field], "{field}");
        }
    }
    // The card's own figures do not make it another model.
    assert_eq!(good(at, command), said);
}

/// Across the borders of batches; guided, nearly all digits are the right ones.
fn classes_are_asked_for_in_turn() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let asked =
        "--device cpu --dataset synthetic --samplers heun --option n_steps=9 --count 40 --batch 7 --by-class";
    let table = good(at, &format!("evaluate --model mnist-class-vp {asked} --guidance 3 --out guided"));
    let guided = row(&results(&at.join("guided")), 1);
    let right = guided["right"].as_f64().unwrap();
    assert!(right > 0.9, "{table}");
    assert!(
        table.contains(&format!("{:.1} % are of the class asked for at guidance 3.", 100.0 * right)),
        "{table}"
    );
    assert_eq!(guided["nfe"], 34, "two evaluations each");
    assert!(row(&results(&at.join("guided")), 0).get("right").is_none(), "nobody asked real images");
    let both = "--weaker mnist-weak --weaker-weight 1.5 --out weaker --count 4";
    let table = good(
        at,
        &format!("evaluate --model mnist-vp --device cpu --dataset synthetic --samplers ddim --nfe 4 {both}"),
    );
    assert!(table.contains("Guided by its weaker version `mnist-weak`, weight 1.5."), "{table}");
    assert_eq!(row(&results(&at.join("weaker")), 1)["nfe"], 8, "an evaluation of both each");
    bad(at, &format!("evaluate {asked}"), 2, &["--by-class", "learned classes"]);
    bad(at, "evaluate --guidance 2", 2, &["--by-class"]);
}
