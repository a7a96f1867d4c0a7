//! Options as data: one list from which the command line checks, the page draws, and the docs read.

use serde::Serialize;
use serde_json::{Map, Value};

use super::Sampler;
use crate::model::Learned;
use crate::{Error, Result};

/// A sampler as people meet it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SamplerInfo {
    /// On the command line, in JavaScript and in links.
    pub name: &'static str,
    /// On the page.
    pub title: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// What a model must have learned for it.
    pub needs: Learned,
    /// What can be set.
    pub options: &'static [OptionInfo],
}

/// One setting of a sampler.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OptionInfo {
    /// Field name.
    pub name: &'static str,
    /// Label on the page.
    pub title: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Which values are allowed.
    #[serde(flatten)]
    pub kind: OptionKind,
}

/// The values that an option allows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum OptionKind {
    /// A number.
    Number {
        /// Smallest allowed value.
        min: f64,
        /// Largest allowed value.
        max: f64,
        /// Increment of the page's control.
        step: f64,
        /// Whether only whole numbers are allowed.
        integer: bool,
    },
    /// One of some names.
    Choice {
        /// What can be chosen.
        choices: &'static [Choice],
    },
}

/// One of the names that an option allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// On the command line, in JavaScript and in links.
    pub name: &'static str,
    /// On the page.
    pub title: &'static str,
}

impl OptionInfo {
    pub(super) const fn integer(
        name: &'static str,
        title: &'static str,
        help: &'static str,
        min: u32,
        max: u32,
    ) -> Self {
        let kind = OptionKind::Number { min: min as f64, max: max as f64, step: 1.0, integer: true };
        Self { name, title, help, kind }
    }

    pub(super) const fn real(
        name: &'static str,
        title: &'static str,
        help: &'static str,
        min: f64,
        max: f64,
        step: f64,
    ) -> Self {
        Self { name, title, help, kind: OptionKind::Number { min, max, step, integer: false } }
    }

    pub(super) const fn choice(
        name: &'static str,
        title: &'static str,
        help: &'static str,
        choices: &'static [Choice],
    ) -> Self {
        Self { name, title, help, kind: OptionKind::Choice { choices } }
    }
}

/// `sampler` with some options replaced.
pub(super) fn build(sampler: &Sampler, options: &Map<String, Value>) -> Result<Sampler> {
    let info = sampler.info();
    let mut values = as_map(sampler);
    for (name, value) in options {
        let Some(option) = info.options.iter().find(|option| option.name == name) else {
            let known: Vec<&str> = info.options.iter().map(|option| option.name).collect();
            let fix = format!("{} has {}", info.name, known.join(", "));
            return Err(Error::config("option", format!("`{name}` is not known"), fix));
        };
        check(option, value)?;
        let is_whole = matches!(option.kind, OptionKind::Number { integer: true, .. });
        let whole = value.as_f64().filter(|_| is_whole).map(|v| Value::from(v as u64));
        values.insert(name.clone(), whole.unwrap_or_else(|| value.clone()));
    }
    let built: Sampler = serde_json::from_value(Value::Object(values))
        .map_err(|e| Error::config(info.name, e.to_string(), "check its options"))?;
    built.check()?;
    Ok(built)
}

/// Checks every option of `sampler` against its range, and all together.
pub(super) fn validate(sampler: &Sampler) -> Result<()> {
    let values = as_map(sampler);
    sampler.info().options.iter().try_for_each(|option| check(option, &values[option.name]))?;
    sampler.check()
}

/// The sampler's fields, as in its JSON.
fn as_map(sampler: &Sampler) -> Map<String, Value> {
    match serde_json::to_value(sampler) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

fn check(option: &OptionInfo, value: &Value) -> Result<()> {
    let (allowed, fix) = match option.kind {
        OptionKind::Number { min, max, integer, .. } => {
            let kind = if integer { "a whole number" } else { "a number" };
            let fits = |v: f64| (min..=max).contains(&v) && (!integer || v.fract() == 0.0);
            (value.as_f64().is_some_and(fits), format!("use {kind} from {min} to {max}"))
        }
        OptionKind::Choice { choices } => {
            let names: Vec<&str> = choices.iter().map(|choice| choice.name).collect();
            let known = value.as_str().is_some_and(|name| names.contains(&name));
            (known, format!("use one of {}", names.join(", ")))
        }
    };
    match allowed {
        true => Ok(()),
        false => Err(Error::config(option.name, format!("= {value} is not allowed"), fix)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The registry is one truth: every option exists as a field, its default is inside its range, and
    /// every field is an option.
    #[test]
    fn every_option_is_a_field_and_every_field_an_option() {
        for sampler in Sampler::all() {
            let info = sampler.info();
            let mut fields = as_map(&sampler);
            assert_eq!(fields.remove("name"), Some(info.name.into()));
            for option in info.options {
                let default = fields
                    .remove(option.name)
                    .unwrap_or_else(|| panic!("{} lacks {}", info.name, option.name));
                check(option, &default).unwrap();
            }
            assert!(fields.is_empty(), "{} has hidden fields {fields:?}", info.name);
            assert_eq!(Sampler::named(info.name).unwrap(), sampler);
        }
    }

    #[test]
    fn options_are_set_checked_and_explained() {
        let options = |json: &str| serde_json::from_str::<Map<String, Value>>(json).unwrap();
        let pc = Sampler::with_options("pc", &options(r#"{"n_steps": 7.0, "corrector_snr": 0.2}"#)).unwrap();
        assert_eq!(as_map(&pc)["n_steps"], 7);
        for (json, word) in [
            (r#"{"n_steps": 0}"#, "from 2 to"),
            (r#"{"n_steps": 2.5}"#, "whole number"),
            (r#"{"n_steps": "many"}"#, "whole number"),
            (r#"{"snr": 0.1}"#, "corrector_snr"),
            (r#"{"predictor": "euler"}"#, "one of reverse_diffusion, euler_maruyama, ancestral, none"),
            (r#"{"corrector": 1}"#, "one of langevin, ald, none"),
            (r#"{"predictor": "none", "corrector": "none"}"#, "choose a predictor"),
            (r#"{"predictor": "none", "n_corrector": 0}"#, "choose a predictor"),
        ] {
            let message = Sampler::with_options("pc", &options(json)).unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        }
        let pc =
            Sampler::with_options("pc", &options(r#"{"predictor": "none", "corrector": "ald"}"#)).unwrap();
        assert_eq!(as_map(&pc)["corrector"], "ald");
        let heun = Sampler::with_options("heun", &options(r#"{"s_tmin": 2, "s_tmax": 1}"#));
        assert!(heun.unwrap_err().to_string().contains("s_tmin <= s_tmax"));
        assert!(Sampler::named("leapfrog").unwrap_err().to_string().contains("heun"));
    }
}
