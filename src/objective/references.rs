use burn::tensor::activation::softmax;
use burn::tensor::{Tensor, TensorData};

use crate::ops::upload;

/// Images of the training set that stand for all of it where a clean image is guessed from a noisy one.
#[derive(Debug)]
pub struct References {
    /// `[n, c·h·w]`, in the model's units.
    images: Tensor<2>,
    /// The class of each; none where the data set has no classes.
    classes: Vec<usize>,
}

impl References {
    /// `images` `[n, c, h, w]`, drawn independently of each other, and their `classes` if they have any.
    pub fn new(images: Tensor<4>, classes: Vec<usize>) -> Self {
        let [n, c, h, w] = images.dims();
        Self { images: images.reshape([n, c * h * w]), classes }
    }

    /// What `noisy = x_0 + sigma·z` is expected to be without its noise, as far as `own` and the references tell: the
    /// mean of these by their weights `N(noisy; image, sigma²)`. An image with a label is compared with the references of
    /// its class alone. Costs two products of `[b, c·h·w]` and `[c·h·w, n]`.
    ///
    /// With `own` being `x_0` it is the stable target field of Xu et al. (2023, equation 7). Its expectation is that of
    /// `x_0`, `E[x_0 | noisy]`: `x_0` and the references were drawn alike, so the weights are how probably each of them
    /// is the one that got the noise. Its variance is smaller the more of them could be, so that at large noise a step
    /// learns as much as from many images.
    pub fn mean(
        &self,
        own: Option<Tensor<4>>,
        noisy: Tensor<4>,
        sigma: &[f64],
        labels: &[Option<usize>],
    ) -> Tensor<4> {
        let (dims @ [b, c, h, w], device) = (noisy.dims(), noisy.device());
        let rows = |x: Tensor<4>| x.reshape([b, c * h * w]);
        let (own, noisy) = (own.map(rows), rows(noisy));
        let half_square = |x: Tensor<2>| (x.clone() * x).sum_dim(1) * 0.5;
        // What of -|noisy - image|²/2 depends on the image, the references first.
        let others = self.images.clone();
        let mut logits =
            noisy.clone().matmul(others.clone().transpose()) - half_square(others.clone()).transpose();
        if let Some(excluded) = self.of_other_classes(labels) {
            logits = logits.mask_fill(Tensor::from_data(excluded, &device), f32::NEG_INFINITY);
        }
        if let Some(own) = &own {
            let of_own = (noisy * own.clone()).sum_dim(1) - half_square(own.clone());
            logits = Tensor::cat(vec![logits, of_own], 1);
        }
        let precision: Vec<f32> = sigma.iter().map(|sigma| (1.0 / (sigma * sigma)) as f32).collect();
        let weights = softmax(logits * upload(&precision, [b, 1], &device), 1);
        let [n, _] = others.dims();
        let mean = weights.clone().narrow(1, 0, n).matmul(others);
        match own {
            Some(own) => mean + own * weights.narrow(1, n, 1),
            None => mean,
        }
        .reshape(dims)
    }

    /// Which references an image of these labels is not compared with, `[b, n]`, if there are any.
    fn of_other_classes(&self, labels: &[Option<usize>]) -> Option<TensorData> {
        if self.classes.is_empty() || labels.iter().all(Option::is_none) {
            return None;
        }
        let differs = |label: &Option<usize>, class| label.is_some_and(|label| label != class);
        let row = |label| self.classes.iter().map(move |class| differs(label, *class));
        Some(TensorData::new(labels.iter().flat_map(row).collect(), [labels.len(), self.classes.len()]))
    }
}
