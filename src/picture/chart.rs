//! Lines and points over two axes, for figures.

use std::ops::Range;

use image::{RgbImage, imageops};
use plotters::{
    coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter},
    coord::types::RangedCoordf64,
    prelude::*,
};

use super::Picture;
use crate::{Error, Result};

/// Drawn this much larger and scaled down, which smooths the lines.
const ZOOM: u32 = 2;
const INK: RGBColor = RGBColor(0x33, 0x38, 0x40);

/// Colours that people with any colour vision can tell apart (Okabe and Ito 2008).
pub const PALETTE: [[u8; 3]; 7] = [
    [0x00, 0x72, 0xb2],
    [0xd5, 0x5e, 0x00],
    [0x00, 0x9e, 0x73],
    [0xcc, 0x79, 0xa7],
    [0xe6, 0x9f, 0x00],
    [0x56, 0xb4, 0xe9],
    [0x33, 0x38, 0x40],
];

/// Series over two axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Above the chart.
    pub title: String,
    /// Columns and rows of the picture.
    pub size: [usize; 2],
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// What is drawn, the first one lowest.
    pub series: Vec<Series>,
}

/// What one axis shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Its name and unit.
    pub label: String,
    /// The values at its ends. What lies outside is drawn at the edge.
    pub range: [f64; 2],
    /// Whether equal steps are equal ratios.
    pub log: bool,
}

impl Axis {
    /// An axis that holds all finite values and a margin. With `log` it is logarithmic, if all of them are
    /// positive.
    pub fn around(label: impl Into<String>, values: impl Iterator<Item = f64>, log: bool) -> Self {
        let (low, high) = values
            .filter(|v| v.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        let log = log && low > 0.0;
        let range = if log {
            let margin = (high / low).powf(0.05).max(1.1);
            [low / margin, high * margin]
        } else {
            let margin = 0.05 * (high - low).max(high.abs().max(1e-6) * 1e-3);
            [low - margin, high + margin]
        };
        Self { label: label.into(), range, log }
    }
}

/// Some points in one colour.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// In the legend; empty for none.
    pub label: String,
    /// `(x, y)`, in the order in which a line joins them.
    pub points: Vec<(f64, f64)>,
    /// Red, green, blue.
    pub colour: [u8; 3],
    /// How they are shown.
    pub mark: Mark,
}

/// How a series is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// A thin, pale line.
    Faint,
    /// A line.
    Line,
    /// A line with a dot at each point.
    Dotted,
    /// Dots alone, small and pale, since there are many.
    Cloud,
    /// An arrow from every other point to the one after it, with a dot for its head.
    Arrows,
}

impl Chart {
    /// Draws it.
    ///
    /// # Errors
    /// [`Error::Config`] if the drawing library refuses, for instance a picture without room for the axes.
    pub fn draw(&self) -> Result<Picture> {
        let [width, height] = self.size;
        let mut large = RgbImage::new(width as u32 * ZOOM, height as u32 * ZOOM);
        self.draw_on(&mut large).map_err(|problem| {
            let problem = format!("cannot be drawn ({problem})");
            Error::config(format!("the chart `{}`", self.title), problem, "look at the numbers instead")
        })?;
        let rgb = imageops::thumbnail(&large, width as u32, height as u32).into_raw();
        Ok(Picture { width, height, rgb })
    }

    fn draw_on(&self, image: &mut RgbImage) -> Result<(), Box<dyn std::error::Error>> {
        // registering again does no harm
        plotters::style::register_font("sans-serif", FontStyle::Normal, dejavu::sans::regular())
            .map_err(|_| "the bundled font is broken")?;
        let size = image.dimensions();
        let area = BitMapBackend::with_buffer(image, size).into_drawing_area();
        area.fill(&WHITE)?;
        let font = |height: u32| ("sans-serif", height * ZOOM).into_font().color(&INK);
        let mut chart = ChartBuilder::on(&area)
            .margin(16 * ZOOM)
            .margin_right(32 * ZOOM)
            .caption(&self.title, font(20))
            .x_label_area_size(56 * ZOOM)
            .y_label_area_size(84 * ZOOM)
            .build_cartesian_2d(Scale(self.x.clone()), Scale(self.y.clone()))?;
        chart
            .configure_mesh()
            .x_desc(&self.x.label)
            .y_desc(&self.y.label)
            .axis_desc_style(font(17))
            .label_style(font(16))
            .x_labels(8)
            .y_labels(8)
            .axis_style(INK.mix(0.6))
            .bold_line_style(INK.mix(0.09).stroke_width(ZOOM))
            .light_line_style(INK.mix(0.05))
            .draw()?;
        for Series { label, points, colour: [red, green, blue], mark } in &self.series {
            let colour = RGBColor(*red, *green, *blue);
            let style = match mark {
                Mark::Faint => colour.mix(0.4).stroke_width(if points.len() > 500 { 1 } else { ZOOM }),
                Mark::Line | Mark::Dotted => colour.stroke_width(3 * ZOOM),
                Mark::Cloud => colour.mix(0.5).filled(),
                Mark::Arrows => colour.stroke_width(ZOOM),
            };
            let points: Vec<(f64, f64)> =
                points.iter().map(|(x, y)| (self.x.clamped(*x), self.y.clamped(*y))).collect();
            let dot = match mark {
                Mark::Faint | Mark::Line | Mark::Arrows => 0,
                Mark::Dotted => 5 * ZOOM,
                Mark::Cloud => 2 * ZOOM,
            };
            if dot > 0 {
                chart.draw_series(points.iter().map(|at| Circle::new(*at, dot, style.filled())))?;
            }
            if *mark == Mark::Arrows {
                let arrows = points.chunks_exact(2);
                chart.draw_series(arrows.clone().map(|arrow| PathElement::new(arrow.to_vec(), style)))?;
                chart.draw_series(arrows.map(|arrow| Circle::new(arrow[1], 2 * ZOOM, style.filled())))?;
            }
            let points = if [Mark::Cloud, Mark::Arrows].contains(mark) { Vec::new() } else { points };
            let drawn = chart.draw_series(LineSeries::new(points, style))?;
            if !label.is_empty() {
                let key = move |(x, y)| PathElement::new([(x, y), (x + 28 * ZOOM as i32, y)], style);
                drawn.label(label).legend(key);
            }
        }
        if self.series.iter().any(|series| !series.label.is_empty()) {
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperRight)
                .label_font(font(16))
                .margin(12 * ZOOM)
                .legend_area_size(40 * ZOOM)
                .background_style(WHITE.mix(0.85))
                .border_style(TRANSPARENT)
                .draw()?;
        }
        area.present()?;
        Ok(())
    }
}

