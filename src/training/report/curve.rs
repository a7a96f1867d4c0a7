//! The picture of a training run.

use std::path::Path;

use image::{RgbImage, imageops};
use plotters::{
    coord::{
        Shift,
        ranged1d::{AsRangedCoord, ValueFormatter},
        types::RangedCoordf64,
    },
    prelude::*,
};

use super::{LossRow, read_loss_log};
use crate::{
    error::{Error, Result},
    picture::{self, Picture},
};

const SIZE: (u32, u32) = (1280, 720);
/// Drawn this much larger and scaled down, which smooths the lines.
const ZOOM: u32 = 2;
const INK: RGBColor = RGBColor(0x33, 0x38, 0x40);
const LINE: RGBColor = RGBColor(0x1f, 0x5f, 0xbf);

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
    let mut large = RgbImage::new(SIZE.0 * ZOOM, SIZE.1 * ZOOM);
    let size = large.dimensions();
    draw(&rows, BitMapBackend::with_buffer(&mut large, size).into_drawing_area()).map_err(|error| {
        Error::data(csv, format!("cannot be drawn ({error})"), "look at the numbers instead")
    })?;
    let rgb = imageops::thumbnail(&large, SIZE.0, SIZE.1).into_raw();
    picture::save_png(png, &Picture { width: SIZE.0 as usize, height: SIZE.1 as usize, rgb })
}

type Chart<'a, Y> = ChartContext<'a, BitMapBackend<'a>, Cartesian2d<RangedCoordf64, Y>>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw(rows: &[LossRow], area: DrawingArea<BitMapBackend<'_>, Shift>) -> Drawn {
    // registering again does no harm
    plotters::style::register_font("sans-serif", FontStyle::Normal, dejavu::sans::regular())
        .map_err(|_| "the bundled font is broken")?;
    area.fill(&WHITE)?;
    let steps = rows[0].step as f64..rows[rows.len() - 1].step.max(rows[0].step + 1) as f64;
    let (low, high) = loss_range(rows);
    let mut builder = ChartBuilder::on(&area);
    builder
        .margin(24 * ZOOM)
        .margin_right(48 * ZOOM)
        .caption(title(rows), ("sans-serif", 24 * ZOOM).into_font().color(&INK))
        .x_label_area_size(64 * ZOOM)
        .y_label_area_size(92 * ZOOM);
    if low > 0. && high / low > 4. {
        let (low, high) = (low * 0.9, high * 1.1);
        curve(builder.build_cartesian_2d(steps, log_axis(low, high))?, rows, low, high)?;
    } else {
        let margin = 0.05 * (high - low).max(high.abs().max(1e-6) * 1e-3);
        let (low, high) = (low - margin, high + margin);
        curve(builder.build_cartesian_2d(steps, low..high)?, rows, low, high)?;
    }
    area.present()?;
    Ok(())
}

fn curve<'a, Y>(mut chart: Chart<'a, Y>, rows: &[LossRow], low: f64, high: f64) -> Drawn
where
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let font = || ("sans-serif", 18 * ZOOM).into_font().color(&INK);
    chart
        .configure_mesh()
        .x_desc("optimiser steps")
        .y_desc("loss")
        .axis_desc_style(font())
        .label_style(font())
        .x_labels(8)
        .y_labels(8)
        .x_label_formatter(&|step| thousands(*step))
        .y_label_formatter(&|loss| short(*loss))
        .axis_style(INK.mix(0.6))
        .bold_line_style(INK.mix(0.09).stroke_width(ZOOM))
        .light_line_style(INK.mix(0.05))
        .draw()?;
    let key = |style: ShapeStyle| move |(x, y)| PathElement::new([(x, y), (x + 28 * ZOOM as i32, y)], style);
    let thin = LINE.mix(0.4).stroke_width(if rows.len() > 500 { 1 } else { ZOOM });
    // what leaves the frame is drawn at its edge
    let raw = rows.iter().map(|row| (row.step as f64, row.loss.clamp(low, high)));
    chart.draw_series(LineSeries::new(raw, thin))?.label("each row").legend(key(thin));
    let thick = LINE.stroke_width(3 * ZOOM);
    let smooth = chart.draw_series(LineSeries::new(thinned(rows), thick))?;
    smooth.label("moving average").legend(key(thick));
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .label_font(font())
        .margin(16 * ZOOM)
        .legend_area_size(40 * ZOOM)
        .background_style(WHITE.mix(0.85))
        .border_style(TRANSPARENT)
        .draw()?;
    Ok(())
}

/// The moving average in at most `POINTS` points: a thick line with many corners in a pixel gets ragged.
fn thinned(rows: &[LossRow]) -> impl Iterator<Item = (f64, f64)> + '_ {
    const POINTS: usize = 500;
    rows.chunks(rows.len().div_ceil(POINTS)).map(|chunk| {
        let mean = |value: fn(&LossRow) -> f64| chunk.iter().map(value).sum::<f64>() / chunk.len() as f64;
        (mean(|row| row.step as f64), mean(|row| row.loss_ema))
    })
}

/// A logarithmic axis with lines at 1, 2 and 5 of every power of ten.
fn log_axis(low: f64, high: f64) -> impl AsRangedCoord<CoordDescType: ValueFormatter<f64>, Value = f64> {
    let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let lines = powers.flat_map(|power| [1., 2., 5.].map(|digit| digit * 10f64.powi(power)));
    (low..high).log_scale().with_key_points(lines.filter(|line| (low..=high).contains(line)).collect())
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
    let steps = thousands(last.step as f64);
    format!("Training loss: {} after {steps} steps, {hours:.0} h {minutes:02.0} min", short(last.loss_ema))
}

/// Three digits, without zeros at the end.
fn short(x: f64) -> String {
    if x == 0. {
        return "0".into();
    }
    let digits = (2. - x.abs().log10().floor()).clamp(0., 9.) as usize;
    let text = format!("{x:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

/// `1234567` as `1,234,567`.
fn thousands(x: f64) -> String {
    let digits = format!("{x:.0}");
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::report::LossLog;

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
        assert_eq!(drawn.dimensions(), SIZE);
        let blue = drawn.pixels().filter(|p| p.0 == [LINE.0, LINE.1, LINE.2]).count();
        assert!(blue > 1500, "{blue} pixels of the line");
        let dark = drawn.enumerate_pixels().filter(|(_, y, p)| *y < 70 && p.0[0] < 100).count();
        assert!(dark > 300, "{dark} pixels of the title");
        let message = draw(&[row(1), LossRow { loss: f64::NAN, ..row(2) }]).unwrap_err().to_string();
        assert!(message.contains("1 rows"), "{message}");
    }

    #[test]
    fn numbers_are_short() {
        let numbers = [0., 0.1234, 0.00012345, 1.5, 10., 1234.6, -0.25].map(short);
        assert_eq!(numbers, ["0", "0.123", "0.000123", "1.5", "10", "1235", "-0.25"]);
        assert_eq!([0., 999., 1000., 1_234_567.].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}
