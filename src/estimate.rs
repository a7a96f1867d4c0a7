//! Numbers that are means, with what chance does to them.

use serde::Serialize;

/// A mean and its standard error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Its standard error, the sample deviation over `sqrt(n)`; NaN (in JSON null) for a single number.
    pub error: f64,
}

impl Estimate {
    /// The mean of `numbers`; NaN if there is none.
    pub fn of(numbers: impl IntoIterator<Item = f64, IntoIter: Clone>) -> Self {
        let numbers = numbers.into_iter();
        let n = numbers.clone().count() as f64;
        let mean = numbers.clone().sum::<f64>() / n;
        let spread: f64 = numbers.map(|v| (v - mean).powi(2)).sum();
        Self { mean, error: (spread / (n - 1.0) / n).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_that_of_the_mean() {
        assert_eq!(
            Estimate::of([1.0, 3.0, 5.0, 7.0]),
            Estimate { mean: 4.0, error: (20.0_f64 / 12.0).sqrt() }
        );
        let one = Estimate::of([2.0]);
        assert!(one.mean == 2.0 && one.error.is_nan());
        assert!(serde_json::to_string(&one).unwrap().contains("null"));
    }
}
