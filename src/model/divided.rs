use std::ops::Range;

use burn::tensor::Tensor;

use super::Denoiser;
use crate::ops::{Dual, at_once};

/// A denoiser that takes as many images at once as a GPU stands, and the others after them.
#[derive(Debug)]
pub struct Divided<D> {
    /// Denoises the images.
    pub inner: D,
    /// Of its largest kernel, for each image.
    pub operations: f64,
}

impl<D> Divided<D> {
    /// The images of each part with their noise levels; `None` where all go at once.
    fn parts<'a>(
        &self,
        n: usize,
        sigma: &'a [f64],
    ) -> Option<impl Iterator<Item = (Range<usize>, &'a [f64])> + use<'a, D>> {
        let size = at_once(n, self.operations);
        let part = move |from: usize| {
            let part = from..n.min(from + size);
            // One level for all, or one for each.
            let sigma = if sigma.len() == n { &sigma[part.clone()] } else { sigma };
            (part, sigma)
        };
        (size < n).then(|| (0..n).step_by(size).map(part))
    }
}

impl<D: Denoiser> Denoiser for Divided<D> {
    fn denoise(&self, x: Tensor<4>, sigma: &[f64]) -> Tensor<4> {
        match self.parts(x.dims()[0], sigma) {
            None => self.inner.denoise(x, sigma),
            Some(parts) => {
                let denoised = |(part, sigma)| self.inner.denoise(x.clone().slice_dim(0, part), sigma);
                Tensor::cat(parts.map(denoised).collect(), 0)
            }
        }
    }

    fn denoise_dual(&self, x: Dual, sigma: &[f64]) -> Dual {
        match self.parts(x.value.dims()[0], sigma) {
            None => self.inner.denoise_dual(x, sigma),
            Some(parts) => {
                let denoised = |(part, sigma): (Range<usize>, _)| {
                    let of = |x: &Tensor<4>| x.clone().slice_dim(0, part.clone());
                    let part = Dual { value: of(&x.value), tangent: of(&x.tangent) };
                    let Dual { value, tangent } = self.inner.denoise_dual(part, sigma);
                    (value, tangent)
                };
                let (values, tangents) = parts.map(denoised).unzip();
                Dual { value: Tensor::cat(values, 0), tangent: Tensor::cat(tangents, 0) }
            }
        }
    }

    fn evaluations(&self) -> usize {
        self.inner.evaluations()
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::ops::{at_pace, each, scale};

    /// `sigma·x`, which takes at most two images.
    struct TwoAtMost;

    impl Denoiser for TwoAtMost {
        fn denoise(&self, x: Tensor<4>, sigma: &[f64]) -> Tensor<4> {
            assert!(x.dims()[0] <= 2 && [1, x.dims()[0]].contains(&sigma.len()));
            scale(x, &each(sigma, |sigma| sigma))
        }
    }

    /// One dispatch of two images lasts the longest that is allowed, .05 s.
    #[test]
    fn parts_are_the_whole() {
        let x = Tensor::<1>::from_floats([1.0, 2.0, 3.0, 4.0, 5.0], &Device::flex()).reshape([5, 1, 1, 1]);
        let divided = Divided { inner: TwoAtMost, operations: 1.0 };
        let found = |sigma: &[f64]| -> Vec<f32> {
            at_pace(40.0, || divided.denoise(x.clone(), sigma)).into_data().try_to_vec().unwrap()
        };
        assert_eq!(found(&[2.0]), [2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(found(&[1.0, 2.0, 3.0, 4.0, 5.0]), [1.0, 4.0, 9.0, 16.0, 25.0]);
    }
}
