use nalgebra::{DMatrix, DVector, SymmetricEigen};

use crate::{Error, Result};

/// Mean and covariance of a set of feature vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Gaussian {
    mean: DVector<f64>,
    covariance: DMatrix<f64>,
}

impl Gaussian {
    /// The sample mean and the unbiased covariance (division by `n - 1`) of `features` `[n, width]`.
    ///
    /// # Errors
    /// [`Error::Config`] for fewer than two vectors, [`Error::NonFinite`] for a NaN or an infinity.
    pub fn fit(features: &[f32], width: usize) -> Result<Self> {
        let n = features.len() / width.max(1);
        if n < 2 {
            return Err(Error::config(
                "a Fréchet distance",
                format!("needs more than {n} images"),
                "use 2 or more",
            ));
        }
        if !features.iter().all(|v| v.is_finite()) {
            let fix = "check the images and the classifier's file".into();
            return Err(Error::NonFinite { what: "a feature".into(), step: 0, fix });
        }
        // One column per image: the data's own order in memory.
        let mut x = DMatrix::from_iterator(width, n, features.iter().map(|v| f64::from(*v)));
        let mean = x.column_mean();
        x.column_iter_mut().for_each(|mut column| column -= &mean);
        let covariance = &x * x.transpose() / (n - 1) as f64;
        Ok(Self { mean, covariance })
    }

    /// The squared Wasserstein-2 distance of two normal distributions,
    /// `|m1 - m2|² + tr(S1 + S2 - 2·(S1^½·S2·S1^½)^½)` (Dowson and Landau 1982, equation 16; Heusel et
    /// al. 2017 with Inception features as "FID").
    ///
    /// The trace of the last root is the sum of the singular values of `S1^½·S2^½`, which is how it is
    /// computed: that stays exact for singular covariances, where the root of a rounded zero would not.
    /// Estimated from `n` images, the value is biased upwards by an amount that falls like `1/n`.
    /// Never below zero, which rounding could otherwise cause for equal sets.
    ///
    /// # Panics
    /// If the two have features of different width.
    pub fn distance(&self, other: &Self) -> f64 {
        let shift = (&self.mean - &other.mean).norm_squared();
        let overlap = (root(&self.covariance) * root(&other.covariance)).singular_values().sum();
        (shift + self.covariance.trace() + other.covariance.trace() - 2.0 * overlap).max(0.0)
    }
}

/// The symmetric root of a covariance; eigenvalues that rounding pushes below zero count as zero.
fn root(covariance: &DMatrix<f64>) -> DMatrix<f64> {
    let SymmetricEigen { eigenvectors, eigenvalues } = SymmetricEigen::new(covariance.clone());
    let roots = DMatrix::from_diagonal(&eigenvalues.map(|v| v.max(0.0).sqrt()));
    &eigenvectors * roots * eigenvectors.transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Noise;

    fn gaussian(mean: &[f64], covariance: &[f64]) -> Gaussian {
        let d = mean.len();
        Gaussian {
            mean: DVector::from_row_slice(mean),
            covariance: DMatrix::from_row_slice(d, d, covariance),
        }
    }

    fn assert_distance(a: &Gaussian, b: &Gaussian, expected: f64) {
        for found in [a.distance(b), b.distance(a)] {
            assert!((found - expected).abs() < 1e-9 * (1.0 + expected), "{found} is not {expected}");
        }
    }

    #[test]
    fn equal_sets_are_at_no_distance_and_shifted_ones_at_that_of_their_means() {
        let features = Noise::new(1).normal(0, 50, 6);
        let moved: Vec<f32> =
            features.iter().enumerate().map(|(i, v)| v + [0.0, 2.0][usize::from(i % 6 == 1)]).collect();
        let (a, b) = (Gaussian::fit(&features, 6).unwrap(), Gaussian::fit(&moved, 6).unwrap());
        assert_distance(&a, &a, 0.0);
        assert!((a.distance(&b) - 4.0).abs() < 1e-5);
    }

    #[test]
    fn moments_are_those_of_the_rows() {
        let fit = Gaussian::fit(&[1.0, 0.0, 3.0, 0.0, 5.0, 6.0], 2).unwrap();
        assert_eq!(fit, gaussian(&[3.0, 2.0], &[4.0, 6.0, 6.0, 12.0]));
    }

    /// Covariances that commute: the sum of `(sqrt a - sqrt b)²`.
    #[test]
    fn diagonal_covariances_have_a_closed_form() {
        let a = gaussian(&[0.0, 1.0, 0.0], &[4.0, 0.0, 0.0, 0.0, 9.0, 0.0, 0.0, 0.0, 1.0]);
        let b = gaussian(&[0.0, 0.0, 2.0], &[1.0, 0.0, 0.0, 0.0, 25.0, 0.0, 0.0, 0.0, 1.0]);
        assert_distance(&a, &b, 5.0 + 1.0 + 4.0);
    }

    /// Any two 2x2 covariances: `tr (A·B)^½ = sqrt(tr AB + 2·sqrt(det AB))`.
    #[test]
    fn covariances_that_do_not_commute_have_a_closed_form_in_the_plane() {
        let (a, b) =
            (gaussian(&[0.0; 2], &[2.0, 0.9, 0.9, 1.0]), gaussian(&[0.0; 2], &[1.0, -0.5, -0.5, 3.0]));
        let product = &a.covariance * &b.covariance;
        let root = (product.trace() + 2.0 * product.determinant().sqrt()).sqrt();
        assert_distance(&a, &b, 3.0 + 4.0 - 2.0 * root);
    }

    /// `u·uᵀ` and `v·vᵀ` of rank one: `|u|² + |v|² - 2·|u·v|`.
    #[test]
    fn rank_deficient_covariances_have_a_closed_form() {
        let outer = |u: [f64; 3]| {
            let u = DVector::from_row_slice(&u);
            Gaussian { mean: DVector::zeros(3), covariance: &u * u.transpose() }
        };
        let (a, b) = (outer([1.0, 2.0, 2.0]), outer([3.0, 0.0, -4.0]));
        assert_distance(&a, &b, 9.0 + 25.0 - 2.0 * 5.0);
        assert_distance(&a, &gaussian(&[0.0; 3], &[0.0; 9]), 9.0);

        // Fewer vectors than features.
        let few = Gaussian::fit(&Noise::new(2).normal(0, 3, 20), 20).unwrap();
        assert_distance(&few, &few, 0.0);
    }

    #[test]
    fn too_few_or_infinite_features_are_refused() {
        assert!(Gaussian::fit(&[1.0, 2.0], 2).unwrap_err().to_string().contains("2 or more"));
        assert!(Gaussian::fit(&[1.0, 2.0, f32::NAN, 0.0], 2).is_err());
    }
}
