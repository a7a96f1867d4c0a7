use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::network::layers::{Conv, Init};
use crate::ops::{self, InstanceNorm, Pool, Resample, Taps, Value, interpolate};

/// The channels that are normalised, block after block.
#[derive(Debug, Default)]
pub struct NormPlaces(usize);

impl NormPlaces {
    /// Makes room for `channels` more; returns where they begin.
    pub fn reserve(&mut self, channels: usize) -> usize {
        self.0 += channels;
        self.0 - channels
    }
}

/// The weights of all instance normalisations side by side, a row for each noise level: what CondInstanceNorm++ looks up,
/// in one go. A network that is the same at all levels has one row.
#[derive(Module, Debug)]
pub struct LevelNorms {
    gamma: Param<Tensor<2>>,
    alpha: Param<Tensor<2>>,
    beta: Param<Tensor<2>>,
}

impl LevelNorms {
    /// Factors around 1, no shift.
    pub fn new(levels: usize, places: &NormPlaces, init: &mut Init) -> Self {
        let shape = [levels, places.0];
        Self {
            gamma: init.normal(shape, 1.0, 0.02),
            alpha: init.normal(shape, 1.0, 0.02),
            beta: init.normal(shape, 0.0, 0.0),
        }
    }

    /// The rows of the levels that `features` `[rows, levels]` choose by a one.
    pub fn at(&self, features: Tensor<2>) -> Norms {
        let chosen = |table: &Param<Tensor<2>>| {
            let table = table.val();
            let [_, channels] = table.dims();
            let no_bias = Tensor::zeros([channels], &table.device());
            ops::linear(features.clone(), (table, no_bias))
        };
        Norms([&self.gamma, &self.alpha, &self.beta].map(chosen))
    }
}

/// Scale, weight of the mean and shift of all channels at some noise levels, `[rows, all channels]`.
pub struct Norms([Tensor<2>; 3]);

impl Norms {
    /// InstanceNorm++ by the channels from `first` on.
    pub fn apply(&self, x: Value, first: usize) -> Value {
        let [_, _, _, c] = x.dims();
        let [gamma, alpha, beta] = self.0.each_ref().map(|row| row.clone().narrow(1, first, c));
        x.instance_norm(InstanceNorm { gamma, alpha, beta })
    }

    /// The same for the `i`-th of several normalisations side by side; without any, `x` as it is.
    fn apply_nth(&self, x: Value, first: Option<usize>, i: usize) -> Value {
        let [_, _, _, c] = x.dims();
        match first {
            Some(first) => self.apply(x, first + i * c),
            None => x,
        }
    }
}

/// A residual unit with normalisation before its convolutions; it may halve the image or widen its windows.
#[derive(Module, Debug)]
pub struct Unit {
    norm1: usize,
    conv1: Conv,
    norm2: usize,
    conv2: Conv,
    shortcut: Option<Conv>,
    dilation: usize,
    halves: bool,
}

/// What a [`Unit`] does besides convolving.
#[derive(Debug, Clone, Copy)]
pub struct UnitStyle {
    /// The dilation of its convolutions.
    pub dilation: usize,
    /// Whether the image is half as large behind it.
    pub halves: bool,
    /// Whether it is the first of a stage after the first.
    pub leads: bool,
}

impl Unit {
    pub fn new(
        [c_in, c_out]: [usize; 2],
        style: UnitStyle,
        places: &mut NormPlaces,
        init: &mut Init,
    ) -> Self {
        let UnitStyle { dilation, halves, leads } = style;
        // What leads to a stage widens in its second convolution.
        let between = if leads { c_in } else { c_out };
        let window = if halves { 1 } else { 3 };
        Self {
            norm1: places.reserve(c_in),
            conv1: Conv::new(c_in, between, 3, 1, 1.0, init),
            norm2: places.reserve(between),
            conv2: Conv::new(between, c_out, 3, 1, 1.0, init),
            shortcut: leads.then(|| Conv::new(c_in, c_out, window, 1, 1.0, init)),
            dilation,
            halves,
        }
    }

    pub fn forward(&self, x: Value, norms: &Norms) -> Value {
        let h = self.conv1.forward_dilated(norms.apply(x.clone(), self.norm1).elu(), self.dilation);
        let h = self.conv2.forward_dilated(norms.apply(h, self.norm2).elu(), self.dilation);
        let around = match &self.shortcut {
            Some(shortcut) => shortcut.forward_dilated(x, self.dilation),
            None => x,
        };
        match self.halves {
            true => (around + h).linear(|x| Resample::Halve(Taps::Box).apply(x)),
            false => around + h,
        }
    }
}

