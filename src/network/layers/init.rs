use burn::module::{Param, ParamId};
use burn::tensor::{Device, Tensor};

use crate::rng::{Domain, Noise};

/// Draws the initial weights: the same on every device, from the counter generator.
///
/// A weight is drawn when it is first asked for. One that a file replaces is never drawn, and a network that is only
/// counted takes no memory.
#[derive(Debug)]
pub struct Init {
    noise: Noise,
    draw: u32,
    device: Device,
}

impl Init {
    /// Weights of seed `seed`, created on `device`.
    pub fn new(seed: u64, device: &Device) -> Self {
        Self { noise: Noise::new(seed).domain(Domain::Init), draw: 0, device: device.clone() }
    }

    /// A `[rows, columns]` matrix, uniform with variance `scale / ((fan_in + fan_out)/2)`
    /// (the "fan_avg" variance scaling that DDPM and Score-SDE use); zeros for `scale` 0.
    pub fn matrix(&mut self, [rows, columns]: [usize; 2], fans: [usize; 2], scale: f64) -> Param<Tensor<2>> {
        let bound = (6.0 * scale / (fans[0] + fans[1]) as f64).sqrt() as f32;
        let (noise, draw) = self.next();
        self.later([rows, columns], move || {
            let uniform = noise.uniform(draw, 1, rows * columns);
            uniform.into_iter().map(|u| bound * (2.0 * u - 1.0)).collect()
        })
    }

    /// A `[rows, columns]` matrix of normal numbers.
    pub fn normal(&mut self, [rows, columns]: [usize; 2], mean: f32, std: f32) -> Param<Tensor<2>> {
        let (noise, draw) = self.next();
        self.later([rows, columns], move || {
            noise.normal(draw, 1, rows * columns).into_iter().map(|z| mean + std * z).collect()
        })
    }

    /// A vector of `len` equal values.
    pub fn vector(&self, len: usize, value: f32) -> Param<Tensor<1>> {
        self.later([len], move || vec![value; len])
    }

    fn next(&mut self) -> (Noise, u32) {
        self.draw += 1;
        (self.noise, self.draw - 1)
    }

    /// A weight with these values once it is asked for.
    fn later<const D: usize>(
        &self,
        shape: [usize; D],
        values: impl FnOnce() -> Vec<f32> + Send + Sync + 'static,
    ) -> Param<Tensor<D>> {
        let draw = move |device: &Device, learns: bool| {
            let weight = Tensor::<1>::from_floats(values().as_slice(), device).reshape(shape);
            weight.set_require_grad(learns)
        };
        Param::uninitialized(ParamId::new(), draw, self.device.clone(), true, shape.into())
    }
}
