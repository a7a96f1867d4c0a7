//! What flows through a network, so that a network is written once and can be differentiated forwards.

use std::ops::{Add, Mul, Sub};

use burn::tensor::activation::silu;
use burn::tensor::{Device, Tensor};

use super::attention::{attention, attention_added, attention_tangent};
use super::conv::{Filter, Pass, Then, conv_normalised, convolve, upsample};
use super::elu::{elu, elu_tangent};
use super::group_norm::{Norm, group_norm, group_norm_silu, norm_tangent, shift_norm_silu, shifted};
use super::instance_norm::{InstanceNorm, instance_norm, instance_norm_tangent};
use super::pool::Pool;
use super::{Joined, combine, silu_slope};

/// Images `[b, h, w, c]` inside a network: a [`Tensor`], or a [`Dual`].
///
/// What is linear in the images is done by [`linear`](Self::linear); the methods are those that are not.
pub trait Value: Clone + Add<Output = Self> + Sub<f64, Output = Self> + Mul<f64, Output = Self> {
    /// Their shape.
    fn dims(&self) -> [usize; 4];

    /// Where they are.
    fn device(&self) -> Device;

    /// A map of the images that is linear, without a summand: of a change it makes the change.
    fn linear(self, map: impl Fn(Tensor<4>) -> Tensor<4>) -> Self;

    /// With `constant` added, which may be one for all images or pixels.
    fn shifted(self, constant: Tensor<4>) -> Self;

    /// `x·sigmoid(x)`.
    fn silu(self) -> Self;

    /// [`elu`].
    fn elu(self) -> Self;

    /// A convolution with all that goes with it.
    fn pass(pass: Pass<Self>) -> Self;

    /// [`group_norm`].
    fn group_norm(self, norm: &Norm) -> Self;

    /// [`group_norm_silu`].
    fn group_norm_silu(x: Joined<Self>, norm: &Norm) -> Self;

    /// [`conv_normalised`].
    fn conv_normalised(self, norm: &Norm, filter: Filter) -> Self;

    /// [`instance_norm`].
    fn instance_norm(self, norm: InstanceNorm) -> Self;

    /// [`Pool::apply`].
    fn pool(self, pool: Pool) -> Self;

    /// [`attention`] of each pixel to all others; `self` has query, key and value of each, `[b, h, w, 3c]`.
    fn attention(self) -> Self;

    /// [`attention_added`]; `self` is as for [`Self::attention`].
    fn attention_added(self, projection: Filter, x: Self, scale: f64) -> Self;

    /// The channels of `x`, then those of `skip`.
    fn joined(x: Self, skip: Self) -> Joined<Self>;

    /// One value.
    fn cat(joined: Joined<Self>) -> Self;
}

/// `[b, h, w, c]` as `[b, h·w, c]`.
fn pixels(x: Tensor<4>) -> Tensor<3> {
    let [b, h, w, c] = x.dims();
    x.reshape([b, h * w, c])
}

impl Value for Tensor<4> {
    fn dims(&self) -> [usize; 4] {
        self.dims()
    }

    fn device(&self) -> Device {
        self.device()
    }

    fn linear(self, map: impl Fn(Self) -> Self) -> Self {
        map(self)
    }

    fn shifted(self, constant: Self) -> Self {
        self + constant
    }

    fn silu(self) -> Self {
        silu(self)
    }

    fn elu(self) -> Self {
        elu(self)
    }

    fn pass(pass: Pass) -> Self {
        pass.run()
    }

    fn group_norm(self, norm: &Norm) -> Self {
        group_norm(self, norm)
    }

    fn group_norm_silu(x: Joined, norm: &Norm) -> Self {
        group_norm_silu(x, norm)
    }

    fn conv_normalised(self, norm: &Norm, filter: Filter) -> Self {
        conv_normalised(self, norm, filter)
    }

    fn instance_norm(self, norm: InstanceNorm) -> Self {
        instance_norm(self, norm)
    }

    fn pool(self, pool: Pool) -> Self {
        pool.apply(self)
    }

    fn attention(self) -> Self {
        let [b, h, w, c] = self.dims();
        attention(pixels(self)).reshape([b, h, w, c / 3])
    }

    fn attention_added(self, projection: Filter, x: Self, scale: f64) -> Self {
        attention_added(pixels(self), projection, x, scale)
    }

    fn joined(x: Self, skip: Self) -> Joined {
        Joined::new(x, skip)
    }

    fn cat(joined: Joined) -> Self {
        joined.cat()
    }
}

/// Images and how they change along a direction: forward-mode differentiation.
///
/// Of a function `f` of images, `f` of `x` with tangent `v` has the value `f(x)` and the tangent `J(x)·v`, the product of
/// its Jacobian with `v`, exactly. It costs about as much as two evaluations. Values and tangents are differentiable
/// themselves, so that a loss may have either in it.
#[derive(Debug, Clone)]
pub struct Dual {
    /// The images.
    pub value: Tensor<4>,
    /// How they change, of the same shape.
    pub tangent: Tensor<4>,
}

