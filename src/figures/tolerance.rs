use serde_json::json;

use super::studio::rms_difference;
use super::{Figure, Outcome, Studio};
use crate::Result;
use crate::flow::Tolerance;
use crate::picture::Picture;
use crate::picture::chart::{Axis, Chart, Mark, PALETTE, Series};
use crate::sampler::{ProbabilityFlow, Sampler};

/// From loose to tight, as `rtol` and `atol` both.
const TOLERANCES: [f64; 7] = [1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 1e-4, 1e-5];

/// What the adaptive ODE solver's tolerance costs and brings: NFE, the distance of samples from those of the
/// tightest tolerance, and their Fréchet distance (Song et al. 2021, appendix D.4, has NFE and FID for two
/// tolerances).
pub(super) async fn make(studio: &Studio) -> Result<Outcome> {
    let model = studio.open(&studio.model)?;
    let judge = studio.judge()?;
    let reference = studio.reference(&judge).await?;
    let mut drawn = Vec::new();
    for tolerance in TOLERANCES {
        let sampler = Sampler::ProbabilityFlow(ProbabilityFlow(Tolerance {
            rtol: tolerance,
            atol: tolerance,
            ..Tolerance::default()
        }));
        let (images, nfe) = studio.draw(&model, &sampler, studio.count).await?;
        let row = reference.row(&studio.model, Some(&sampler), nfe, &judge.verdicts(&images).await?)?;
        drawn.push((tolerance, images, row));
    }
    let tightest = &drawn[drawn.len() - 1].1;
    let numbers: Vec<_> = drawn
        .iter()
        .map(|(tolerance, images, row)| {
            json!({
                "tolerance": tolerance, "nfe": row.quality.nfe, "frechet": row.quality.frechet,
                "recognised": row.quality.recognised, "rms_to_tightest": rms_difference(images, tightest),
            })
        })
        .collect();
    // Differences of small Fréchet distances are chance: that axis starts at zero.
    let panel = |title: &str, field: &str, log: bool| {
        let of = |entry: &serde_json::Value, field: &str| entry[field].as_f64().unwrap_or(f64::NAN);
        let points: Vec<(f64, f64)> = numbers
            .iter()
            .map(|entry| (of(entry, "tolerance"), of(entry, field)))
            .filter(|(_, y)| *y > 0.0)
            .collect();
        Chart {
            title: title.into(),
            size: [420, 400],
            x: Axis::around("tolerance", TOLERANCES.into_iter(), true),
            y: Axis::around("", points.iter().map(|(_, y)| *y).chain((!log).then_some(0.0)), log),
            series: vec![Series { label: String::new(), points, colour: PALETTE[0], mark: Mark::Dotted }],
        }
        .draw()
    };
    let picture = Picture::beside(&[
        panel("NFE", "nfe", true)?,
        panel("Difference to 1e-5 (rms)", "rms_to_tightest", true)?,
        panel("Fréchet distance", "frechet", false)?,
    ]);
    let numbers = json!({ "model": studio.model, "samples": studio.count, "tolerances": numbers });
    Ok(Outcome::Made(Figure { picture, numbers }))
}
