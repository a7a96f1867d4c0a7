use std::str::FromStr;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::DIFFERENCE;
use crate::images::DataRange;
use crate::ops::{combine, dot, each, scale};
use crate::{Error, Result};

/// An orthogonal projection onto the part of an image that is known.
#[derive(Debug, Clone)]
pub enum Projection {
    /// Some pixels: 1 where they are known, 0 elsewhere, `[1, c, h, w]` or `[n, c, h, w]`.
    Mask(Box<Tensor<4>>),
    /// The mean of the colours of each pixel: the first axis of an orthonormal basis of colours whose other
    /// axes are unknown (Song et al. 2021, appendix I.3).
    Grey,
    /// The means of square blocks of this side.
    Blocks(usize),
}

impl Projection {
    /// The known part of `x` `[n, c, h, w]`, as large as `x`.
    pub fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        let [n, c, h, w] = x.dims();
        match self {
            Self::Mask(mask) => x * *mask.clone(),
            Self::Grey => x.mean_dim(1).expand([n, c, h, w]),
            Self::Blocks(side) => {
                let blocks: Tensor<6> = x.reshape([n, c, h / side, *side, w / side, *side]);
                let dims = blocks.dims();
                blocks.mean_dim(3).mean_dim(5).expand(dims).reshape([n, c, h, w])
            }
        }
    }
}

/// How the rest of an image learns of its known part.
///
/// What is wanted is the expectation of the image given its noisy state `x` *and* the known part `y`. With the
/// approximation that the image given `x` alone is normal, of mean `D(x)` and covariance `C`, it is
/// `D + sigma²·Jᵀ·P·(P·C·P)⁻¹·e`, where `P` projects onto the known part, `e = P·(y - D)` is what `D` misses of it and
/// `J` is the Jacobian of `D`. The methods differ in `C`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conditioning {
    /// It learns nothing beyond what the network sees: the known part is put in its place (Song et al. 2021, appendix
    /// I.2). One evaluation; biased, see [`control`](crate::control).
    Replacement,
    /// `C = r²·I` with `r² = sigma²·s²/(sigma² + s²)`, `s` being half the data's range: pseudo-inverse guidance (Song et al.
    /// 2023, for images in `[-1, 1]` and `s = 1`). Two evaluations. The best of the three where whole regions or block means
    /// are known (docs/CONTROL.md).
    #[default]
    Pigdm,
    /// `C = sigma²·J`, the covariance itself (Tweedie's second moment; Boys et al. 2023), its inverse by one step of
    /// conjugate gradients, `e·(e·e)/(e·J·e)` (Rozet et al. 2024 take several): exact for Gaussians of which one value is
    /// known. Two evaluations. The best for scattered pixels.
    Moments,
}

impl Conditioning {
    /// Every one, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Pigdm, Self::Moments, Self::Replacement];

    /// The name on the command line and in the page.
    pub fn name(self) -> &'static str {
        match self {
            Self::Replacement => "replacement",
            Self::Pigdm => "pigdm",
            Self::Moments => "moments",
        }
    }
}

impl FromStr for Conditioning {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|conditioning| conditioning.name() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::config("conditioning", format!("`{name}` is not known"), format!("use one of {known}"))
        })
    }
}

/// The least deviation that data are taken to have along what is missed, relative to half their range: where a network
/// finds less, or none, it is not believed. At noise far above the data its Jacobian is mostly error.
const LEAST_DEVIATION: f64 = 0.3;

/// What is known of the images that are wanted.
#[derive(Debug, Clone)]
pub struct Known {
    projection: Projection,
    pixels: Tensor<4>,
    conditioning: Conditioning,
}

impl Known {
    /// The part `projection` of `pixels` `[1, c, h, w]` or `[n, c, h, w]`, in `[0, 1]`; the rest of them does
    /// not matter.
    pub fn new(projection: Projection, pixels: Tensor<4>, conditioning: Conditioning) -> Self {
        let pixels = projection.apply(pixels);
        Self { projection, pixels, conditioning }
    }

    /// Evaluations of a denoiser that one of [`denoised`](Self::denoised) takes.
    pub(super) fn evaluations(&self) -> usize {
        match self.conditioning {
            Conditioning::Replacement => 1,
            Conditioning::Pigdm | Conditioning::Moments => 2,
        }
    }

    /// The expectation of the image given its state `x = x_0 + sigma·z` and its known part, by `denoise`, which does
    /// not know that part.
    ///
    /// `J` is symmetric, `sigma²·J` being a covariance, so `Jᵀ·e` is the change of `D` along `e`: a difference of two
    /// evaluations, on any device, where a reverse pass would cost three and exist natively only. What the rest learns is
    /// kept below half the range, root mean square: an expectation varies less than the data do.
    pub(super) fn denoised(
        &self,
        denoise: impl Fn(Tensor<4>) -> Tensor<4>,
        x: Tensor<4>,
        sigma: &[f64],
        range: DataRange,
    ) -> Tensor<4> {
        let denoised = denoise(x.clone());
        if self.conditioning == Conditioning::Replacement {
            return self.impose(denoised, range);
        }
        let missed = self.encoded(range) - self.projection.apply(denoised.clone());
        // What is missed by less than f32 can tell is no direction.
        let size = rms(missed.clone()).clamp_min(f32::EPSILON);
        let along = missed / size.clone();
        let widths = each(sigma, |s| DIFFERENCE * s);
        let beside = denoise(combine(&[(x, &[1.0]), (along.clone(), &widths)]));
        let change = scale(beside - denoised.clone(), &each(&widths, |h| 1.0 / h));

        let half = (range.high - range.low) / 2.0;
        let inverse = |deviation: f64| each(sigma, |s| 1.0 + (s / (deviation * half)).powi(2));
        let learned = match self.conditioning {
            Conditioning::Moments => {
                // Rayleigh's, as the mean square of `along` is one.
                let quotient =
                    dot(along, change.clone()) / change.dims()[1..].iter().product::<usize>() as f64;
                let most = inverse(LEAST_DEVIATION);
                scale(change, &most) / scale(quotient, &most).clamp_min(1.0)
            }
            _ => scale(change, &inverse(1.0)),
        } * size;
        let excess = (rms(learned.clone()) / half).clamp_min(1.0);
        self.impose(denoised + learned / excess, range)
    }

    /// The known part in the units of `range`, zero elsewhere.
    pub(super) fn encoded(&self, range: DataRange) -> Tensor<4> {
        self.projection.apply(range.encode(self.pixels.clone()))
    }

    /// `x` in the units of `range` with its known part replaced.
    pub(super) fn impose(&self, x: Tensor<4>, range: DataRange) -> Tensor<4> {
        x.clone() - self.projection.apply(x) + self.encoded(range)
    }

    /// Pixel values with their known part replaced: exactly where single pixels are known.
    pub fn impose_pixels(&self, images: Tensor<4>) -> Tensor<4> {
        images.clone() - self.projection.apply(images) + self.pixels.clone()
    }
}

/// The root mean square of each sample, `[n, 1, 1, 1]`.
fn rms(x: Tensor<4>) -> Tensor<4> {
    let [_, c, h, w] = x.dims();
    (dot(x.clone(), x) / (c * h * w) as f64).sqrt()
}
