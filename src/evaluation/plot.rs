use super::{Results, Row};
use crate::picture::chart::{Axis, Chart, Mark, PALETTE, Series, number};

/// The Fréchet distance over the counted NFE, one line for each sampler; the pale line is real images.
pub fn quality_by_nfe(results: &Results) -> Chart {
    let frechet = |row: &Row| row.quality.frechet;
    let (real, drawn): (Vec<&Row>, Vec<&Row>) = results.rows.iter().partition(|row| row.options.is_none());
    let x = Axis::around("network evaluations (NFE)", drawn.iter().map(|row| row.quality.nfe as f64), true);
    let y = Axis::around("Fréchet distance", results.rows.iter().map(frechet), true);
    let mut series: Vec<Series> = real
        .iter()
        .map(|row| Series {
            label: "real images".into(),
            points: x.range.map(|nfe| (nfe, frechet(row))).to_vec(),
            colour: [0x33, 0x38, 0x40],
            mark: Mark::Faint,
        })
        .collect();
    let mut names: Vec<&str> = Vec::new();
    for row in &drawn {
        let name = row.options.as_ref().map_or("", |sampler| sampler.info().name);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for (k, name) in names.into_iter().enumerate() {
        let rows = drawn.iter().filter(|row| row.options.as_ref().is_some_and(|s| s.info().name == name));
        let mut points: Vec<(f64, f64)> = rows.map(|row| (row.quality.nfe as f64, frechet(row))).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        series.push(Series {
            label: name.into(),
            points,
            colour: PALETTE[k % PALETTE.len()],
            mark: Mark::Dotted,
        });
    }
    let settings = &results.settings;
    let title = format!("{}: {} samples for each point", settings.model, number(settings.count as f64));
    Chart { title, size: [960, 600], x, y, series }
}
