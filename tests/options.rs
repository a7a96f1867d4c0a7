//! Options of samplers: every one that is allowed is taken, and every other one is refused.

use pollster::block_on;
use scorefield::Error;
use scorefield::model::Learned;
use scorefield::rng::Noise;
use scorefield::run::Run;
use scorefield::sampler::{OptionKind, Sampler};
use serde_json::json;

use crate::samplers::vp;
use crate::support::{GAUSSIAN, analytic, mixture, options_of, trials};

trials! {
    cpu: [
        options_out_of_range_are_refused,
        every_choice_of_a_method_is_promised_something,
    ],
}

fn options_out_of_range_are_refused() {
    let model = analytic(&mixture(GAUSSIAN), vp());
    for sampler in Sampler::all() {
        let info = sampler.info();
        for option in info.options {
            let set = |value: serde_json::Value| {
                let options = [(option.name.to_string(), value)].into_iter().collect();
                Sampler::with_options(info.name, &options)
            };
            let (good, bad) = match option.kind {
                OptionKind::Number { min, max, integer, .. } => {
                    let whole = |value: f64| if integer { json!(value as i64) } else { json!(value) };
                    (vec![whole(min), whole(max)], vec![whole(min - 1.0), whole(max + 1.0), json!("1")])
                }
                OptionKind::Choice { choices } => {
                    let names = choices.iter().map(|choice| json!(choice.name)).collect();
                    (names, vec![json!("nothing"), json!(""), json!(0)])
                }
            };
            for good in good {
                let chosen = set(good.clone()).unwrap();
                let stored = serde_json::to_value(&chosen).unwrap();
                let same = stored[option.name] == good || stored[option.name].as_f64() == good.as_f64();
                assert!(same, "{} {}: {stored}", info.name, option.name);
                assert_eq!(serde_json::from_value::<Sampler>(stored).unwrap(), chosen);
            }
            for bad in bad.into_iter().chain([json!(null), json!([1])]) {
                let message = set(bad.clone()).unwrap_err().to_string();
                assert!(message.contains(option.name), "{bad}: {message}");
                // What did not come through `with_options`, from a link for instance, is caught by `sample`.
                let mut stored = serde_json::to_value(&sampler).unwrap();
                stored[option.name] = bad;
                if let Ok(unchecked) = serde_json::from_value::<Sampler>(stored) {
                    let result = block_on(unchecked.sample(&model, &Noise::new(1), 1, &mut Run::default()));
                    assert!(matches!(result, Err(Error::Config { .. })), "{unchecked:?}");
                }
            }
        }
        let unknown = [("n_stepz".to_string(), json!(3))].into_iter().collect();
        assert!(Sampler::with_options(info.name, &unknown).is_err());
    }
    assert!(matches!(Sampler::named("rk45"), Err(Error::Config { .. })));
}

/// Choices that are methods of their own have claims to be held to, as have the options' defaults. A consistency function
/// leaves nothing to a method but to apply it; see the tests there.
fn every_choice_of_a_method_is_promised_something() {
    let claims: Vec<Sampler> = Sampler::claims().into_iter().map(|claim| claim.method).collect();
    for sampler in Sampler::fitting(Learned::Score) {
        let info = sampler.info();
        let of_it: Vec<_> = claims.iter().filter(|claimed| claimed.info().name == info.name).collect();
        assert!(!of_it.is_empty(), "{} promises nothing", info.name);
        let methods = ["predictor", "corrector", "variance"];
        for option in info.options.iter().filter(|option| methods.contains(&option.name)) {
            let OptionKind::Choice { choices } = option.kind else { panic!("{} is no choice", option.name) };
            for choice in choices {
                let promised = of_it.iter().any(|claimed| options_of(claimed)[option.name] == choice.name);
                assert!(promised, "{} = {} promises nothing", option.name, choice.name);
            }
        }
    }
}
