use std::ops::Range;

use burn::tensor::Tensor;

use super::{Denoiser, Preconditioned};
use crate::network::Context;
use crate::ops::{Dual, at_once};

/// A network that takes as many images at once as a GPU stands, and the others after them.
#[derive(Debug, Clone)]
pub struct Divided {
    /// The network with its scaling.
    pub model: Preconditioned,
    /// Of its largest kernel, for each image.
    pub operations: f64,
}

/// What belongs to some of the images.
#[derive(Debug, PartialEq)]
struct Part<'a> {
    images: Range<usize>,
    sigma: &'a [f64],
    labels: &'a [Option<usize>],
}

impl Divided {
    /// [`Denoiser::denoise`] of images of known classes, `labels` being as in [`Context`].
    pub fn forward(&self, x: Tensor<4>, sigma: &[f64], labels: &[Option<usize>]) -> Tensor<4> {
        let of = |x, sigma, labels| self.model.forward(x, sigma, Context { labels, ..Context::default() });
        match self.parts(x.dims()[0], sigma, labels) {
            None => of(x, sigma, labels),
            Some(parts) => {
                let each = parts.map(|part| of(x.clone().slice_dim(0, part.images), part.sigma, part.labels));
                Tensor::cat(each.collect(), 0)
            }
        }
    }

    /// [`Self::forward`] and how its result changes along the tangent of `x`.
    pub fn forward_dual(&self, x: Dual, sigma: &[f64], labels: &[Option<usize>]) -> Dual {
        let of =
            |x, sigma, labels| self.model.forward_dual(x, sigma, Context { labels, ..Context::default() });
        match self.parts(x.value.dims()[0], sigma, labels) {
            None => of(x, sigma, labels),
            Some(parts) => {
                let each = parts.map(|Part { images, sigma, labels }| {
                    let among = |x: &Tensor<4>| x.clone().slice_dim(0, images.clone());
                    let x = Dual { value: among(&x.value), tangent: among(&x.tangent) };
                    let Dual { value, tangent } = of(x, sigma, labels);
                    (value, tangent)
                });
                let (values, tangents) = each.unzip();
                Dual { value: Tensor::cat(values, 0), tangent: Tensor::cat(tangents, 0) }
            }
        }
    }

    /// The images of each part with their noise levels and classes; `None` where all go at once.
    fn parts<'a>(
        &self,
        n: usize,
        sigma: &'a [f64],
        labels: &'a [Option<usize>],
    ) -> Option<impl Iterator<Item = Part<'a>> + use<'a>> {
        parts(n, at_once(n, self.operations), sigma, labels)
    }
}

/// Parts of at most `size` images.
fn parts<'a>(
    n: usize,
    size: usize,
    sigma: &'a [f64],
    labels: &'a [Option<usize>],
) -> Option<impl Iterator<Item = Part<'a>> + use<'a>> {
    let part = move |from: usize| {
        let images = from..n.min(from + size);
        Part { sigma: among(sigma, n, &images), labels: among(labels, n, &images), images }
    };
    (size < n).then(|| (0..n).step_by(size).map(part))
}

/// Of what is the same for all `n` images, or one for each, that of some of them.
fn among<'a, T>(values: &'a [T], n: usize, images: &Range<usize>) -> &'a [T] {
    if values.len() == n { &values[images.clone()] } else { values }
}

impl Denoiser for Divided {
    fn denoise(&self, x: Tensor<4>, sigma: &[f64]) -> Tensor<4> {
        self.forward(x, sigma, &[])
    }

    fn denoise_dual(&self, x: Dual, sigma: &[f64]) -> Dual {
        self.forward_dual(x, sigma, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_the_whole() {
        let (sigma, labels) = ([1.0, 2.0, 3.0, 4.0, 5.0], [Some(1), None, Some(3), Some(4), Some(5)]);
        let found: Vec<_> = parts(5, 2, &sigma, &labels).unwrap().collect();
        let expected = [0..2, 2..4, 4..5].map(|images| Part {
            sigma: &sigma[images.clone()],
            labels: &labels[images.clone()],
            images,
        });
        assert_eq!(found, expected);
        let same: Vec<_> =
            parts(3, 2, &sigma[..1], &[]).unwrap().map(|part| (part.images, part.sigma)).collect();
        assert_eq!(same, [(0..2, &[1.0][..]), (2..3, &[1.0][..])], "one level for all, and no classes");
        assert!(parts(5, 5, &sigma, &labels).is_none());
    }
}
