//! A walk over the parts of a U-Net in the order in which all its sources make them.

use crate::Result;
use crate::network::{InputPyramid, Resampling, UNetConfig};

/// Where a part is: level 0 is the highest resolution, step 0 the lowest. What stands behind a level's blocks has no
/// `block`.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    Down { level: usize, block: Option<usize> },
    Middle { block: usize },
    Up { step: usize, block: Option<usize> },
}

/// A source's names for the layers of a residual block.
pub struct Block {
    pub norms: [String; 2],
    pub convs: [String; 2],
    pub time: String,
    pub skip: String,
}

/// A source's names for the layers of attention: query, key and value.
pub struct Attention {
    pub norm: String,
    pub qkv: [String; 3],
    pub out: String,
}

/// How a source calls the parts of a U-Net. It is asked once for each, in the order of the walk.
pub trait Names {
    /// The two dense layers that read the noise level.
    fn time(&mut self) -> [String; 2];
    fn stem(&mut self) -> String;
    fn block(&mut self, place: Place) -> Block;
    fn attention(&mut self, place: Place) -> Attention;
    /// The convolution that leads to the next level.
    fn resample(&mut self, place: Place) -> String;
    /// The convolution by which the image itself joins the next level.
    fn pyramid(&mut self, place: Place) -> String;
    /// The normalisation and the convolution that make an image.
    fn head(&mut self, place: Option<Place>) -> [String; 2];
}

/// The layers of two networks that are the same one, under our names and under theirs: taken from one side to the other.
pub trait Layers {
    /// Scale and shift of a normalisation.
    fn norm(&mut self, ours: &str, theirs: &str) -> Result<()>;
    /// A convolution.
    fn conv(&mut self, ours: &str, theirs: &str) -> Result<()>;
    /// A dense layer.
    fn dense(&mut self, ours: &str, theirs: &str) -> Result<()>;
    /// What leads around a block, where something does.
    fn skip(&mut self, ours: &str, theirs: &str) -> Result<()>;
    /// Dense layers that read the same, which here are one: their columns stand side by side.
    fn side_by_side(&mut self, ours: &str, parts: &[Part]) -> Result<()>;
    /// The sign of what a layer returns changes.
    fn negate(&mut self, ours: &str);
}

/// One of several layers of theirs that are one here.
pub struct Part {
    pub theirs: String,
    /// Our convolution to whose outputs its own belong, one or two for each; `None` where all parts have equally many.
    pub like: Option<String>,
}

/// Takes every weight of a network of `config` to the other side. With `negated` the sign of what the network returns
/// changes.
pub fn transfer(
    config: &UNetConfig,
    names: &mut impl Names,
    layers: &mut impl Layers,
    negated: bool,
) -> Result<()> {
    let mut walk = Walk { names, layers, shifts: Vec::new() };
    walk.network(config)?;
    walk.layers.side_by_side("time.blocks", &walk.shifts)?;
    if negated {
        walk.layers.negate("head");
        (0..config.multipliers.len()).for_each(|step| walk.layers.negate(&format!("up.{step}.output.conv")));
    }
    Ok(())
}

struct Walk<'a, N, L> {
    names: &'a mut N,
    layers: &'a mut L,
    /// What the noise level does to each block.
    shifts: Vec<Part>,
}

impl<N: Names, L: Layers> Walk<'_, N, L> {
    fn network(&mut self, config: &UNetConfig) -> Result<()> {
        let (levels, style) = (config.multipliers.len(), &config.style);
        let attends = |level: usize| config.attention_levels.contains(&level);
        let [first, second] = self.names.time();
        self.layers.dense("time.first", &first)?;
        self.layers.dense("time.second", &second)?;
        let stem = self.names.stem();
        self.layers.conv("stem", &stem)?;
        for level in 0..levels {
            for block in 0..config.blocks {
                let place = Place::Down { level, block: Some(block) };
                self.stage(&format!("down.{level}.stages.{block}"), place, attends(level))?;
            }
            if level + 1 < levels {
                let place = Place::Down { level, block: None };
                self.resample(&format!("down.{level}"), place, style.resampling)?;
                if style.input != InputPyramid::None {
                    let pyramid = self.names.pyramid(place);
                    self.layers.conv(&format!("down.{level}.pyramid"), &pyramid)?;
                }
            }
        }
        let middle = style.attends_in_the_middle || attends(levels - 1);
        self.stage("middle.0", Place::Middle { block: 0 }, middle)?;
        self.stage("middle.1", Place::Middle { block: 1 }, false)?;
        for step in 0..levels {
            let level = levels - 1 - step;
            for block in 0..=config.blocks {
                let attends = attends(level) && (!style.attends_once || block == config.blocks);
                let place = Place::Up { step, block: Some(block) };
                self.stage(&format!("up.{step}.stages.{block}"), place, attends)?;
            }
            if level > 0 {
                let place = Place::Up { step, block: None };
                if style.output_skip {
                    let head = self.names.head(Some(place));
                    self.head([format!("up.{step}.output.norm"), format!("up.{step}.output.conv")], head)?;
                }
                self.resample(&format!("up.{step}"), place, style.resampling)?;
            }
        }
        let head = self.names.head(None);
        self.head(["norm".into(), "head".into()], head)
    }

    fn stage(&mut self, ours: &str, place: Place, attends: bool) -> Result<()> {
        self.block(&format!("{ours}.block"), place)?;
        if attends {
            let Attention { norm, qkv, out } = self.names.attention(place);
            self.layers.norm(&format!("{ours}.attention.norm"), &norm)?;
            let parts = qkv.map(|theirs| Part { theirs, like: None });
            self.layers.side_by_side(&format!("{ours}.attention.qkv"), &parts)?;
            self.layers.dense(&format!("{ours}.attention.out"), &out)?;
        }
        Ok(())
    }

    fn block(&mut self, ours: &str, place: Place) -> Result<()> {
        let Block { norms, convs, time, skip } = self.names.block(place);
        for (i, (norm, conv)) in norms.iter().zip(&convs).enumerate() {
            self.layers.norm(&format!("{ours}.norm{}", i + 1), norm)?;
            self.layers.conv(&format!("{ours}.conv{}", i + 1), conv)?;
        }
        self.shifts.push(Part { theirs: time, like: Some(format!("{ours}.conv1")) });
        self.layers.skip(&format!("{ours}.skip"), &skip)
    }

    fn resample(&mut self, ours: &str, place: Place, resampling: Resampling) -> Result<()> {
        match resampling {
            Resampling::Block { .. } => self.block(&format!("{ours}.block"), place),
            Resampling::Conv { .. } => {
                let theirs = self.names.resample(place);
                self.layers.conv(&format!("{ours}.resample"), &theirs)
            }
        }
    }

    fn head(&mut self, ours: [String; 2], theirs: [String; 2]) -> Result<()> {
        self.layers.norm(&ours[0], &theirs[0])?;
        self.layers.conv(&ours[1], &theirs[1])
    }
}
