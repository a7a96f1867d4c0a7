use burn::tensor::Tensor;

/// A network whose features tell how different two images look.
///
/// Adding one, such as VGG with the weights of LPIPS, is this trait for it and a place in [`Models`](super::Models).
pub trait Features {
    /// What its layers make of images `[b, c, h, w]` in the model's units, each layer `[b, h, w, channels]`. Gradients pass
    /// through it to the images.
    fn layers(&self, x: Tensor<4>) -> Vec<Tensor<4>>;

    /// How much each channel of each layer counts, `[channels]`: learned from people's judgement in LPIPS, one here.
    fn weights(&self) -> Option<Vec<Tensor<1>>> {
        None
    }
}

/// `sum over layers of the mean over pixels of sum over channels w·(a - b)²`, `[b]`, the channels of a pixel being scaled to
/// length one (Zhang et al. 2018, equation 1).
pub fn perceived(network: &dyn Features, a: Tensor<4>, b: Tensor<4>) -> Tensor<1> {
    let [n, ..] = a.dims();
    let weights = network.weights().map(|weights| weights.into_iter());
    let mut weights = weights.into_iter().flatten();
    let layers = network.layers(a).into_iter().zip(network.layers(b));
    let distances = layers.map(|(a, b)| {
        let difference = directions(a) - directions(b);
        let [_, h, w, c] = difference.dims();
        let square = difference.clone() * difference;
        let square = match weights.next() {
            Some(weights) => square * weights.reshape([1, 1, 1, c]),
            None => square,
        };
        square.reshape([n, h * w * c]).sum_dim(1).reshape([n]) / (h * w) as f64
    });
    distances.reduce(|sum, distance| sum + distance).expect("at least one layer")
}

/// The channels of each pixel, scaled to length one.
fn directions(x: Tensor<4>) -> Tensor<4> {
    /// Of a square: keeps the direction of nothing from being a division by zero.
    const LEAST: f64 = 1e-10;
    let length = ((x.clone() * x.clone()).sum_dim(3) + LEAST).sqrt();
    x / length
}
