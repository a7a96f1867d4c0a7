use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

use super::Gaussian;
use crate::network::Classifier;
use crate::ops::read;
use crate::{Error, Result};

/// Images that a classifier sees at a time.
const BATCH: usize = 250;

/// Probability above which an image counts as recognised.
const SURE: f32 = 0.9;

/// What a classifier says of some images.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verdicts {
    /// Number of classes.
    pub classes: usize,
    /// `[n, classes]`, rows add to 1.
    pub probabilities: Vec<f32>,
    /// Number of features.
    pub width: usize,
    /// `[n, width]`, the layer before the last.
    pub features: Vec<f32>,
}

/// Shows `images` `[n, c, h, w]`, clipped to `[0, 1]`, to `classifier` on the same device.
///
/// # Errors
/// [`Error::NonFinite`] if an image or a weight is not finite.
pub async fn judge(classifier: &Classifier, images: Tensor<4>) -> Result<Verdicts> {
    let [n, ..] = images.dims();
    let mut verdicts = Verdicts::default();
    for first in (0..n).step_by(BATCH) {
        let images = images.clone().narrow(0, first, BATCH.min(n - first)).clamp(0.0, 1.0);
        let verdict = classifier.forward(images, &[0.0]);
        let ([_, classes], [_, width]) = (verdict.logits.dims(), verdict.features.dims());
        let probabilities = read(softmax(verdict.logits, 1)).await?;
        verdicts.extend(Verdicts { classes, probabilities, width, features: read(verdict.features).await? });
    }
    if !verdicts.probabilities.iter().chain(&verdicts.features).all(|v| v.is_finite()) {
        let fix = "check the images and the classifier's file".into();
        return Err(Error::NonFinite { what: "the classifier's verdict".into(), step: 0, fix });
    }
    Ok(verdicts)
}

