use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};

use crate::rng::Noise;

/// `module` with weights none of which is zero, drawn from `noise`: a fresh network returns zero whatever it is given.
///
/// The same weights on every device. A matrix keeps about half the variance of its input; vectors, which are biases and
/// scales, move by 0.1.
pub fn lively<M: Module>(module: M, noise: Noise) -> M {
    module.map(&mut Stir { noise, draw: 0 })
}

struct Stir {
    noise: Noise,
    draw: u32,
}

impl ModuleMapper for Stir {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.draw += 1;
        param.map(|old| {
            let dims = old.dims();
            let size = if D == 1 { 0.1 } else { (dims[0] as f64).sqrt().recip() * 0.7 };
            let z = self.noise.normal(self.draw, 1, dims.iter().product());
            let z: Vec<f32> = z.into_iter().map(|z| z * size as f32).collect();
            let stir = Tensor::from_data(TensorData::new(z, dims), &old.device());
            if D == 1 { old + stir } else { stir }
        })
    }
}
