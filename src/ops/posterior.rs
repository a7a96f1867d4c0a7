//! The posterior mean under a mixture of Gaussians in the plane, for many points at once.

use burn::tensor::Tensor;

use super::host;

/// One Gaussian of a mixture with noise, as a point of the plane sees it. Matrices are symmetric: `[xx, xy, yy]`.
#[derive(Debug, Clone, Copy)]
pub struct Pull {
    /// Logarithm of its weight over the root of its determinant.
    pub log: f64,
    /// Its centre.
    pub mean: [f64; 2],
    /// The inverse of its covariance with the noise: its log-density at a distance `d` is `log - d·precision·d/2`.
    pub precision: [f64; 3],
    /// What of a distance to the centre is the data's: the posterior mean is `mean + gain·d`.
    pub gain: [f64; 3],
}

/// Points that are computed side by side.
const LANES: usize = 16;
/// Points that a thread takes at once.
const CHUNK: usize = 64 * LANES;

type Lanes = [f32; LANES];

/// The posterior mean at each of `x` `[n, 2, 1, 1]`, in main memory and off the tape, and how it changes along `tangent`.
pub fn posterior(
    x: &Tensor<4>,
    tangent: Option<&Tensor<4>>,
    pulls: &[Pull],
) -> (Tensor<4>, Option<Tensor<4>>) {
    let pulls: Vec<[f32; 9]> = pulls.iter().map(Pull::numbers).collect();
    let shape = x.shape();
    let x = host::values(x);
    let x = x.slice();
    let mut mean = vec![0.0; x.len()];
    let Some(tangent) = tangent else {
        host::for_each_chunk(&mut mean, 2 * CHUNK, |i, mean| {
            let x = &x[2 * i * CHUNK..][..mean.len()];
            host::vectorised(
                #[inline(always)]
                || {
                    for (x, mean) in x.chunks(2 * LANES).zip(mean.chunks_mut(2 * LANES)) {
                        let ([sum, x, y, ..], _) = sums::<false>(&pulls, lanes(x), [[0.0; LANES]; 2]);
                        store(mean, |l| [x[l] / sum[l], y[l] / sum[l]]);
                    }
                },
            );
        });
        return (host::tensor(mean, shape), None);
    };
    let v = host::values(tangent);
    let v = v.slice();
    let mut change = vec![0.0; x.len()];
    host::for_each_parts([(&mut mean, 2 * CHUNK), (&mut change, 2 * CHUNK)], |i, [mean, change]| {
        let [x, v] = [x, v].map(|of| &of[2 * i * CHUNK..][..mean.len()]);
        host::vectorised(
            #[inline(always)]
            || {
                let parts = x.chunks(2 * LANES).zip(v.chunks(2 * LANES));
                let results = mean.chunks_mut(2 * LANES).zip(change.chunks_mut(2 * LANES));
                for ((x, v), (mean, change)) in parts.zip(results) {
                    let ([sum, x, y], [dsum, dx, dy]) = sums::<true>(&pulls, lanes(x), lanes(v));
                    store(mean, |l| [x[l] / sum[l], y[l] / sum[l]]);
                    // The change of a quotient.
                    let of = |dx: f32, x: f32, l: usize| (dx - x * dsum[l] / sum[l]) / sum[l];
                    store(change, |l| [of(dx[l], x[l], l), of(dy[l], y[l], l)]);
                }
            },
        );
    });
    (host::tensor(mean, shape.clone()), Some(host::tensor(change, shape)))
}

impl Pull {
    fn numbers(&self) -> [f32; 9] {
        let ([x, y], [pxx, pxy, pyy], [gxx, gxy, gyy]) = (self.mean, self.precision, self.gain);
        [self.log, x, y, pxx, pxy, pyy, gxx, gxy, gyy].map(|value| value as f32)
    }
}

/// The sum of the shares, that of the components' posterior means by their shares, and how the three change along `v`, all up
/// to the same factor.
#[inline(always)]
fn sums<const TANGENT: bool>(pulls: &[[f32; 9]], x: [Lanes; 2], v: [Lanes; 2]) -> ([Lanes; 3], [Lanes; 3]) {
    let mut largest = [f32::MIN; LANES];
    for pull in pulls {
        for l in 0..LANES {
            let (log, ..) = seen(pull, [x[0][l], x[1][l]]);
            // Not `max`, which is a call where numbers may be none.
            largest[l] = if log > largest[l] { log } else { largest[l] };
        }
    }
    let (mut sums, mut changes) = ([[0.0; LANES]; 3], [[0.0; LANES]; 3]);
    for pull in pulls {
        let &[_, mx, my, .., gxx, gxy, gyy] = pull;
        for l in 0..LANES {
            let (log, [dx, dy], slope) = seen(pull, [x[0][l], x[1][l]]);
            let share = host::exp(log - largest[l]);
            let mean = [mx + gxx * dx + gxy * dy, my + gxy * dx + gyy * dy];
            sums[0][l] += share;
            sums[1][l] += share * mean[0];
            sums[2][l] += share * mean[1];
            if TANGENT {
                let [vx, vy] = [v[0][l], v[1][l]];
                let dlog = slope[0] * vx + slope[1] * vy;
                changes[0][l] += share * dlog;
                changes[1][l] += share * (dlog * mean[0] + gxx * vx + gxy * vy);
                changes[2][l] += share * (dlog * mean[1] + gxy * vx + gyy * vy);
            }
        }
    }
    (sums, changes)
}

/// The log-density of a component at `x`, the distance to its centre, and the log-density's slope.
#[inline(always)]
fn seen(&[log, mx, my, pxx, pxy, pyy, ..]: &[f32; 9], [x, y]: [f32; 2]) -> (f32, [f32; 2], [f32; 2]) {
    let d = [x - mx, y - my];
    let slope = [-(pxx * d[0] + pxy * d[1]), -(pxy * d[0] + pyy * d[1])];
    (log + 0.5 * (d[0] * slope[0] + d[1] * slope[1]), d, slope)
}

/// Up to [`LANES`] points side by side, zeros after the last.
#[inline(always)]
fn lanes(points: &[f32]) -> [Lanes; 2] {
    let mut lanes = [[0.0; LANES]; 2];
    for (l, point) in points.chunks_exact(2).enumerate() {
        (lanes[0][l], lanes[1][l]) = (point[0], point[1]);
    }
    lanes
}

#[inline(always)]
fn store(points: &mut [f32], f: impl Fn(usize) -> [f32; 2]) {
    points.chunks_exact_mut(2).enumerate().for_each(|(l, point)| point.copy_from_slice(&f(l)));
}
