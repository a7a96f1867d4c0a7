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

    /// What `noisy = x_0 + sigma·z` is expected to be without its noise, as far as `x_0` and the references tell: the
    /// mean of these by their weights `N(noisy; image, sigma²)`, the stable target field of Xu et al. (2023, equation 7).
    /// An image with a label is compared with the references of its class alone.
    ///
    /// Its expectation is that of `x_0`, `E[x_0 | noisy]`: `x_0` and the references were drawn alike, so the weights are
    /// how probably each of them is the one that got the noise. Its variance is smaller the more of them could be, so that
    /// at large noise a step learns as much as from many images. Costs two products of `[b, c·h·w]` and `[c·h·w, n]`.
    pub fn mean(
        &self,
        x0: Tensor<4>,
        noisy: Tensor<4>,
        sigma: &[f64],
        labels: &[Option<usize>],
    ) -> Tensor<4> {
        let (dims @ [b, c, h, w], device) = (x0.dims(), x0.device());
        let [own, noisy] = [x0, noisy].map(|x| x.reshape([b, c * h * w]));
        let half_square = |x: Tensor<2>| (x.clone() * x).sum_dim(1) * 0.5;
        // What of -|noisy - image|²/2 depends on the image.
        let of_own = (noisy.clone() * own.clone()).sum_dim(1) - half_square(own.clone());
        let of_others =
            noisy.matmul(self.images.clone().transpose()) - half_square(self.images.clone()).transpose();
        let precision: Vec<f32> = sigma.iter().map(|sigma| (1.0 / (sigma * sigma)) as f32).collect();
        let logits = Tensor::cat(vec![of_own, of_others], 1) * upload(&precision, [b, 1], &device);
        let logits = match self.of_other_classes(labels) {
            Some(excluded) => logits.mask_fill(Tensor::from_data(excluded, &device), f32::NEG_INFINITY),
            None => logits,
        };
        let weights = softmax(logits, 1);
        let [_, all] = weights.dims();
        let mean =
            own * weights.clone().narrow(1, 0, 1) + weights.narrow(1, 1, all - 1).matmul(self.images.clone());
        mean.reshape(dims)
    }

    /// Which references an image of these labels is not compared with, `[b, 1 + n]`, if there are any.
    fn of_other_classes(&self, labels: &[Option<usize>]) -> Option<TensorData> {
        if self.classes.is_empty() || labels.iter().all(Option::is_none) {
            return None;
        }
        let row = |label: &Option<usize>| {
            let others = self.classes.iter().map(|class| label.is_some_and(|label| label != *class));
            std::iter::once(false).chain(others).collect::<Vec<_>>()
        };
        Some(TensorData::new(labels.iter().flat_map(row).collect(), [labels.len(), 1 + self.classes.len()]))
    }
}
