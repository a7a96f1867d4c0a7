use burn::tensor::Tensor;

use crate::model::{Denoiser, Preconditioned};
use crate::network::Context;
use crate::ops::combine;

/// Classifier-free guidance (Ho and Salimans 2021): images of one class by a model that has learned classes.
///
/// `D = D(x) + guidance·(D(x; class) - D(x))`, their `1 + w` being `guidance` here. As with
/// [`class_guided`](super::class_guided), 1 is the conditional distribution as the network knows it, 0 leaves the
/// class out, and more than 1 sharpens it. Two network evaluations, of which 0 and 1 need but one.
#[derive(Debug)]
pub struct ClassifierFree {
    /// The network with its scaling.
    pub model: Preconditioned,
    /// The class.
    pub class: usize,
    /// How far to go in its direction.
    pub guidance: f64,
}

impl Denoiser for ClassifierFree {
    fn denoise(&self, x: Tensor<4>, sigma: &[f64]) -> Tensor<4> {
        let of = |x: Tensor<4>, label: Option<usize>| {
            self.model.forward(x, sigma, Context { labels: &[label], dropout: None })
        };
        match self.guidance {
            0.0 => of(x, None),
            1.0 => of(x, Some(self.class)),
            guidance => {
                let (any, given) = (of(x.clone(), None), of(x, Some(self.class)));
                combine(&[(any, &[1.0 - guidance]), (given, &[guidance])])
            }
        }
    }

    fn evaluations(&self) -> usize {
        if [0.0, 1.0].contains(&self.guidance) { 1 } else { 2 }
    }
}
