use std::fmt::Write;

use super::{BitsPerDim, Results, Row, Weaker};
use crate::estimate::Estimate;
use crate::picture::chart::number;
use crate::sampler::Sampler;
use crate::weights::Quality;

/// A sampler as in a model card: its name and every option that it was run with.
pub fn describe(sampler: &Sampler) -> String {
    named(sampler, |_, _| true)
}

/// A sampler as in a table: its name and the options that differ from their defaults.
pub fn changes(sampler: &Sampler) -> String {
    let defaults = Sampler::named(sampler.info().name).map(fields).unwrap_or_default();
    named(sampler, |option, value| defaults[option] != *value)
}

fn named(sampler: &Sampler, is_shown: impl Fn(&str, &serde_json::Value) -> bool) -> String {
    let (info, fields) = (sampler.info(), fields(sampler.clone()));
    let shown = info.options.iter().filter(|option| is_shown(option.name, &fields[option.name]));
    shown.fold(info.name.into(), |text, option| match &fields[option.name] {
        serde_json::Value::String(choice) => format!("{text} {}={choice}", option.name),
        number => format!("{text} {}={number}", option.name),
    })
}

fn fields(sampler: Sampler) -> serde_json::Value {
    serde_json::to_value(sampler).unwrap_or_default()
}

/// Results as a Markdown table, and below it the likelihood.
pub fn markdown(results: &Results) -> String {
    let mut text = String::from(
        "| model | sampler | NFE | samples | recognised (p > 0.9) | class entropy, bits | least and most of a class \
         | classifier score | Fréchet distance | kernel distance | precision | recall |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for row in &results.rows {
        let Row { model, options, quality, kernel, precision, recall, classifier_score, histogram, .. } = row;
        let Quality { nfe, count, recognised, class_entropy, frechet, .. } = quality;
        let sampler =
            options.as_ref().map_or("real images".into(), |sampler| format!("`{}`", changes(sampler)));
        let nfe = if options.is_none() { "-".into() } else { nfe.to_string() };
        let (least, most) = (histogram.iter().min().unwrap_or(&0), histogram.iter().max().unwrap_or(&0));
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {model} | {sampler} | {nfe} | {count} | {:.1} % | {class_entropy:.2} | {least}, {most} \
             | {classifier_score:.2} | {frechet:.2} | {} | {precision:.3} | {recall:.3} |",
            100.0 * recognised,
            with_error(*kernel),
        );
    }
    let guidance = results.settings.guidance.map(|guidance| format!("asked for at guidance {guidance}"));
    for (row, right) in results.rows.iter().filter_map(|row| Some((row, row.right?))) {
        let sampler = row.options.as_ref().map(changes).unwrap_or_default();
        let guidance = guidance.as_deref().unwrap_or_default();
        let _ = writeln!(text, "\n`{sampler}`: {:.1} % are of the class {guidance}.", 100.0 * right);
    }
    if let Some(Weaker { model, weight, .. }) = &results.settings.weaker {
        let _ = writeln!(text, "\nGuided by its weaker version `{model}`, weight {weight}.");
    }
    if let Some(caution) = results.settings.caution() {
        let _ = writeln!(text, "\n{caution}");
    }
    if let Some(BitsPerDim { bits, count, nfe }) = results.bits_per_dim {
        let (model, dataset) = (&results.settings.model, &results.settings.dataset);
        let bits = with_error(bits);
        let _ =
            writeln!(text, "\n`{model}`: {bits} bits/dim on {count} test images of {dataset}, {nfe} NFE.");
    }
    text
}

/// Both with as many digits as the error has a use for.
fn with_error(Estimate { mean, error }: Estimate) -> String {
    match error > 0.0 {
        true => {
            let digits = (1.0 - error.log10().floor()).clamp(0.0, 9.0) as usize;
            format!("{mean:.digits$} ± {error:.digits$}")
        }
        false => number(mean),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::Settings;
    use crate::shards::Shard;

    #[test]
    fn a_sampler_is_described_with_all_its_options_or_with_those_that_were_changed() {
        let text = describe(&Sampler::named("heun").unwrap());
        assert!(text.starts_with("heun n_steps=") && text.contains(" rho="), "{text}");
        let text = describe(&Sampler::named("ancestral").unwrap());
        assert!(text.contains(" variance=beta_tilde"), "{text}");
        let ten = Sampler::named("heun").unwrap().within(10).unwrap();
        assert_eq!(
            (changes(&ten).as_str(), changes(&Sampler::named("pc").unwrap()).as_str()),
            ("heun n_steps=5", "pc")
        );
    }

    #[test]
    fn every_row_has_as_many_cells_as_the_head() {
        let quality = Quality {
            sampler: "real images".into(),
            nfe: 0,
            count: 1000,
            recognised: 0.9512,
            class_entropy: 3.301,
            frechet: 12.345,
        };
        let real = Row {
            model: "mnist".into(),
            options: None,
            right: None,
            quality: quality.clone(),
            kernel: Estimate { mean: 0.01234, error: 0.00056 },
            precision: 0.9876,
            recall: 0.5,
            classifier_score: 9.123,
            histogram: vec![90, 110],
        };
        let drawn = Row {
            model: "mnist-vp".into(),
            options: Sampler::named("heun").unwrap().within(10),
            quality: Quality { nfe: 9, ..quality },
            kernel: Estimate { mean: 0.5, error: f64::NAN },
            ..real.clone()
        };
        let settings = Settings {
            model: "mnist-vp".into(),
            model_sha256: String::new(),
            classifier: String::new(),
            classifier_sha256: String::new(),
            class_names: vec![],
            dataset: "mnist".into(),
            test_images: 10_000,
            training_images: 1000,
            count: 1000,
            batch: 100,
            seed: 0,
            guidance: None,
            weaker: None,
            samplers: Vec::new(),
            likelihood: 50,
            shard: Shard::WHOLE,
        };
        let bits = BitsPerDim { bits: Estimate { mean: 2.2942, error: 0.0531 }, count: 50, nfe: 91 };
        let mut results = Results { settings, rows: vec![real, drawn], bits_per_dim: Some(bits) };
        let text = markdown(&results);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 6);
        assert!(lines[..4].iter().all(|line| line.matches('|').count() == lines[0].matches('|').count()));
        assert_eq!(
            lines[2],
            "| mnist | real images | - | 1000 | 95.1 % | 3.30 | 90, 110 | 9.12 | 12.35 | 0.01234 ± 0.00056 | 0.988 | 0.500 |"
        );
        assert!(lines[3].starts_with("| mnist-vp | `heun n_steps=5` | 9 |") && lines[3].contains("| 0.5 |"));
        assert_eq!(lines[5], "`mnist-vp`: 2.294 ± 0.053 bits/dim on 50 test images of mnist, 91 NFE.");

        results.rows[1].right = Some(0.975);
        results.settings.guidance = Some(2.0);
        let says = "`heun n_steps=5`: 97.5 % are of the class asked for at guidance 2.";
        assert_eq!(markdown(&results).lines().filter(|line| *line == says).count(), 1);

        for (count, test_images, few) in
            [(100, 100, false), (99, 1000, true), (1000, 99, true), (4, 1000, true)]
        {
            (results.settings.count, results.settings.test_images) = (count, test_images);
            let says = markdown(&results).contains("precision and recall mean nothing");
            assert_eq!(says, few, "{count} samples, {test_images} test images");
        }
    }
}
