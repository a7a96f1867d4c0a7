//! The task "Word": a text whose letters all begin in the same noise.

use std::{fs, thread, time::Duration};

use pollster::block_on;
use scorefield::flow::normals_between;
use scorefield::rng::Noise;
use scorefield::run::Run;
use scorefield::sampler::Sampler;
use serde_json::json;

use super::{
    harness::Gpu,
    models::{self, LETTERS},
    native::TOLERANCE,
    visit::Visit,
};
use crate::support::{figure, relative_error, trials, values};

trials! {
    cpu: [
        letters_begin_in_one_noise_as_natively,
        a_word_of_known_letters_is_only_set_anew,
        a_link_writes_the_same_word_again,
        a_word_is_saved_as_outlines,
        without_a_model_of_letters_nothing_is_written,
    ],
}

const WORD: &str = "#word";
const LINK: &str = "#task=word&device=cpu&writer=test-letters&word=Baobab&face=3&other=4&between=0.3";

fn visit() -> Visit {
    Visit::to(models::site_with(&[LETTERS]), Gpu::None)
}

/// On the CPU by two workers, of which each gets some of the classes.
fn letters_begin_in_one_noise_as_natively() {
    // B, a, o, b: each letter once.
    let classes = [1, 26, 40, 27];
    let model = models::native(LETTERS).classes_model(classes.to_vec(), 1.0).expect("classes");
    let normals = normals_between(&Noise::new(3), &Noise::new(4), 0.3, model.dim()).expect("a share");
    let heun = Sampler::with_options("heun", json!({ "n_steps": 10 }).as_object().unwrap()).expect("options");
    let latent = model.upload(&normals).repeat_dim(0, 4);
    let drawn = block_on(heun.sample_from(&model, vec![latent], &mut Run::default())).expect("letters");
    let drawn = values(drawn.images);
    for (device, gpu) in [("cpu", Gpu::None), ("gpu", Gpu::Software)] {
        let mut visit = Visit::to(models::site_with(&[LETTERS]), gpu);
        visit.open(&LINK.replace("device=cpu", &format!("device={device}")));
        visit.listen();
        visit.start(WORD);
        visit.finish(WORD);
        let (request, found) = visit.heard();
        assert_eq!(request["classes"], json!(classes));
        let error = relative_error(&found, &drawn);
        figure(format_args!("four letters of one noise, {device}: {error:.1e}"));
        assert!(error < TOLERANCE, "{device}: {error:.1e}");
        visit.assert_clean();
    }
}

fn a_word_of_known_letters_is_only_set_anew() {
    let mut visit = visit();
    visit.open(LINK);
    visit.start(WORD);
    visit.finish(WORD);
    let before = visit.picture("#word canvas");
    visit.listen();
    visit.set("#text", "Boa");
    let after = visit.picture("#word canvas");
    assert_ne!(before, after);
    assert!(
        after.width < before.width || after.height != before.height,
        "three letters are shorter than six"
    );
    assert_eq!(visit.browser.eval("asked"), json!(null), "nothing is drawn for it");
    // Another letter is.
    visit.set("#text", "Boat");
    visit.finish(WORD);
    assert_eq!(visit.heard().0["classes"], json!([1, 40, 26, 45]));
    visit.assert_clean();
}

fn a_link_writes_the_same_word_again() {
    let mut visit = visit();
    visit.open(LINK);
    visit.start(WORD);
    visit.finish(WORD);
    assert_eq!(visit.hash(), format!("{LINK}&run=1"));
    let written = visit.picture("#word canvas");
    visit.browser.reopen();
    visit.ready();
    visit.finish(WORD);
    assert_eq!(visit.picture("#word canvas"), written);
    visit.click("#word .dice");
    visit.finish(WORD);
    assert_ne!(visit.picture("#word canvas"), written, "another face");
    visit.assert_clean();
}

fn a_word_is_saved_as_outlines() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut visit = visit();
    visit
        .browser
        .call("Page.setDownloadBehavior", json!({"behavior": "allow", "downloadPath": folder.path()}));
    visit.open(LINK);
    visit.start(WORD);
    visit.finish(WORD);
    visit.click("#word .save-svg");
    visit.click("#word .save-png");
    let read = |ending: &str| {
        let file = folder.path().join(format!("Baobab-face3.{ending}"));
        let found = (0..200).find_map(|_| {
            thread::sleep(Duration::from_millis(50));
            fs::read(&file).ok().filter(|bytes| !bytes.is_empty())
        });
        found.unwrap_or_else(|| panic!("no {ending}"))
    };
    let svg = String::from_utf8(read("svg")).expect("text");
    assert!(svg.starts_with("<svg xmlns=") && svg.contains("<title>Baobab</title>"), "{svg}");
    let paths: Vec<&str> = svg.split(" d=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(paths.len(), 6);
    assert!(paths[1] == paths[4] && paths[3] == paths[5] && paths[0] != paths[1], "both a, both b");
    assert!(image::load_from_memory(&read("png")).is_ok());
    visit.assert_clean();
}

fn without_a_model_of_letters_nothing_is_written() {
    let empty = models::altered_site_with(&[], |path, bytes| match path {
        "models/manifest.json" => {
            let mut all: Vec<serde_json::Value> = serde_json::from_slice(&bytes?).expect("the list");
            all.retain(|model| model["card"]["class_names"].as_array().is_none_or(|names| names.len() < 52));
            Some(serde_json::to_vec(&all).expect("JSON"))
        }
        _ => bytes,
    });
    let mut visit = Visit::to(empty, Gpu::None);
    visit.open("#task=word&device=cpu");
    assert_eq!(visit.browser.eval("document.querySelector('#word .start').disabled"), true);
    assert!(visit.text("#word-refused").contains("no model here that has learned the letters"));
    visit.open("#task=word&device=cpu&writer=test-letters");
    assert!(visit.alert().contains("“test-letters”, which is not here"), "{}", visit.alert());
    visit.browser.assert_console_clean();
}