impl Axis {
    fn clamped(&self, value: f64) -> f64 {
        value.clamp(self.range[0], self.range[1])
    }
}

/// An [`Axis`] as the drawing library wants it: one type for both kinds.
struct Scale(Axis);

impl Ranged for Scale {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let place = |v: f64| if self.0.log { v.ln() } else { v };
        let [low, high] = self.0.range.map(place);
        from + (f64::from(to - from) * (place(*value) - low) / (high - low)).round() as i32
    }

    /// Nice numbers; on a logarithmic axis 1, 2 and 5 of every power of ten, the powers alone if it is long.
    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        let [low, high] = self.0.range;
        // A short stretch of a logarithmic axis is nearly linear.
        if !self.0.log || high / low < 5.0 {
            return RangedCoordf64::from(low..high).key_points(hint);
        }
        let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
        let digits: &[f64] = if (high / low).log10() > 4.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        powers
            .flat_map(|power| digits.iter().map(move |digit| digit * 10f64.powi(power)))
            .filter(|line| (low..=high).contains(line))
            .collect()
    }

    fn range(&self) -> Range<f64> {
        self.0.range[0]..self.0.range[1]
    }
}

impl ValueFormatter<f64> for Scale {
    fn format(value: &f64) -> String {
        number(*value)
    }
}

/// A number for people: three digits without zeros at the end, `1,234,567` for large ones, `1.2e-5` for small.
pub fn number(x: f64) -> String {
    if x == 0.0 {
        return "0".into();
    }
    if x.abs() >= 1000.0 {
        let sign = if x < 0.0 { "-" } else { "" };
        let digits = format!("{:.0}", x.abs());
        let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
        return format!("{sign}{}", groups.join(","));
    }
    let short = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text.into(),
    };
    if x.abs() < 1e-3 {
        let text = format!("{x:.2e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{power}", short(digits));
    }
    let digits = (2.0 - x.abs().log10().floor()).clamp(0.0, 9.0) as usize;
    short(&format!("{x:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let numbers = [0., 0.1234, 0.00012345, 1e-5, 1.5, 10., 999., 1234.6, -1234567., -0.25].map(number);
        assert_eq!(
            numbers,
            ["0", "0.123", "1.23e-4", "1e-5", "1.5", "10", "999", "1,235", "-1,234,567", "-0.25"]
        );
    }

    #[test]
    fn axes_hold_their_values_and_are_linear_where_a_logarithm_has_none() {
        let positive = Axis::around("NFE", [5.0, f64::NAN, 200.0].into_iter(), true);
        assert!(positive.log && positive.range[0] < 5.0 && positive.range[1] > 200.0, "{positive:?}");
        let scale = Scale(positive);
        assert_eq!(scale.key_points(8), [5.0, 10.0, 20.0, 50.0, 100.0, 200.0]);
        let middle = (scale.0.range[0] * scale.0.range[1]).sqrt();
        assert_eq!(scale.map(&middle, (100, 300)), 200, "equal steps are equal ratios");
        let short = Scale(Axis { label: String::new(), range: [0.38, 0.45], log: true });
        assert!(short.key_points(8).len() >= 3);
        assert!(!Axis::around("", [0.0, 1.0].into_iter(), true).log);
        let single = Axis::around("", [3.0].into_iter(), false);
        assert!(single.range[0] < 3.0 && single.range[1] > 3.0);
        assert!(Axis::around("", std::iter::empty(), true).range[0].is_finite());
    }

    #[test]
    fn each_mark_leaves_its_colour() {
        for mark in [Mark::Faint, Mark::Line, Mark::Dotted, Mark::Cloud, Mark::Arrows] {
            let points: Vec<(f64, f64)> = (1..=50).map(|i| (f64::from(i), 1.0 / f64::from(i))).collect();
            let axis = |log| Axis { label: "x".into(), range: [0.01, 50.0], log };
            let series = Series { label: String::new(), points, colour: [0, 0, 255], mark };
            let chart = Chart {
                title: "t".into(),
                size: [400, 300],
                x: axis(true),
                y: axis(true),
                series: vec![series],
            };
            let picture = chart.draw().unwrap();
            assert_eq!((picture.width, picture.height, picture.rgb.len()), (400, 300, 400 * 300 * 3));
            let blue = |p: &&[u8]| p[2] > 200 && p[0] < 200;
            let found = picture.rgb.chunks(3).filter(blue).count();
            assert!(found > 100, "{mark:?} leaves {found} pixels");
        }
    }
}
