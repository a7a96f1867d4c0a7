use burn::module::Param;
use burn::tensor::{Device, Tensor};

use crate::rng::{Domain, Noise};

/// Draws the initial weights: the same on every device, from the counter generator.
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
        let uniform = self.noise.uniform(self.draw, 1, rows * columns);
        self.draw += 1;
        let values: Vec<f32> = uniform.into_iter().map(|u| bound * (2.0 * u - 1.0)).collect();
        Param::from_tensor(Tensor::<1>::from_floats(values.as_slice(), &self.device).reshape([rows, columns]))
    }

    /// A vector of `len` equal values.
    pub fn vector(&self, len: usize, value: f32) -> Param<Tensor<1>> {
        Param::from_tensor(Tensor::full([len], value, &self.device))
    }
}
