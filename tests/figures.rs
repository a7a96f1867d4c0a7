//! The figures of docs/GALLERY.md, made small, and what their numbers have to show.

use std::path::Path;

use scorefield::figures::NAMES;
use serde_json::Value;

use crate::program::{bad, files, good, run};
use crate::support::{figure, trials};

trials! {
    cpu: [
        langevin_dynamics_misses_the_weights_and_annealing_finds_them,
        scores_are_learned_where_the_data_are,
        every_figure_is_made_and_in_the_gallery,
        figures_that_cannot_be_made_say_why,
    ],
}

const FEW: &str = "figures --device cpu --dataset synthetic --count 4 --out made";

fn numbers(folder: &Path, name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder.join(format!("made/{name}.json"))).unwrap()).unwrap()
}

/// 400 samples: a standard error of 0.02 at 0.2.
fn langevin_dynamics_misses_the_weights_and_annealing_finds_them() {
    let folder = tempfile::tempdir().unwrap();
    good(folder.path(), "figures --device cpu --only langevin --count 40 --out made");
    let numbers = numbers(folder.path(), "langevin");
    let weight = |name: &str| numbers[name]["weight"]["mean"].as_f64().unwrap();
    figure(format_args!(
        "weight 0.2: Langevin {:.3}, annealed {:.3}",
        weight("langevin"),
        weight("annealed")
    ));
    assert!((weight("annealed") - 0.2).abs() < 0.08, "{numbers}");
    assert!((weight("langevin") - 0.5).abs() < 0.1, "{numbers}");
    assert_eq!(
        (numbers["langevin"]["nfe"].as_u64(), numbers["annealed"]["nfe"].as_u64()),
        (Some(1001), Some(1001))
    );
}

/// The score of two modes is learned where their points are, and not between them; an average is nearer to it than the
/// weights on the way.
fn scores_are_learned_where_the_data_are() {
    let folder = tempfile::tempdir().unwrap();
    good(folder.path(), "figures --device cpu --only low_density --only averages --count 20 --out made");
    let error = numbers(folder.path(), "low_density")["relative_error"].clone();
    let [inside, elsewhere] =
        ["within_three_deviations_of_a_mode", "elsewhere"].map(|part| error[part].as_f64().unwrap());
    figure(format_args!("error {inside:.3} among the data, {elsewhere:.3} elsewhere"));
    assert!(inside < 0.25 && elsewhere > 2.0 * inside, "{error}");
    let averages = numbers(folder.path(), "averages")["averages"].clone();
    let mean = |i: usize| {
        let errors: Vec<f64> =
            averages[i]["errors"].as_array().unwrap()[5..20].iter().map(|e| e[1].as_f64().unwrap()).collect();
        errors.iter().map(|error| error.ln()).sum::<f64>() / 15.0
    };
    figure(format_args!(
        "mean log error {:.2} of the weights, {:.2} averaged over a tenth",
        mean(0),
        mean(2)
    ));
    assert!(mean(2) < mean(0) - 0.3, "{averages}");
}

fn every_figure_is_made_and_in_the_gallery() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let said = good(at, FEW);
    let gallery = include_str!("../docs/GALLERY.md");
    for name in NAMES {
        // Of another model than the usual one, whose name is then behind it.
        let shown = [".png", "-"].iter().any(|end| gallery.contains(&format!("(figures/{name}{end}")));
        assert!(shown, "docs/GALLERY.md lacks {name}");
        if *name == "colorization" {
            continue;
        }
        assert!(said.contains(&format!("{name}.png")), "{said}");
        let picture = image::open(at.join(format!("made/{name}.png"))).unwrap().into_rgb8();
        let first = *picture.get_pixel(0, 0);
        assert!(picture.pixels().any(|pixel| *pixel != first), "{name} is empty");
    }
    assert_eq!(files(&at.join("made")).len(), 2 * (NAMES.len() - 1));
    let tolerances = &numbers(at, "tolerance")["tolerances"];
    let nfe: Vec<u64> = tolerances.as_array().unwrap().iter().map(|t| t["nfe"].as_u64().unwrap()).collect();
    assert!(nfe.is_sorted() && nfe[0] < nfe[nfe.len() - 1], "{nfe:?}");
    let slopes = numbers(at, "norm")["models"].clone();
    let slopes = slopes.as_array().unwrap().iter().map(|model| model["slope"].as_f64().unwrap());
    assert!(slopes.clone().all(|slope| (-1.05..-0.9).contains(&slope)), "{:?}", slopes.collect::<Vec<_>>());
    assert_eq!(numbers(at, "overlap")["cifar10"]["levels"], 220);
    let encodings = numbers(at, "encodings");
    let cosine = |what: &str| encodings[what]["mean"].as_f64().unwrap();
    assert!(cosine("cosine_same_digit") > cosine("cosine_next_digit") + 0.3, "{encodings}");
    let columns = numbers(at, "annealing")["columns"].clone();
    let sigma: Vec<f64> = columns.as_array().unwrap().iter().map(|c| c["sigma"].as_f64().unwrap()).collect();
    assert!(sigma.is_sorted_by(|a, b| a > b), "{sigma:?}");
}

fn figures_that_cannot_be_made_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    bad(at, &format!("{FEW} --only portrait"), 2, &["portrait", "langevin", "colorization"]);
    bad(at, "figures --count 3", 2, &["--count", "4 or more"]);
    bad(at, &format!("{FEW} --only encodings --second none.safetensors"), 1, &["none.safetensors"]);
    bad(at, "figures --device cpu --only inpainting --count 4", 1, &["mnist", "--data-dir"]);
    let colour = format!("{FEW} --only colorization");
    let said = run(at, &format!("{colour} --color-model none.safetensors"));
    let stderr = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && stderr.contains("--color-model"), "{stderr}");
    let said = run(at, &format!("{colour} --color-model mnist-vp"));
    let stderr = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && stderr.contains("--color-data"), "{stderr}");
    assert_eq!(files(&at.join("made")), [""; 0]);
}