impl Dual {
    /// What does not change.
    pub fn constant(value: Tensor<4>) -> Self {
        Self { tangent: value.zeros_like(), value }
    }

    /// [`scale`](super::scale) of both.
    pub fn scale(self, factors: &[f64]) -> Self {
        self.linear(|x| super::scale(x, factors))
    }

    /// [`combine`] of both.
    pub fn combine(terms: &[(Self, &[f64])]) -> Self {
        let of = |part: fn(&Self) -> &Tensor<4>| {
            let terms: Vec<_> = terms.iter().map(|(x, factors)| (part(x).clone(), *factors)).collect();
            combine(&terms)
        };
        Self { value: of(|x| &x.value), tangent: of(|x| &x.tangent) }
    }

    fn convolved(self, filter: Filter) -> Self {
        let unbiased = Filter { bias: filter.bias.zeros_like(), ..filter.clone() };
        Self { value: convolve(self.value, filter), tangent: convolve(self.tangent, unbiased) }
    }
}

impl Add for Dual {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { value: self.value + other.value, tangent: self.tangent + other.tangent }
    }
}

impl Sub<f64> for Dual {
    type Output = Self;

    fn sub(self, constant: f64) -> Self {
        Self { value: self.value - constant, ..self }
    }
}

impl Mul<f64> for Dual {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        self.linear(|x| x * factor)
    }
}

impl Value for Dual {
    fn dims(&self) -> [usize; 4] {
        self.value.dims()
    }

    fn device(&self) -> Device {
        self.value.device()
    }

    fn linear(self, map: impl Fn(Tensor<4>) -> Tensor<4>) -> Self {
        Self { value: map(self.value), tangent: map(self.tangent) }
    }

    fn shifted(self, constant: Tensor<4>) -> Self {
        Self { value: self.value + constant, ..self }
    }

    fn silu(self) -> Self {
        Self { tangent: self.tangent * silu_slope(self.value.clone()), value: silu(self.value) }
    }

    fn elu(self) -> Self {
        Self { tangent: elu_tangent(&self.value, self.tangent), value: elu(self.value) }
    }

    fn pass(Pass { x, upsample: doubles, filter, then }: Pass<Self>) -> Self {
        let x = Self::cat(x);
        let y = if doubles { x.linear(upsample) } else { x }.convolved(filter);
        match then {
            Then::Nothing => y,
            Then::ShiftNormSilu { shift, first, norm } => {
                let [_, _, _, c] = y.dims();
                let shift = shift.narrow(1, first, c);
                let tangent = norm_tangent(shifted(y.value.clone(), shift.clone()), y.tangent, &norm, true);
                Self { value: shift_norm_silu(y.value, shift, &norm), tangent }
            }
            Then::Add { x, projection, scale } => {
                let x = Self::cat(x);
                let x = match projection {
                    Some(projection) => x.convolved(projection),
                    None => x,
                };
                Self::combine(&[(x, &[scale]), (y, &[scale])])
            }
        }
    }

    fn group_norm(self, norm: &Norm) -> Self {
        let tangent = norm_tangent(self.value.clone(), self.tangent, norm, false);
        Self { value: group_norm(self.value, norm), tangent }
    }

    fn group_norm_silu(x: Joined<Self>, norm: &Norm) -> Self {
        let Self { value, tangent } = Self::cat(x);
        let tangent = norm_tangent(value.clone(), tangent, norm, true);
        Self { value: group_norm_silu(value.into(), norm), tangent }
    }

    fn conv_normalised(self, norm: &Norm, filter: Filter) -> Self {
        self.group_norm(norm).convolved(filter)
    }

    fn instance_norm(self, norm: InstanceNorm) -> Self {
        let tangent = instance_norm_tangent(self.value.clone(), self.tangent, &norm);
        Self { value: instance_norm(self.value, norm), tangent }
    }

    fn pool(self, pool: Pool) -> Self {
        let tangent = pool.tangent(self.value.clone(), self.tangent);
        Self { value: pool.apply(self.value), tangent }
    }

    fn attention(self) -> Self {
        let [b, h, w, c] = self.dims();
        let tangent = attention_tangent(pixels(self.value.clone()), pixels(self.tangent));
        Self { value: self.value.attention(), tangent: tangent.reshape([b, h, w, c / 3]) }
    }

    fn attention_added(self, projection: Filter, x: Self, scale: f64) -> Self {
        let projected = self.attention().convolved(projection);
        Self::combine(&[(x, &[scale]), (projected, &[scale])])
    }

    fn joined(x: Self, skip: Self) -> Joined<Self> {
        let cat = |x, skip| Joined::new(x, skip).cat();
        Self { value: cat(x.value, skip.value), tangent: cat(x.tangent, skip.tangent) }.into()
    }

    fn cat(joined: Joined<Self>) -> Self {
        let Joined { x, skip } = joined;
        match skip {
            Some(skip) => Self::joined(x, skip).x,
            None => x,
        }
    }
}
