//! Samplers and models that do not fit each other: one needs what the other does not give.

use serde_json::{Value, json};

use super::{
    harness::Gpu,
    site::{Site, dist},
    visit::{GENERATE, INTERPOLATE, Visit},
};
use crate::support::trials;

trials! { cpu: [a_model_is_offered_the_samplers_that_fit_it] }

/// The model and the samplers that are said to be of another sort than they are: the page has to take their word. The
/// sampler `multistep` is of that sort.
const OTHER: &str = "mnist-ve";
const FITTING: [&str; 2] = ["euler", "heun"];

fn site() -> Site {
    Site::serve_altered(dist().expect("a built page"), |path, bytes| match path {
        "models/manifest.json" => {
            let mut models: Vec<Value> = serde_json::from_slice(&bytes?).expect("the list of models");
            let other = models.iter_mut().find(|model| model["name"] == OTHER);
            other.expect("it is shipped")["gives"] = json!("consistency");
            Some(serde_json::to_vec(&models).expect("JSON"))
        }
        "engine/worker.js" => {
            let script = String::from_utf8(bytes?).expect("a script");
            let samplers = format!(
                "session.samplers().map((s) => ({}.includes(s.name) ? {{ ...s, needs: 'consistency' }} : s))",
                json!(FITTING)
            );
            assert!(script.contains("session.samplers()"));
            Some(script.replace("session.samplers()", &samplers).into())
        }
        _ => bytes,
    })
}

fn a_model_is_offered_the_samplers_that_fit_it() {
    let mut visit = Visit::to(site(), Gpu::None);
    visit.open("#task=generate&device=cpu&model=mnist-vp&sampler=pc&count=1&n_steps=3");
    let offered = |visit: &mut Visit| -> Vec<String> {
        let names =
            visit.browser.eval("Array.from(document.querySelector('#sampler').options, (o) => o.value)");
        serde_json::from_value(names).expect("names")
    };
    let usual = offered(&mut visit);
    assert!(
        usual.contains(&"pc".into()) && FITTING.iter().all(|name| !usual.contains(&(*name).into())),
        "{usual:?}"
    );

    // What was chosen for one model comes back with it.
    visit.set("#generate-model", OTHER);
    let mut others = offered(&mut visit);
    others.sort();
    assert_eq!(others, [&FITTING[..], &["multistep"]].concat());
    visit.start(GENERATE);
    visit.finish(GENERATE);
    visit.set("#generate-model", "mnist-vp");
    assert_eq!(visit.browser.eval("document.querySelector('#sampler').value"), "pc");
    assert_eq!(visit.browser.eval("document.querySelector('#generate [name=n_steps]').value"), "3");
    visit.assert_clean();

    // Interpolation has no other sampler.
    visit.set("#generate-model", OTHER);
    visit.turn_to(INTERPOLATE);
    let refusal = "This model cannot encode pictures: that takes a score, which it does not give.";
    assert_eq!(visit.text("#interpolate-refused"), refusal);
    visit.start(INTERPOLATE);
    assert_eq!(visit.alert(), refusal);

    // A link that asks for what does not fit is corrected, and does not start.
    visit.open(&format!("#task=generate&device=cpu&model={OTHER}&sampler=pc&count=1&run=1"));
    let alert = visit.alert();
    assert!(alert.contains("sampler “pc”, which does not fit the model mnist-ve"), "{alert}");
    assert!(!visit.hash().contains("run=1"), "{}", visit.hash());
    visit.browser.assert_console_clean();
}
