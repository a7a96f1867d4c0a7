use std::fmt::Write;

use crate::weights::Quality;

/// Qualities as a Markdown table; each row has the name of its model or data set.
pub fn markdown<'a>(rows: impl IntoIterator<Item = (&'a str, &'a Quality)>) -> String {
    let mut text = String::from(
        "| model | sampler | NFE | samples | recognised (p > 0.9) | class entropy, bits | Fréchet distance |\n\
         |---|---|---:|---:|---:|---:|---:|\n",
    );
    for (model, quality) in rows {
        let Quality { sampler, nfe, count, recognised, class_entropy, frechet } = quality;
        let nfe = if *nfe == 0 { "-".into() } else { nfe.to_string() };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {model} | {sampler} | {nfe} | {count} | {:.1} % | {class_entropy:.2} | {frechet:.2} |",
            100.0 * recognised,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_as_many_cells_as_the_head() {
        let quality = Quality {
            sampler: "heun n_steps=18".into(),
            nfe: 35,
            count: 1000,
            recognised: 0.9512,
            class_entropy: 3.301,
            frechet: 12.345,
        };
        let real = Quality { sampler: "real images".into(), nfe: 0, ..quality.clone() };
        let text = markdown([("mnist-vp", &quality), ("mnist", &real)]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines.iter().all(|line| line.matches('|').count() == lines[0].matches('|').count()));
        assert_eq!(lines[2], "| mnist-vp | heun n_steps=18 | 35 | 1000 | 95.1 % | 3.30 | 12.35 |");
        assert!(lines[3].contains("| - |"));
    }
}
