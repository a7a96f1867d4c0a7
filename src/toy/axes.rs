/// The orthonormal axes and the variances of a covariance matrix (Jacobi's method), or `None` if it
/// is not one.
pub fn principal_axes(matrix: &[Vec<f64>]) -> Option<(Vec<Vec<f64>>, Vec<f64>)> {
    let d = matrix.len();
    let mut a = matrix.to_vec();
    let size = a.iter().flatten().map(|v| v.abs()).fold(0.0, f64::max);
    let symmetric = (0..d).all(|i| (0..i).all(|j| (a[i][j] - a[j][i]).abs() <= 1e-12 * size));
    if !size.is_finite() || a.iter().flatten().any(|v| v.is_nan()) || !symmetric {
        return None;
    }
    let mut axes: Vec<Vec<f64>> = (0..d).map(|i| (0..d).map(|j| f64::from(i == j)).collect()).collect();
    let off = |a: &[Vec<f64>]| {
        (0..d).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| a[i][j].abs()).fold(0.0, f64::max)
    };
    while off(&a) > 1e-15 * size {
        for p in 0..d {
            for q in p + 1..d {
                // The rotation in the plane of p and q that makes a[p][q] zero.
                let angle = 0.5 * (2.0 * a[p][q]).atan2(a[q][q] - a[p][p]);
                let (sin, cos) = angle.sin_cos();
                for row in &mut a {
                    (row[p], row[q]) = (cos * row[p] - sin * row[q], sin * row[p] + cos * row[q]);
                }
                for j in 0..d {
                    (a[p][j], a[q][j]) = (cos * a[p][j] - sin * a[q][j], sin * a[p][j] + cos * a[q][j]);
                    (axes[p][j], axes[q][j]) =
                        (cos * axes[p][j] - sin * axes[q][j], sin * axes[p][j] + cos * axes[q][j]);
                }
                (a[p][q], a[q][p]) = (0.0, 0.0);
            }
        }
    }
    let variances: Vec<f64> = (0..d).map(|i| a[i][i]).collect();
    variances
        .iter()
        .all(|v| *v >= -1e-12 * size)
        .then(|| (axes, variances.into_iter().map(|v| v.max(0.0)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principal_axes_rebuild_the_matrix() {
        let matrix = vec![
            vec![2.0, -0.4, 0.3, 0.0],
            vec![-0.4, 1.0, 0.2, 0.1],
            vec![0.3, 0.2, 1.5, -0.5],
            vec![0.0, 0.1, -0.5, 0.7],
        ];
        let (axes, variances) = principal_axes(&matrix).unwrap();
        for i in 0..4 {
            for j in 0..4 {
                let rebuilt: f64 = (0..4).map(|k| variances[k] * axes[k][i] * axes[k][j]).sum();
                let product: f64 = (0..4).map(|k| axes[i][k] * axes[j][k]).sum();
                assert!((rebuilt - matrix[i][j]).abs() < 1e-13);
                assert!((product - f64::from(i == j)).abs() < 1e-13);
            }
        }
    }
}