impl Verdicts {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.probabilities.len() / self.classes.max(1)
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.probabilities.is_empty()
    }

    /// Adds verdicts of the same classifier.
    pub fn extend(&mut self, more: Self) {
        (self.classes, self.width) = (more.classes, more.width);
        self.probabilities.extend(more.probabilities);
        self.features.extend(more.features);
    }

    /// The most probable class of each image and its probability.
    pub fn named(&self) -> impl Iterator<Item = (usize, f32)> {
        self.probabilities.chunks_exact(self.classes.max(1)).map(|row| {
            let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
            best.map_or((0, 0.0), |(class, p)| (class, *p))
        })
    }

    /// Share of the images whose most probable class is the one in `wanted`, image by image.
    pub fn right(&self, wanted: impl Iterator<Item = usize>) -> f64 {
        let right = self.named().zip(wanted).filter(|((class, _), wanted)| class == wanted);
        right.count() as f64 / self.len().max(1) as f64
    }

    /// Share of the images with a class of probability above 0.9.
    pub fn recognised(&self) -> f64 {
        self.mean(|p| f64::from(p > SURE))
    }

    /// Mean probability of the most probable class.
    pub fn confidence(&self) -> f64 {
        self.mean(f64::from)
    }

    /// The number of images of each class, by the most probable one.
    pub fn histogram(&self) -> Vec<usize> {
        let mut histogram = vec![0; self.classes];
        self.named().for_each(|(class, _)| histogram[class] += 1);
        histogram
    }

    /// Entropy of the histogram of classes in bits, `-sum q·log2 q`; at most `log2(classes)`.
    pub fn class_entropy(&self) -> f64 {
        let shares = self.histogram().into_iter().map(|count| count as f64 / self.len().max(1) as f64);
        shares.filter(|q| *q > 0.0).map(|q| -q * q.log2()).sum()
    }

    /// `exp(E KL(p(class | image) || p(class)))`, from 1 to the number of classes (Salimans et al. 2016,
    /// "Inception Score" with an Inception network).
    ///
    /// High if every image is of a clear class and all classes are equally frequent; it sees no variety
    /// inside a class. `p(class)` is the mean over all images. 1 if there is none.
    pub fn classifier_score(&self) -> f64 {
        let rows = || self.probabilities.chunks_exact(self.classes.max(1));
        let n = self.len().max(1) as f64;
        let mut mean = vec![0.0; self.classes];
        for row in rows() {
            mean.iter_mut().zip(row).for_each(|(mean, p)| *mean += f64::from(*p) / n);
        }
        let divergence = |row: &[f32]| -> f64 {
            let terms = row.iter().map(|p| f64::from(*p)).zip(&mean);
            terms.filter(|(p, _)| *p > 0.0).map(|(p, mean)| p * (p / mean).ln()).sum()
        };
        (rows().map(divergence).sum::<f64>() / n).exp()
    }

    /// Mean and covariance of the features.
    ///
    /// # Errors
    /// [`Error::Config`] for fewer than two images.
    pub fn gaussian(&self) -> Result<Gaussian> {
        Gaussian::fit(&self.features, self.width)
    }

    fn mean(&self, f: impl Fn(f32) -> f64) -> f64 {
        self.named().map(|(_, p)| f(p)).sum::<f64>() / self.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_entropy_are_those_of_the_histogram() {
        let probabilities = vec![0.95, 0.05, 0.6, 0.4, 0.02, 0.98, 0.1, 0.9];
        let mut verdicts = Verdicts { classes: 2, probabilities, width: 1, features: vec![0.0; 4] };
        assert_eq!(verdicts.len(), 4);
        assert_eq!(verdicts.recognised(), 0.5, "0.9 itself is not enough");
        assert!((verdicts.confidence() - (0.95 + 0.6 + 0.98 + 0.9) / 4.0).abs() < 1e-6);
        assert!((verdicts.class_entropy() - 1.0).abs() < 1e-12);
        assert_eq!(verdicts.right([0, 1].into_iter().cycle()), 0.5, "classes 0, 0, 1, 1");
        verdicts.extend(Verdicts { probabilities: vec![0.0, 1.0], features: vec![0.0], ..verdicts.clone() });
        assert_eq!(verdicts.named().map(|(class, _)| class).collect::<Vec<_>>(), [0, 0, 1, 1, 1]);
        let expected = -(0.4 * 0.4_f64.log2() + 0.6 * 0.6_f64.log2());
        assert!((verdicts.class_entropy() - expected).abs() < 1e-12);
    }

    /// Sure of one class each, all classes alike: the number of classes. Unsure, or always the same class: 1.
    #[test]
    fn the_classifier_score_counts_clear_and_equally_frequent_classes() {
        let of = |probabilities: Vec<f32>| {
            let features = vec![0.0; probabilities.len() / 5];
            Verdicts { classes: 5, probabilities, width: 1, features }
        };
        let one_hot = |n: usize, step: usize| -> Vec<f32> {
            (0..n).flat_map(|i| (0..5).map(move |class| f32::from(class == i * step % 5))).collect()
        };
        let score = |probabilities| of(probabilities).classifier_score();
        assert!((score(one_hot(20, 1)) - 5.0).abs() < 1e-6);
        assert_eq!(of(one_hot(20, 1)).histogram(), [4; 5]);
        assert!((score(one_hot(20, 0)) - 1.0).abs() < 1e-12);
        assert!((score(vec![0.2; 50]) - 1.0).abs() < 1e-6);
        // Two images, (1, 0) and (1/2, 1/2): the mean is (3/4, 1/4).
        let verdicts = Verdicts {
            classes: 2,
            probabilities: vec![1.0, 0.0, 0.5, 0.5],
            width: 1,
            features: vec![0.0; 2],
        };
        let expected = (0.5 * ((4.0_f64 / 3.0).ln() + 0.5 * (2.0_f64 / 3.0).ln() + 0.5 * 2.0_f64.ln())).exp();
        assert!((verdicts.classifier_score() - expected).abs() < 1e-9);
    }

    #[test]
    fn nothing_is_judged_quietly() {
        let verdicts = Verdicts::default();
        assert_eq!(verdicts.classifier_score(), 1.0);
        assert!(verdicts.is_empty() && verdicts.recognised() == 0.0 && verdicts.class_entropy() == 0.0);
        assert!(verdicts.gaussian().is_err());
    }
}