/// Residual convolution units: pairs of convolutions, each behind a normalisation (if the network is conditional) and ELU.
#[derive(Module, Debug)]
struct ConvUnits {
    convs: Vec<Conv>,
    norms: Option<usize>,
}

impl ConvUnits {
    fn new(channels: usize, units: usize, maker: &mut Maker<'_>) -> Self {
        let norms = maker.norms(2 * units * channels);
        let convs = (0..2 * units).map(|_| maker.conv([channels; 2]).unbiased()).collect();
        Self { convs, norms }
    }

    fn forward(&self, x: Value, norms: &Norms) -> Value {
        self.convs.chunks_exact(2).enumerate().fold(x, |x, (unit, convs)| {
            let h = convs.iter().enumerate().fold(x.clone(), |h, (i, conv)| {
                conv.forward(norms.apply_nth(h, self.norms, 2 * unit + i).elu())
            });
            x + h
        })
    }
}

/// Makes the parts of [`RefineBlock`]s.
pub struct Maker<'a> {
    /// Where normalisations find their weights.
    pub places: NormPlaces,
    /// Whether these blocks normalise at all.
    pub conditional: bool,
    /// Draws the weights.
    pub init: &'a mut Init,
}

impl Maker<'_> {
    fn norms(&mut self, channels: usize) -> Option<usize> {
        self.conditional.then(|| self.places.reserve(channels))
    }

    fn conv(&mut self, [c_in, c_out]: [usize; 2]) -> Conv {
        Conv::new(c_in, c_out, 3, 1, 1.0, self.init)
    }
}

/// RefineNet's block: fuses the images of two stages, and sees them in ever larger windows (Lin et al. 2017).
#[derive(Module, Debug)]
pub struct RefineBlock {
    adapt: Vec<ConvUnits>,
    fuse: Vec<Conv>,
    fuse_norms: Option<usize>,
    pool: Vec<Conv>,
    pool_norms: Option<usize>,
    output: ConvUnits,
}

/// Stages of the chained residual pooling.
const POOLS: usize = 2;

impl RefineBlock {
    /// A block that reads `inputs` images of `c_in` channels, and ends in so many `units`.
    pub fn new(inputs: usize, [c_in, c_out]: [usize; 2], units: usize, maker: &mut Maker<'_>) -> Self {
        let adapt = (0..inputs).map(|_| ConvUnits::new(c_in, 2, maker)).collect();
        let fused = if inputs > 1 { inputs } else { 0 };
        Self {
            adapt,
            fuse_norms: maker.norms(fused * c_in),
            fuse: (0..fused).map(|_| maker.conv([c_in, c_out])).collect(),
            pool_norms: maker.norms(POOLS * c_out),
            pool: (0..POOLS).map(|_| maker.conv([c_out; 2]).unbiased()).collect(),
            output: ConvUnits::new(c_out, units, maker),
        }
    }

    /// The images `xs`, the first of which has the size of the result.
    pub fn forward(&self, xs: Vec<Value>, norms: &Norms) -> Value {
        let [_, h, w, _] = xs[0].dims();
        let adapted = xs.into_iter().zip(&self.adapt).map(|(x, units)| units.forward(x, norms));
        let fused = adapted.enumerate().map(|(i, x)| match self.fuse.get(i) {
            Some(conv) => {
                let x = conv.forward(norms.apply_nth(x, self.fuse_norms, i));
                x.linear(|x| interpolate(x, [h, w]))
            }
            None => x,
        });
        let x = fused.reduce(|sum, x| sum + x).expect("a block has an input");
        self.output.forward(self.pooled(x, norms), norms)
    }

    /// Chained residual pooling. NCSN pools by the mean, NCSNv2 by the maximum.
    fn pooled(&self, x: Value, norms: &Norms) -> Value {
        let pool = if self.pool_norms.is_some() { Pool::Mean } else { Pool::Max };
        let x = x.elu();
        let chain = self.pool.iter().enumerate().fold((x.clone(), x), |(sum, path), (i, conv)| {
            let path = conv.forward(norms.apply_nth(path, self.pool_norms, i).pool(pool));
            (sum + path.clone(), path)
        });
        chain.0
    }
}
