use burn::module::Module;
use burn::tensor::Tensor;

use super::{Conv, Dropout, Groups, Init, NormSilu, TimeWidths};
use crate::ops::{Joined, Resample, Then, Value};

/// `1/sqrt 2`: keeps the variance of a sum of two unit-variance branches at one (NCSN++).
pub const SKIP_SCALE: f64 = std::f64::consts::FRAC_1_SQRT_2;

/// What residual blocks of different papers do differently. The default is DDPM++'s block.
#[derive(Debug, Clone, Copy)]
pub struct BlockStyle {
    /// Groups of the first normalisation and of the second.
    pub groups: [Groups; 2],
    /// Multiplies the sum of the two branches.
    pub scale: f64,
    /// The noise level multiplies as well as shifts, and does so behind the second normalisation (Dhariwal and Nichol
    /// 2021, adaptive group normalisation); otherwise it shifts before it.
    pub scale_shift: bool,
    /// What happens to the image's size, in both branches.
    pub resample: Option<Resample>,
    /// A 1x1 convolution leads around the block even where the number of channels stays.
    pub projects: bool,
}

impl Default for BlockStyle {
    fn default() -> Self {
        Self {
            groups: [Groups::default(); 2],
            scale: SKIP_SCALE,
            scale_shift: false,
            resample: None,
            projects: false,
        }
    }
}

/// The residual block of DDPM, NCSN++ and BigGAN: two normalised 3x3 convolutions, the noise level added
/// between them, the second starting at zero.
#[derive(Module, Debug)]
pub struct ResBlock {
    norm1: NormSilu,
    conv1: Conv,
    norm2: NormSilu,
    conv2: Conv,
    skip: Option<Conv>,
    /// Where this block's channels begin in what the [`TimeMlp`](super::TimeMlp) returns.
    time: usize,
    scale: f64,
    scale_shift: bool,
    #[module(skip)]
    resample: Option<Resample>,
}

impl ResBlock {
    /// `c_in` to `c_out` channels; `time` reserves those that the noise level shifts.
    pub fn new(c_in: usize, c_out: usize, time: &mut TimeWidths, init: &mut Init) -> Self {
        Self::with([c_in, c_out], BlockStyle::default(), time, init)
    }

    /// [`Self::new`] in another style.
    pub fn with(
        [c_in, c_out]: [usize; 2],
        style: BlockStyle,
        time: &mut TimeWidths,
        init: &mut Init,
    ) -> Self {
        Self {
            norm1: NormSilu::with(c_in, style.groups[0], init),
            conv1: Conv::new(c_in, c_out, 3, 1, 1.0, init),
            norm2: NormSilu::with(c_out, style.groups[1], init),
            conv2: Conv::new(c_out, c_out, 3, 1, 0.0, init),
            skip: (c_in != c_out || style.projects).then(|| Conv::new(c_in, c_out, 1, 1, 1.0, init)),
            time: time.reserve(if style.scale_shift { 2 * c_out } else { c_out }),
            scale: style.scale,
            scale_shift: style.scale_shift,
            resample: style.resample,
        }
    }

    /// `[b, h, w, c_in]` to `[b, h, w, c_out]`, resampled if that is its style; `time` is `[b or 1, all channels]`.
    pub fn forward(&self, x: impl Into<Joined<Value>>, time: &Tensor<2>, dropout: Option<&Dropout>) -> Value {
        let x = x.into();
        let h: Value = self.norm1.forward(x.clone());
        let (x, h) = match self.resample {
            Some(resample) => {
                let resampled = |x: Value| x.linear(|x| resample.apply(x));
                (resampled(Value::cat(x)).into(), resampled(h))
            }
            None => (x, h),
        };
        let h = match self.scale_shift {
            true => self.scaled_and_shifted(h, time),
            false => {
                let shift = time.clone();
                let shift = Then::ShiftNormSilu { shift, first: self.time, norm: self.norm2.norm() };
                self.conv1.then(h.into(), shift)
            }
        };
        let h = match dropout {
            Some(dropout) => dropout.apply(h),
            None => h,
        };
        let projection = self.skip.as_ref().map(Conv::filter);
        self.conv2.then(h.into(), Then::Add { x, projection, scale: self.scale })
    }

    /// `silu((1 + scale)·norm(conv(h)) + shift)`.
    fn scaled_and_shifted(&self, h: Value, time: &Tensor<2>) -> Value {
        let h = self.norm2.normalise(self.conv1.forward(h));
        let ([rows, _], [_, _, _, c]) = (time.dims(), h.dims());
        let part = |i: usize| time.clone().narrow(1, self.time + i * c, c).reshape([rows, 1, 1, c]);
        h.linear(|h| h * (part(0) + 1.0)).shifted(part(1)).silu()
    }

    /// The gradient for `x` of [`Self::forward`] without dropout, `dy` being that of its result. For blocks in the default
    /// style.
    pub fn gradient(&self, x: &Tensor<4>, time: &Tensor<2>, dy: Tensor<4>) -> Tensor<4> {
        let ([_, _, _, c_in], [_, _, _, c_out]) = (x.dims(), dy.dims());
        let no_shift = Tensor::zeros([1, c_in], &x.device());
        let shift = time.clone().narrow(1, self.time, c_out);
        let dy = dy * self.scale;
        let between = self.conv1.forward(self.norm1.forward(Value::from(x.clone()))).into();
        let d_between = self.norm2.gradient(&between, &shift, self.conv2.gradient(&between, dy.clone()));
        let through = self.norm1.gradient(x, &no_shift, self.conv1.gradient(x, d_between));
        let around = match &self.skip {
            Some(skip) => skip.gradient(x, dy),
            None => dy,
        };
        through + around
    }
}
