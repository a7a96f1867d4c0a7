//! Model cards that lie: absurd sizes, numbers out of range, networks that do not exist.

use std::time::Instant;

use scorefield::Error;
use scorefield::sde::{AnySde, VpSde};
use scorefield::weights::{FORMAT, ModelFile, Precision};
use serde_json::{Value, json};

use crate::support::{cpu, trials};
use crate::weights::{file, load, opened, raw, refused, tiny};

trials! {
    cpu: [
        absurd_networks_are_refused_before_they_are_built,
        cards_out_of_range_are_refused,
    ],
}

/// A good file whose card `change` has changed.
fn with_card(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let (mut header, data) = opened(&file(&tiny(), Precision::F16));
    let mut card: Value =
        serde_json::from_str(header["__metadata__"]["scorefield"].as_str().unwrap()).unwrap();
    change(&mut card);
    header["__metadata__"]["scorefield"] = json!(card.to_string());
    let mut bytes = raw(&header, 0);
    bytes.extend_from_slice(&data);
    bytes
}

/// The last of these would have 154 GB in a single weight.
fn absurd_networks_are_refused_before_they_are_built() {
    load(&with_card(|_| {})).unwrap();
    let started = Instant::now();
    for config in [
        json!({"channels": 1024}),
        json!({"multipliers": [64]}),
        json!({"multipliers": [1, 1, 1, 1, 1, 1, 1, 64]}),
        json!({"blocks": 16}),
        json!({"patch": 16}),
        json!({"channels": 1024, "multipliers": [64, 64, 64, 64, 64, 64, 64, 64], "blocks": 16, "patch": 16}),
        json!({"channels": usize::MAX}),
        json!({"multipliers": [usize::MAX]}),
        json!({"multipliers": []}),
        json!({"patch": 0}),
        json!({"channels": 0}),
        json!({"channels": 6}),
        json!({"blocks": 0}),
        json!({"attention_levels": [1]}),
        json!({"attention_levels": [0]}),
        json!({"depth": 3}),
    ] {
        let bytes = with_card(|card| {
            for (key, value) in config.as_object().unwrap() {
                card["architecture"]["config"][key] = value.clone();
            }
        });
        refused(&bytes, &config.to_string());
    }
    // Attention over a million pixels would need 4 TB.
    let bytes = with_card(|card| {
        (card["height"], card["width"]) = (json!(1024), json!(1024));
        (card["architecture"]["config"]["attention_levels"], card["architecture"]["config"]["patch"]) =
            (json!([0]), json!(1));
    });
    assert!(refused(&bytes, "attention over a million pixels").contains("attends"));
    // A list of millions.
    let long = vec![0; 2_000_000];
    refused(
        &with_card(|card| card["architecture"]["config"]["attention_levels"] = json!(long)),
        "many levels",
    );
    for change in [json!({"channels": 512}), json!({"features": 2048}), json!({"classes": 1000})] {
        let bytes = with_card(|card| {
            card["architecture"] = json!({"kind": "classifier", "config": change});
            card.as_object_mut().unwrap().remove("sde");
        });
        let result = ModelFile::parse("test", &bytes).and_then(|file| file.classifier(&cpu()));
        assert!(matches!(result, Err(Error::Weights { .. })), "{change}");
    }
    assert!(started.elapsed().as_secs() < 10, "{:?}: something large was built", started.elapsed());
}

fn cards_out_of_range_are_refused() {
    for (field, value) in [
        ("/format", json!(FORMAT + 1)),
        ("/channels", json!(2)),
        ("/channels", json!(0)),
        ("/height", json!(0)),
        ("/width", json!(1025)),
        ("/width", json!(-8)),
        ("/sigma_data", json!(0.0)),
        ("/sigma_data", json!(-1.0)),
        ("/sigma_data", json!(null)),
        ("/range/low", json!(1.0)),
        ("/sde/sigma_min", json!(0.0)),
        ("/sde/sigma_max", json!(0.01)),
        ("/sde/sigma_max", json!(-5.0)),
        ("/sde/kind", json!("sub-vp")),
        ("/sde", json!({"kind": "vp", "beta_min": 20.0, "beta_max": 0.1})),
        ("/sde", json!({"kind": "vp", "beta_min": 0.1})),
        ("/sde", json!(null)),
        ("/architecture/kind", json!("transformer")),
        ("/architecture/preconditioning", json!({"kind": "edm", "sigma_data": 0.0})),
        ("/architecture/preconditioning", json!({"kind": "none"})),
        ("/name", json!(3)),
        ("/training", json!({})),
    ] {
        let bytes = with_card(|card| *card.pointer_mut(field).unwrap() = value.clone());
        refused(&bytes, &format!("{field} = {value}"));
    }
    refused(&with_card(|card| card["data_mean"] = json!(1.5)), "a mean outside the range");
    refused(&with_card(|card| card["colour"] = json!("red")), "an unknown field");
    refused(&with_card(|card| *card = json!([])), "a list as card");
    let (mut header, data) = opened(&file(&tiny(), Precision::F16));
    header.as_object_mut().unwrap().remove("__metadata__");
    let mut bytes = raw(&header, 0);
    bytes.extend_from_slice(&data);
    assert!(refused(&bytes, "no card").contains("card"));
    let good = with_card(|card| card["sde"] = json!(AnySde::Vp(VpSde::default())));
    load(&good).unwrap();
}
