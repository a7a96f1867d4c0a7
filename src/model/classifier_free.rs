use burn::tensor::Tensor;

use super::{Denoiser, Divided};
use crate::ops::{Dual, combine};
use crate::{Error, Result};

/// Classifier-free guidance (Ho and Salimans 2021): images of given classes by a model that has learned classes.
///
/// `D = D(x) + guidance·(D(x; class) - D(x))`, their `1 + w` being `guidance` here. As with
/// [`class_guided`](crate::control::class_guided), 1 is the conditional distribution as the network knows it, 0 leaves the
/// class out, and more than 1 sharpens it. Two network evaluations, of which 0 and 1 need but one.
#[derive(Debug)]
pub struct ClassifierFree {
    /// The network with its scaling.
    pub model: Divided,
    /// The class of all images, or of each.
    pub classes: Vec<usize>,
    /// How far to go in its direction.
    pub guidance: f64,
}

impl Denoiser for ClassifierFree {
    fn denoise(&self, x: Tensor<4>, sigma: &[f64]) -> Tensor<4> {
        self.guided(x, |x, labels| self.model.forward(x, sigma, labels), combine)
    }

    fn denoise_dual(&self, x: Dual, sigma: &[f64]) -> Dual {
        self.guided(x, |x, labels| self.model.forward_dual(x, sigma, labels), Dual::combine)
    }

    fn evaluations(&self) -> usize {
        if [0.0, 1.0].contains(&self.guidance) { 1 } else { 2 }
    }
}

impl ClassifierFree {
    /// The mixture of what the network, `of`, says of the classes and of none.
    fn guided<V: Clone>(
        &self,
        x: V,
        of: impl Fn(V, &[Option<usize>]) -> V,
        combine: impl Fn(&[(V, &[f64])]) -> V,
    ) -> V {
        let labels: Vec<_> = self.classes.iter().copied().map(Some).collect();
        match self.guidance {
            0.0 => of(x, &[]),
            1.0 => of(x, &labels),
            guidance => {
                let (any, given) = (of(x.clone(), &[]), of(x, &labels));
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
