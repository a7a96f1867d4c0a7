//! What flows through a network, so that a network is written once and can be differentiated forwards.

use std::ops::{Add, Mul, Sub};

use burn::tensor::{Device, Tensor};

use super::attention::{attention, attention_added, attention_tangent};
use super::conv::{Filter, Pass, Then, conv_normalised, convolve, upsample};
use super::elu::{elu, elu_tangent};
use super::group_norm::{Norm, group_norm, group_norm_silu, norm_tangent, shift_norm_silu, shifted};
use super::instance_norm::{InstanceNorm, instance_norm, instance_norm_tangent};
use super::pool::Pool;
use super::silu::{add_rows, silu, silu_tangent};
use super::{Joined, combine};

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
        let scale = |x| super::scale(x, factors);
        Self { value: scale(self.value), tangent: scale(self.tangent) }
    }

    /// [`combine`] of both.
    pub fn combine(terms: &[(Self, &[f64])]) -> Self {
        let of = |part: fn(&Self) -> &Tensor<4>| {
            let terms: Vec<_> = terms.iter().map(|(x, factors)| (part(x).clone(), *factors)).collect();
            combine(&terms)
        };
        Self { value: of(|x| &x.value), tangent: of(|x| &x.tangent) }
    }
}

impl Add for Dual {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { value: self.value + other.value, tangent: self.tangent + other.tangent }
    }
}

/// Images `[b, h, w, c]` inside a network, with a tangent where one is asked for: so a network is written once.
///
/// What is linear in the images is done by [`linear`](Self::linear); the other methods are those that are not.
#[derive(Debug, Clone)]
pub struct Value {
    value: Tensor<4>,
    tangent: Option<Tensor<4>>,
}

impl From<Tensor<4>> for Value {
    fn from(value: Tensor<4>) -> Self {
        Self { value, tangent: None }
    }
}

impl From<Value> for Tensor<4> {
    fn from(x: Value) -> Self {
        x.value
    }
}

impl From<Dual> for Value {
    fn from(Dual { value, tangent }: Dual) -> Self {
        Self { value, tangent: Some(tangent) }
    }
}

impl From<Value> for Dual {
    fn from(Value { value, tangent }: Value) -> Self {
        match tangent {
            Some(tangent) => Self { value, tangent },
            None => Self::constant(value),
        }
    }
}

impl Add for Value {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let tangent = match (self.tangent, other.tangent) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
        Self { value: self.value + other.value, tangent }
    }
}

impl Sub<f64> for Value {
    type Output = Self;

    fn sub(self, constant: f64) -> Self {
        Self { value: self.value - constant, ..self }
    }
}

impl Mul<f64> for Value {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        self.linear(|x| x * factor)
    }
}

impl Value {
    /// Their shape.
    pub fn dims(&self) -> [usize; 4] {
        self.value.dims()
    }

    /// Where they are.
    pub fn device(&self) -> Device {
        self.value.device()
    }

    /// `value` of the images; `tangent` makes of them and of their tangent that of the result.
    fn map(
        self,
        value: impl FnOnce(Tensor<4>) -> Tensor<4>,
        tangent: impl FnOnce(&Tensor<4>, Tensor<4>) -> Tensor<4>,
    ) -> Self {
        let tangent = self.tangent.map(|dx| tangent(&self.value, dx));
        Self { value: value(self.value), tangent }
    }

    /// A map of the images that is linear, without a summand: of a change it makes the change.
    pub fn linear(self, map: impl Fn(Tensor<4>) -> Tensor<4>) -> Self {
        self.map(&map, |_, dx| map(dx))
    }

    /// With `constant` added, which may be one for all images or pixels.
    pub fn shifted(self, constant: Tensor<4>) -> Self {
        Self { value: self.value + constant, ..self }
    }

    /// [`add_rows`].
    pub fn add_rows(self, rows: Tensor<2>) -> Self {
        Self { value: add_rows(self.value, rows), ..self }
    }

    /// `x·sigmoid(x)`.
    pub fn silu(self) -> Self {
        self.map(silu, |x, dx| silu_tangent(x.clone(), dx))
    }

    /// [`elu`].
    pub fn elu(self) -> Self {
        self.map(elu, elu_tangent)
    }

