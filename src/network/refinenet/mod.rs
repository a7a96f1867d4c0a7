//! RefineNet, the network of NCSN and NCSNv2: stages that halve the image or widen their windows, and blocks that refine
//! what they saw from the coarsest to the finest.

mod blocks;
mod config;

pub use config::{Levels, RefineNetConfig};

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

use super::family::ScoreNetwork;
use super::layers::{Context, Conv, Dropout, Init, fill_up};
use crate::ops::Value;
use blocks::{LevelNorms, Maker, NormPlaces, RefineBlock, Unit, UnitStyle};

/// The units of a stage.
#[derive(Module, Debug)]
struct Stage {
    units: Vec<Unit>,
}

/// Predicts an image-shaped quantity from a noisy image, at one of some noise levels (Song and Ermon 2019) or the same at
/// all of them (Song and Ermon 2020, technique 3: the noise level only scales the result).
///
/// Works on any image size: the input is padded with zeros to a multiple of what its stages halve, and the output cropped.
/// No dropout, as in the papers.
#[derive(Module, Debug)]
pub struct RefineNet {
    norms: LevelNorms,
    stem: Conv,
    stages: Vec<Stage>,
    /// From the last stage to the first.
    refine: Vec<RefineBlock>,
    norm: usize,
    head: Conv,
    multiple: usize,
    centres: bool,
    #[module(skip)]
    levels: Option<Levels>,
}

/// Residual convolution units at the end of a block, and at the end of the last.
const UNITS: [usize; 2] = [1, 3];

impl ScoreNetwork for RefineNet {
    type Config = RefineNetConfig;

    fn new(config: &RefineNetConfig, c_in: usize, c_out: usize, init: &mut Init) -> Self {
        let widths = config.widths();
        let stem = Conv::new(c_in, widths[0], 3, 1, 1.0, init);
        let mut places = NormPlaces::default();
        let mut stages = Vec::new();
        for (stage, &width) in widths.iter().enumerate() {
            let before = widths[stage.saturating_sub(1)];
            let lead = UnitStyle {
                dilation: config.dilations[stage],
                halves: config.halves(stage),
                leads: stage > 0,
            };
            let follow = UnitStyle { halves: false, leads: false, ..lead };
            let units = vec![
                Unit::new([before, width], lead, &mut places, init),
                Unit::new([width, width], follow, &mut places, init),
            ];
            stages.push(Stage { units });
        }
        let mut maker = Maker { places, conditional: config.levels.is_some(), init };
        let last = widths.len() - 1;
        let refine = (0..widths.len()).rev().map(|stage| {
            let channels = [widths[stage], widths[stage.saturating_sub(1)]];
            let (inputs, units) = (if stage == last { 1 } else { 2 }, UNITS[usize::from(stage == 0)]);
            RefineBlock::new(inputs, channels, units, &mut maker)
        });
        let refine = refine.collect();
        let norm = maker.places.reserve(widths[0]);
        let halvings = (0..widths.len()).filter(|stage| config.halves(*stage)).count();
        Self {
            norms: LevelNorms::new(
                config.levels.map_or(1, |levels| levels.number),
                &maker.places,
                maker.init,
            ),
            stem,
            stages,
            refine,
            norm,
            head: Conv::new(widths[0], c_out, 3, 1, 1.0, maker.init),
            multiple: 1 << halvings,
            centres: config.centres,
            levels: config.levels,
        }
    }

    /// The shares of the levels in `exp(c_noise)`, so that between two levels, which training has not seen, a
    /// normalisation is between theirs; or a one for the only level.
    fn features(&self, c_noise: &[f64], _: Context<'_>) -> TensorData {
        let Some(levels) = self.levels else { return TensorData::new(vec![1.0_f32], [1, 1]) };
        let features: Vec<f32> = c_noise.iter().flat_map(|ln_sigma| levels.shares(*ln_sigma)).collect();
        TensorData::new(features, [c_noise.len(), levels.number])
    }

    fn forward_features(&self, x: Value, features: Tensor<2>, _: Option<&Dropout>) -> Value {
        let [b, _, height, width] = x.dims();
        let norms = self.norms.at(features);
        let x = if self.centres { x * 2.0 - 1.0 } else { x };
        let x = x.linear(|x| fill_up(x, self.multiple).permute([0, 2, 3, 1]));

        let mut seen = Vec::new();
        self.stages.iter().fold(self.stem.forward(x), |x, stage| {
            let x = stage.units.iter().fold(x, |x, unit| unit.forward(x, &norms));
            seen.push(x.clone());
            x
        });
        let mut refined: Option<Value> = None;
        for block in &self.refine {
            let xs = seen.pop().into_iter().chain(refined).collect();
            refined = Some(block.forward(xs, &norms));
        }
        let x = refined.expect("a network has stages");
        self.head.forward(norms.apply(x, self.norm).elu()).linear(|x| {
            let x = x.permute([0, 3, 1, 2]);
            let [_, channels, _, _] = x.dims();
            x.slice([0..b, 0..channels, 0..height, 0..width])
        })
    }

    fn is_autodiff(&self) -> bool {
        self.stem.filter().weight.is_autodiff()
    }
}
