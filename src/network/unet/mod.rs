//! The U-Net of DDPM, DDPM++, NCSN++ and what came after them: one network, whose [`Style`] says what differs.

mod config;
mod presets;
mod style;

pub use config::UNetConfig;
pub use style::{InputPyramid, Resampling, Style};

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

use super::family::ScoreNetwork;
use super::layers::{
    Attention, AttentionStyle, BlockStyle, Context, Conv, Dropout, Init, NormSilu, ResBlock, TimeMlp,
    TimeSizes, TimeWidths, depth_to_space, fill_up, space_to_depth,
};
use crate::ops::{Joined, Resample, Taps, Value, smooth};

/// A block and the attention that may follow it.
#[derive(Module, Debug)]
struct Stage {
    block: ResBlock,
    attention: Option<Attention>,
}

impl Stage {
    fn forward(&self, x: impl Into<Joined<Value>>, time: &Tensor<2>, dropout: Option<&Dropout>) -> Value {
        let x: Value = self.block.forward(x, time, dropout);
        match &self.attention {
            Some(attention) => attention.forward(x),
            None => x,
        }
    }
}

/// What turns features into an image.
#[derive(Module, Debug)]
struct Head {
    norm: NormSilu,
    conv: Conv,
}

impl Head {
    fn forward(&self, x: Value) -> Value {
        self.conv.forward(self.norm.forward(x))
    }
}

/// One resolution: its blocks, and what leads to the next one, a convolution or a block.
#[derive(Module, Debug)]
struct Level {
    stages: Vec<Stage>,
    resample: Option<Conv>,
    block: Option<ResBlock>,
    /// How the input's pyramid joins the next level.
    pyramid: Option<Conv>,
    /// What this level adds to the output's pyramid.
    output: Option<Head>,
}

/// Predicts an image-shaped quantity from a noisy image and its noise level.
///
/// By default DDPM's U-Net with the changes of DDPM++ (Song et al. 2021, appendix H): residual branches scaled
/// by 1/sqrt 2, zero-initialised last convolutions, GroupNorm of epsilon 1e-6. The stem may turn
/// patches into channels, which makes the network several times cheaper at little loss for small
/// images. Works on any image size: the input is padded with zeros to a multiple of
/// `patch·2^(levels - 1)` and the output cropped.
#[derive(Module, Debug)]
pub struct UNet {
    time: TimeMlp,
    stem: Conv,
    down: Vec<Level>,
    middle: Vec<Stage>,
    up: Vec<Level>,
    norm: NormSilu,
    head: Conv,
    patch: usize,
    #[module(skip)]
    input: InputPyramid,
    pyramid_scale: f64,
    centres: bool,
}

/// Makes the parts of a [`UNet`].
struct Maker<'a> {
    time: TimeWidths,
    init: &'a mut Init,
}

impl Maker<'_> {
    fn block(&mut self, [c_in, c_out]: [usize; 2], style: BlockStyle) -> ResBlock {
        ResBlock::with([c_in, c_out], style, &mut self.time, self.init)
    }

    fn stage(&mut self, channels: [usize; 2], style: BlockStyle, attention: Option<AttentionStyle>) -> Stage {
        let block = self.block(channels, style);
        let attention = attention.map(|style| Attention::with(channels[1], style, self.init));
        Stage { block, attention }
    }

    fn head(&mut self, [c_in, c_out]: [usize; 2], style: &Style) -> Head {
        let norm = NormSilu::with(c_in, style.groups, self.init);
        Head { norm, conv: Conv::new(c_in, c_out, 3, 1, 0.0, self.init) }
    }
}

impl ScoreNetwork for UNet {
    type Config = UNetConfig;

    fn new(config: &UNetConfig, c_in: usize, c_out: usize, init: &mut Init) -> Self {
        let (widths, style) = (config.widths(), &config.style);
        let area = config.patch * config.patch;
        let last = widths.len() - 1;
        let attention =
            |level: usize| config.attention_levels.contains(&level).then(|| style.attention(widths[level]));
        let stem = Conv::new(c_in * area, widths[0], 3, 1, 1.0, init);
        let mut maker = Maker { time: TimeWidths::default(), init };

        // The widths of the images that the way up will read again, in the order they are made.
        let mut kept = vec![widths[0]];
        let mut width = widths[0];
        let mut pyramid_width = c_in * area;
        let mut down = Vec::new();
        for (level, &level_width) in widths.iter().enumerate() {
            let mut stages = Vec::new();
            for _ in 0..config.blocks {
                stages.push(maker.stage([width, level_width], style.block(), attention(level)));
                width = level_width;
                kept.push(width);
            }
            let mut made = Level { stages, resample: None, block: None, pyramid: None, output: None };
            if level < last {
                match style.resampling {
                    Resampling::Conv { pad } => {
                        made.resample = Some(Conv::new(width, width, 3, 2, 1.0, maker.init).padded(pad));
                    }
                    Resampling::Block { taps, projects } => {
                        let style = style.resampling_block(Resample::Halve(taps), projects);
                        made.block = Some(maker.block([width; 2], style));
                    }
                }
                made.pyramid = match style.input {
                    InputPyramid::None => None,
                    InputPyramid::Skip => Some(Conv::new(pyramid_width, width, 1, 1, 1.0, maker.init)),
                    InputPyramid::Residual => {
                        let from = std::mem::replace(&mut pyramid_width, width);
                        Some(Conv::new(from, width, 3, 2, 1.0, maker.init).padded(0))
                    }
                };
                kept.push(width);
            }
            down.push(made);
        }

        let attends = style.attends_in_the_middle || config.attention_levels.contains(&last);
        let middle_attention = attends.then(|| style.middle_attention(width));
        let middle = vec![
            maker.stage([width; 2], style.middle_block(), middle_attention),
            maker.stage([width; 2], style.middle_block(), None),
        ];

        let mut up = Vec::new();
        for level in (0..widths.len()).rev() {
            let mut stages = Vec::new();
            for block in 0..=config.blocks {
                let attention = attention(level).filter(|_| !style.attends_once || block == config.blocks);
                let joined = width + kept.pop().unwrap_or(0);
                stages.push(maker.stage(
                    [joined, widths[level]],
                    style.joined_block(config.attention_levels.contains(&level)),
                    attention,
                ));
                width = widths[level];
            }
            let mut made = Level { stages, resample: None, block: None, pyramid: None, output: None };
            if level > 0 {
                made.output = style.output_skip.then(|| maker.head([width, c_out * area], style));
                match style.resampling {
                    Resampling::Conv { .. } => {
                        made.resample = Some(Conv::new(width, width, 3, 1, 1.0, maker.init));
                    }
                    Resampling::Block { taps, projects } => {
                        let style = style.resampling_block(Resample::Double(taps), projects);
                        made.block = Some(maker.block([width; 2], style));
                    }
                }
            }
            up.push(made);
        }

        let sizes = TimeSizes {
            features: config.features(),
            hidden: 4 * config.channels,
            classes: config.classes,
            class_table: style.class_table,
            moves: config.moves,
        };
        let time = TimeMlp::with(sizes, config.embedding.clone(), &maker.time, maker.init);
        let Head { norm, conv: head } = maker.head([width, c_out * area], style);
        let (input, pyramid_scale, centres) = (style.input, style.scale(), style.centres);
        Self { time, stem, down, middle, up, norm, head, patch: config.patch, input, pyramid_scale, centres }
    }