    /// A convolution with all that goes with it.
    pub fn pass(Pass { x, upsample: doubles, filter, then }: Pass<Self>) -> Self {
        if x.x.tangent.is_none() {
            let then = match then {
                Then::Nothing => Then::Nothing,
                Then::ShiftNormSilu { shift, first, norm } => Then::ShiftNormSilu { shift, first, norm },
                Then::Add { x, projection, scale } => Then::Add { x: values(x), projection, scale },
            };
            return Pass { x: values(x), upsample: doubles, filter, then }.run().into();
        }
        let x = Self::cat(x);
        let y = if doubles { x.linear(upsample) } else { x }.convolved(filter);
        match then {
            Then::Nothing => y,
            Then::ShiftNormSilu { shift, first, norm } => {
                let [_, _, _, c] = y.dims();
                let shift = shift.narrow(1, first, c);
                y.map(
                    |y| shift_norm_silu(y, shift.clone(), &norm),
                    |y, dy| norm_tangent(shifted(y.clone(), shift.clone()), dy, &norm, true),
                )
            }
            Then::Add { x, projection, scale } => {
                let x = Self::cat(x);
                let x = match projection {
                    Some(projection) => x.convolved(projection),
                    None => x,
                };
                (x + y) * scale
            }
        }
    }

    fn convolved(self, filter: Filter) -> Self {
        let unbiased = Filter { bias: filter.bias.zeros_like(), ..filter.clone() };
        self.map(|x| convolve(x, filter), |_, dx| convolve(dx, unbiased))
    }

    /// [`group_norm`].
    pub fn group_norm(self, norm: &Norm) -> Self {
        self.map(|x| group_norm(x, norm), |x, dx| norm_tangent(x.clone(), dx, norm, false))
    }

    /// [`group_norm_silu`].
    pub fn group_norm_silu(x: Joined<Self>, norm: &Norm) -> Self {
        if x.x.tangent.is_none() {
            return group_norm_silu(values(x), norm).into();
        }
        Self::cat(x).map(|x| group_norm_silu(x.into(), norm), |x, dx| norm_tangent(x.clone(), dx, norm, true))
    }

    /// [`conv_normalised`].
    pub fn conv_normalised(self, norm: &Norm, filter: Filter) -> Self {
        match self.tangent {
            None => conv_normalised(self.value, norm, filter).into(),
            Some(_) => self.group_norm(norm).convolved(filter),
        }
    }

    /// [`instance_norm`].
    pub fn instance_norm(self, norm: InstanceNorm) -> Self {
        let tangent = self.tangent.map(|dx| instance_norm_tangent(self.value.clone(), dx, &norm));
        Self { value: instance_norm(self.value, norm), tangent }
    }

    /// [`Pool::apply`].
    pub fn pool(self, pool: Pool) -> Self {
        self.map(|x| pool.apply(x), |x, dx| pool.tangent(x.clone(), dx))
    }

    /// [`attention`] of each pixel to all others; `self` has query, key and value of each, `[b, h, w, 3c]`.
    pub fn attention(self) -> Self {
        let [b, h, w, c] = self.dims();
        let images = |y: Tensor<3>| y.reshape([b, h, w, c / 3]);
        self.map(
            |qkv| images(attention(pixels(qkv))),
            |qkv, tangent| images(attention_tangent(pixels(qkv.clone()), pixels(tangent))),
        )
    }

    /// [`attention_added`]; `self` is as for [`Self::attention`].
    pub fn attention_added(self, projection: Filter, x: Self, scale: f64) -> Self {
        match self.tangent {
            None => attention_added(pixels(self.value), projection, x.value, scale).into(),
            Some(_) => (x + self.attention().convolved(projection)) * scale,
        }
    }

    /// The channels of `x`, then those of `skip`.
    pub fn joined(x: Self, skip: Self) -> Joined<Self> {
        match (x.tangent, skip.tangent) {
            (Some(dx), Some(dskip)) => {
                let cat = |x, skip| Joined::new(x, skip).cat();
                Self { value: cat(x.value, skip.value), tangent: Some(cat(dx, dskip)) }.into()
            }
            _ => {
                let Joined { x, skip } = Joined::new(x.value, skip.value);
                Joined { x: x.into(), skip: skip.map(Self::from) }
            }
        }
    }

    /// One value.
    pub fn cat(joined: Joined<Self>) -> Self {
        let Joined { x, skip } = joined;
        match skip {
            Some(skip) if x.tangent.is_some() => Self::joined(x, skip).x,
            Some(skip) => Joined { x: x.value, skip: Some(skip.value) }.cat().into(),
            None => x,
        }
    }
}

/// Without tangents.
fn values(joined: Joined<Value>) -> Joined {
    Joined { x: joined.x.value, skip: joined.skip.map(|skip| skip.value) }
}

/// `[b, h, w, c]` as `[b, h·w, c]`.
fn pixels(x: Tensor<4>) -> Tensor<3> {
    let [b, h, w, c] = x.dims();
    x.reshape([b, h * w, c])
}
