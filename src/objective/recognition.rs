use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;
use serde::{Deserialize, Serialize};

use crate::network::Classifier;
use crate::ops::scale;

/// Cross-entropy of a noise-conditional classifier, `E_sigma E -log p(class | x_0 + sigma·z; sigma)`
/// (Song et al. 2021, appendix I.1): one network that judges clean images and can guide noisy ones.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recognition {
    /// Share of clean images, for which `sigma = 0`.
    pub clean: f64,
    /// Mean of `ln(sigma)` of the others, pixel values being `[0, 1]`.
    pub mean: f64,
    /// Its standard deviation.
    pub std: f64,
}

impl Default for Recognition {
    fn default() -> Self {
        Self { clean: 0.5, mean: -0.5, std: 1.5 }
    }
}

impl Recognition {
    /// Turns one standard normal per image into its noise level; the first `clean` of the batch get 0.
    pub fn sigmas(&self, normal: &[f64]) -> Vec<f64> {
        let clean = (self.clean * normal.len() as f64).round() as usize;
        let noisy = |z: &f64| (self.mean + self.std * z).exp();
        normal.iter().enumerate().map(|(i, z)| if i < clean { 0.0 } else { noisy(z) }).collect()
    }

    /// The loss of each image, `[b]`, in nats.
    ///
    /// `x0` `[b, c, h, w]` are pixel values in `[0, 1]`, `noise` is as large and standard normal, `classes`
    /// `[b, classes]` is 1 at the class of each image and 0 elsewhere, `sigma` has one level per image.
    pub fn loss(
        &self,
        model: &Classifier,
        x0: Tensor<4>,
        noise: Tensor<4>,
        classes: Tensor<2>,
        sigma: &[f64],
    ) -> Tensor<1> {
        let verdict = model.forward(x0 + scale(noise, sigma), sigma);
        let [b, _] = classes.dims();
        -(log_softmax(verdict.logits, 1) * classes).sum_dim(1).reshape([b])
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::network::ClassifierConfig;
    use crate::network::layers::Init;

    #[test]
    fn the_clean_share_has_no_noise_and_the_rest_is_log_normal() {
        let sigmas = Recognition { clean: 0.5, mean: 0.0, std: 2.0 }.sigmas(&[3.0, -3.0, 0.0, 0.5]);
        assert_eq!(sigmas[..3], [0.0, 0.0, 1.0]);
        assert!((sigmas[3] - std::f64::consts::E).abs() < 1e-12);
    }

    /// The mean over all classes of the loss cannot be below that of the best guess, `ln(classes)`.
    #[test]
    fn the_loss_is_the_cross_entropy() {
        let device = Device::flex();
        let model = Classifier::new(&ClassifierConfig::default(), 1, &mut Init::new(0, &device));
        let x0 = Tensor::<4>::full([10, 1, 8, 8], 0.5, &device);
        let loss = Recognition::default().loss(&model, x0.clone(), x0, Tensor::eye(10, &device), &[0.0; 10]);
        let loss: Vec<f32> = loss.into_data().try_to_vec().unwrap();
        let total: f32 = loss.iter().map(|nats| (-nats).exp()).sum();
        assert!((total - 1.0).abs() < 1e-5, "probabilities add to {total}");
        assert!(loss.iter().sum::<f32>() >= 10.0 * 10.0_f32.ln() - 1e-4);
    }

    /// It is that of images to which the noise was added, `sigma` deviations of it.
    #[test]
    fn the_loss_is_that_of_noisy_images() {
        let device = Device::flex();
        let model = Classifier::new(&ClassifierConfig::default(), 1, &mut Init::new(0, &device));
        let [x0, noise] = [0.5, -0.4].map(|value| Tensor::<4>::full([2, 1, 8, 8], value, &device));
        let loss = |x0, noise| -> Vec<f32> {
            let classes = Tensor::eye(10, &device).narrow(0, 0, 2);
            let loss = Recognition::default().loss(&model, x0, noise, classes, &[0.5, 2.0]);
            loss.into_data().try_to_vec().unwrap()
        };
        let noisy = x0.clone() + scale(noise.clone(), &[0.5, 2.0]);
        let (found, expected) = (loss(x0, noise.clone()), loss(noisy, noise * 0.0));
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?}, {expected:?}");
        assert_ne!(found[0], found[1]);
    }
}
