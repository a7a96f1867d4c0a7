use burn::tensor::Tensor;

use super::{Denoiser, Preconditioned};
use crate::network::Context;
use crate::ops::{Dual, combine};
use crate::{Error, Result};

/// Classifier-free guidance (Ho and Salimans 2021): images of one class by a model that has learned classes.
///
/// `D = D(x) + guidance·(D(x; class) - D(x))`, their `1 + w` being `guidance` here. As with
/// [`class_guided`](crate::control::class_guided), 1 is the conditional distribution as the network knows it, 0 leaves the
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
        let of = |x, label| self.model.forward(x, sigma, Context { labels: &[label], dropout: None });
        self.guided(x, of, combine)
    }

    fn denoise_dual(&self, x: Dual, sigma: &[f64]) -> Dual {
        let of = |x, label| self.model.forward_dual(x, sigma, Context { labels: &[label], dropout: None });
        self.guided(x, of, Dual::combine)
    }

    fn evaluations(&self) -> usize {
        if [0.0, 1.0].contains(&self.guidance) { 1 } else { 2 }
    }
}

impl ClassifierFree {
    /// The mixture of what the network, `of`, says of the class and of none.
    fn guided<V: Clone>(
        &self,
        x: V,
        of: impl Fn(V, Option<usize>) -> V,
        combine: impl Fn(&[(V, &[f64])]) -> V,
    ) -> V {
        match self.guidance {
            0.0 => of(x, None),
            1.0 => of(x, Some(self.class)),
            guidance => {
                let (any, given) = (of(x.clone(), None), of(x, Some(self.class)));
                combine(&[(any, &[1.0 - guidance]), (given, &[guidance])])
            }
        }
    }
}

/// Refuses a class that a model of `classes` classes does not have, and a guidance that is not from 0 to 100.
pub(crate) fn check_class(classes: usize, class: usize, guidance: f64) -> Result<()> {
    if classes == 0 {
        let fix = "train one with --conditional, or guide it by a classifier with --classifier";
        return Err(Error::config("the class", format!("= {class}: the model has learned no classes"), fix));
    }
    if class >= classes {
        return Err(Error::config(
            "the class",
            format!("= {class} does not exist"),
            format!("use 0 to {}", classes - 1),
        ));
    }
    if !(0.0..=100.0).contains(&guidance) {
        return Err(Error::config("the guidance", format!("= {guidance} is not allowed"), "use 0 to 100"));
    }
    Ok(())
}