    fn is_autodiff(&self) -> bool {
        self.stem.filter().weight.is_autodiff()
    }

    fn features(&self, c_noise: &[f64], context: Context<'_>) -> TensorData {
        self.time.features(c_noise, context)
    }

    fn forward_features(&self, x: Value, features: Tensor<2>, dropout: Option<&Dropout>) -> Value {
        let [b, _, height, width] = x.dims();
        let multiple = self.patch << (self.down.len() - 1);
        let time = self.time.forward(features);
        let x = if self.centres { x * 2.0 - 1.0 } else { x };
        let mut pyramid = x.linear(|x| space_to_depth(fill_up(x, multiple), self.patch));
        let mut x = self.stem.forward(pyramid.clone());
        let mut kept = vec![x.clone()];
        for level in &self.down {
            for stage in &level.stages {
                x = stage.forward(x, &time, dropout);
                kept.push(x.clone());
            }
            let Some(smaller) = level.resampled(&x, &time, dropout) else { continue };
            (x, pyramid) = self.joined_by_pyramid(level, smaller, pyramid);
            kept.push(x.clone());
        }
        for stage in &self.middle {
            x = stage.forward(x, &time, dropout);
        }
        let mut output: Option<Value> = None;
        for level in &self.up {
            for stage in &level.stages {
                x = match kept.pop() {
                    Some(skip) => stage.forward(Value::joined(x, skip), &time, dropout),
                    None => stage.forward(x, &time, dropout),
                };
            }
            if let Some(head) = &level.output {
                output = Some(grown(output, head.forward(x.clone())));
            }
            x = level.resampled(&x, &time, dropout).unwrap_or(x);
        }
        grown(output, self.head.forward(self.norm.forward(x))).linear(|x| {
            let x = depth_to_space(x, self.patch);
            let [_, channels, _, _] = x.dims();
            x.slice([0..b, 0..channels, 0..height, 0..width])
        })
    }
}

/// The output's pyramid, doubled, and what the next level adds to it.
fn grown(pyramid: Option<Value>, more: Value) -> Value {
    match pyramid {
        Some(pyramid) => pyramid.linear(|x| Resample::Double(Taps::Fir).apply(x)) + more,
        None => more,
    }
}

impl Level {
    /// `x` at the next level's resolution, if there is a next one.
    fn resampled(&self, x: &Value, time: &Tensor<2>, dropout: Option<&Dropout>) -> Option<Value> {
        match (&self.resample, &self.block) {
            (_, Some(block)) => Some(block.forward(x.clone(), time, dropout)),
            (Some(conv), None) if conv.halves() => Some(conv.forward(x.clone())),
            (Some(conv), None) => Some(conv.forward_upsampled(x.clone())),
            (None, None) => None,
        }
    }
}

impl UNet {
    /// The features `x` of the next level with what it sees of the image itself, and the image for the level after it.
    fn joined_by_pyramid(&self, level: &Level, x: Value, pyramid: Value) -> (Value, Value) {
        match (&level.pyramid, self.input) {
            (Some(conv), InputPyramid::Skip) => {
                let pyramid = pyramid.linear(|x| Resample::Halve(Taps::Fir).apply(x));
                (conv.forward(pyramid.clone()) + x, pyramid)
            }
            (Some(conv), InputPyramid::Residual) => {
                // The convolution's last row and column reach beyond the filtered image.
                let ([b, h, w, _], pyramid) = (x.dims(), conv.forward(pyramid.linear(smooth)));
                let [_, _, _, c] = pyramid.dims();
                let seen = pyramid.linear(|seen| seen.slice([0..b, 0..h, 0..w, 0..c]));
                let x = (seen + x) * self.pyramid_scale;
                (x.clone(), x)
            }
            _ => (x, pyramid),
        }
    }
}
