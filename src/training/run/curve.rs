//! The picture of a training run.

use std::path::Path;

use super::report::{LossRow, read_loss_log};
use crate::{
    error::{Error, Result},
    picture::{
        self,
        chart::{Axis, Chart, Mark, Series, number},
    },
};

const SIZE: [usize; 2] = [1280, 720];
const LINE: [u8; 3] = [0x1f, 0x5f, 0xbf];

/// Draws the loss over the steps as PNG: every row faint, its moving average strong.
///
/// The axis is logarithmic where the loss is positive and spans more than a factor of 4. Rows with a NaN or
/// an infinity are left out.
///
/// # Errors
/// As [`read_loss_log`]; [`Error::Data`] if fewer than two rows can be drawn; [`Error::Io`] for the PNG.
pub fn draw_loss_curve(csv: &Path, png: &Path) -> Result<()> {
    let mut rows = read_loss_log(csv)?;
    rows.retain(|row| row.loss.is_finite() && row.loss_ema.is_finite());
    if rows.len() < 2 {
        let problem = format!("holds {} rows with a finite loss, too few to draw", rows.len());
        return Err(Error::data(csv, problem, "train for longer"));
    }
    picture::save_png(png, &chart(&rows).draw()?)
}

fn chart(rows: &[LossRow]) -> Chart {
    let steps = [rows[0].step as f64, rows[rows.len() - 1].step.max(rows[0].step + 1) as f64];
    let (low, high) = loss_range(rows);
    let series = |label: &str, points, mark| Series { label: label.into(), points, colour: LINE, mark };
    let raw = rows.iter().map(|row| (row.step as f64, row.loss)).collect();
    Chart {
        title: title(rows),
        size: SIZE,
        x: Axis { label: "optimiser steps".into(), range: steps, log: false },
        y: Axis::around("loss", [low, high].into_iter(), high / low > 4.0),
        series: vec![
            series("each row", raw, Mark::Faint),
            series("moving average", thinned(rows).collect(), Mark::Line),
        ],
    }
}

/// The moving average in at most `POINTS` points: a thick line with many corners in a pixel gets ragged.
fn thinned(rows: &[LossRow]) -> impl Iterator<Item = (f64, f64)> + '_ {
    const POINTS: usize = 500;
    rows.chunks(rows.len().div_ceil(POINTS)).map(|chunk| {
        let mean = |value: fn(&LossRow) -> f64| chunk.iter().map(value).sum::<f64>() / chunk.len() as f64;
        (mean(|row| row.step as f64), mean(|row| row.loss_ema))
    })
}

/// The losses to show. Of the raw rows the wildest hundredth may leave the picture, the average may not.
fn loss_range(rows: &[LossRow]) -> (f64, f64) {
    let mut raw: Vec<f64> = rows.iter().map(|row| row.loss).collect();
    raw.sort_by(f64::total_cmp);
    let cut = raw.len() / 100;
    let ema = rows.iter().map(|row| row.loss_ema);
    (ema.clone().fold(raw[cut], f64::min), ema.fold(raw[raw.len() - 1 - cut], f64::max))
}

fn title(rows: &[LossRow]) -> String {
    let last = rows[rows.len() - 1];
    let minutes = (last.seconds / 60.).round();
    let (hours, minutes) = ((minutes / 60.).floor(), minutes % 60.);
    let steps = number(last.step as f64);
    format!("Training loss: {} after {steps} steps, {hours:.0} h {minutes:02.0} min", number(last.loss_ema))
}

#[cfg(test)]
mod tests {
    use super::super::report::LossLog;
    use super::*;

    fn row(step: u64) -> LossRow {
        let trend = 0.15 + 0.9 * (-(step as f64) / 2000.).exp() + 0.3 / (1. + step as f64 / 100.);
        let noise = ((step * 7919 % 1000) as f64 / 1000. - 0.5) * 0.3 * trend;
        let seconds = step as f64 * 0.12;
        LossRow { step, loss: trend + noise, loss_ema: trend, images_per_s: 530., seconds }
    }

    #[test]
    fn curves_are_drawn_from_any_finite_losses() {
        let dir = tempfile::tempdir().unwrap();
        let (csv, png) = (dir.path().join("loss.csv"), dir.path().join("loss.png"));
        let draw = |rows: &[LossRow]| {
            let mut log = LossLog::open(&csv, None).unwrap();
            rows.iter().for_each(|row| log.append(row).unwrap());
            draw_loss_curve(&csv, &png)
        };
        let linear: Vec<_> = (1..50).map(|i| LossRow { loss: -0.5, loss_ema: -0.5, ..row(i * 10) }).collect();
        draw(&linear).unwrap();
        let mut long: Vec<_> = (1..2000).map(|i| row(i * 50)).collect();
        long[1000].loss = f64::NAN;
        long[500].loss = 1e9;
        draw(&long).unwrap();
        let drawn = image::open(&png).unwrap().into_rgb8();
        assert_eq!([drawn.width() as usize, drawn.height() as usize], SIZE);
        let blue = drawn.pixels().filter(|p| p.0 == LINE).count();
        assert!(blue > 1500, "{blue} pixels of the line");
        let dark = drawn.enumerate_pixels().filter(|(_, y, p)| *y < 70 && p.0[0] < 100).count();
        assert!(dark > 300, "{dark} pixels of the title");
        let message = draw(&[row(1), LossRow { loss: f64::NAN, ..row(2) }]).unwrap_err().to_string();
        assert!(message.contains("1 rows"), "{message}");
    }
}
