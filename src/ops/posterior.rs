//! The posterior mean under a mixture of Gaussians in the plane, for many points at once.

use burn::tensor::Tensor;

use super::host;

/// One Gaussian of a mixture with noise, as a point of the plane sees it: along its axis and across. (As matrices, a narrow one
/// would be the difference of large numbers.)
#[derive(Debug, Clone, Copy)]
pub struct Pull {
    /// Logarithm of its weight over the root of its determinant.
    pub log: f64,
    /// Its centre.
    pub mean: [f64; 2],
    /// Its first axis, a unit vector.
    pub axis: [f64; 2],
    /// One over the variances, with the noise, along the axis and across.
    pub precision: [f64; 2],
    /// What of a distance to the centre is the data's, along the axis and across.
    pub gain: [f64; 2],
}

/// Points that are computed side by side.
const LANES: usize = 16;
/// Points that a thread takes at once.
const CHUNK: usize = 64 * LANES;

type Lanes = [f32; LANES];

/// The posterior mean at each of `x` `[n, 2, 1, 1]`, in main memory and off the tape, and how it changes along `tangent`.
/// `pulls` gives the components as a point of noise `sigma` sees them: one level for all points, or one each.
///
/// What comes out for a point does not depend on the others, nor on whether their levels differ.
pub fn posterior(
    x: &Tensor<4>,
    tangent: Option<&Tensor<4>>,
    sigma: &[f64],
    pulls: impl Fn(f64) -> Vec<Pull> + Send + Sync,
) -> (Tensor<4>, Option<Tensor<4>>) {
    let numbers = |sigma: f64| pulls(sigma).iter().map(Pull::numbers).collect::<Vec<_>>();
    let same = sigma.iter().all(|other| *other == sigma[0]).then(|| numbers(sigma[0]));
    let shape = x.shape();
    let (x, v) = (host::values(x), tangent.map(host::values));
    let (x, v) = (x.slice(), v.as_ref().map(|v| v.slice()));
    let mut results = [0, 1].map(|_| vec![0.0; x.len()]);
    let [mean, change] = &mut results;
    host::for_each_parts([(mean, 2 * CHUNK), (change, 2 * CHUNK)], |i, [mean, change]| {
        let first = 2 * i * CHUNK;
        let blocks = mean.chunks_mut(2 * LANES).zip(change.chunks_mut(2 * LANES)).enumerate();
        for (block, results) in blocks {
            let here = first + 2 * LANES * block;
            let points = here..here + results.0.len();
            let x = &x[points.clone()];
            let v = v.map(|v| &v[points]);
            match &same {
                Some(same) => host::vectorised(
                    #[inline(always)]
                    || at_block(same.len(), |k, _| same[k], x, v, results),
                ),
                None => {
                    let each: Vec<Vec<[f32; 9]>> =
                        sigma[here / 2..][..x.len() / 2].iter().map(|sigma| numbers(*sigma)).collect();
                    let of = |k: usize, l: usize| each[l.min(each.len() - 1)][k];
                    host::vectorised(
                        #[inline(always)]
                        || at_block(each[0].len(), of, x, v, results),
                    );
                }
            }
        }
    });
    let [mean, change] = results;
    (host::tensor(mean, shape.clone()), tangent.map(|_| host::tensor(change, shape)))
}

/// Up to [`LANES`] points; `pull` gives a component as the point of a lane sees it.
#[inline(always)]
fn at_block(
    parts: usize,
    pull: impl Fn(usize, usize) -> [f32; 9],
    x: &[f32],
    v: Option<&[f32]>,
    (mean, change): (&mut [f32], &mut [f32]),
) {
    let Some(v) = v else {
        let ([sum, x, y], _) = sums::<false>(parts, pull, lanes(x), [[0.0; LANES]; 2]);
        return store(mean, |l| [x[l] / sum[l], y[l] / sum[l]]);
    };
    let ([sum, x, y], [dsum, dx, dy]) = sums::<true>(parts, pull, lanes(x), lanes(v));
    store(mean, |l| [x[l] / sum[l], y[l] / sum[l]]);
    // The change of a quotient.
    let of = |dx: f32, x: f32, l: usize| (dx - x * dsum[l] / sum[l]) / sum[l];
    store(change, |l| [of(dx[l], x[l], l), of(dy[l], y[l], l)]);
}

impl Pull {
    fn numbers(&self) -> [f32; 9] {
        let ([x, y], [a, b], [p, q], [g, h]) = (self.mean, self.axis, self.precision, self.gain);
        [self.log, x, y, a, b, p, q, g, h].map(|value| value as f32)
    }
}

/// The sum of the shares, that of the components' posterior means by their shares, and how the three change along `v`, all up
/// to the same factor.
#[inline(always)]
fn sums<const TANGENT: bool>(
    parts: usize,
    pull: impl Fn(usize, usize) -> [f32; 9],
    x: [Lanes; 2],
    v: [Lanes; 2],
) -> ([Lanes; 3], [Lanes; 3]) {
    let mut largest = [f32::MIN; LANES];
    for k in 0..parts {
        for l in 0..LANES {
            let (log, _) = seen(pull(k, l), [x[0][l], x[1][l]]);
            // Not `max`, which is a call where numbers may be none.
            largest[l] = if log > largest[l] { log } else { largest[l] };
        }
    }
    let (mut sums, mut changes) = ([[0.0; LANES]; 3], [[0.0; LANES]; 3]);
    for k in 0..parts {
        for l in 0..LANES {
            let pull = pull(k, l);
            let [_, mx, my, a, b, p, q, g, h] = pull;
            let (log, [along, across]) = seen(pull, [x[0][l], x[1][l]]);
            let share = host::exp(log - largest[l]);
            // Back from along and across.
            let turned = |along: f32, across: f32| [a * along - b * across, b * along + a * across];
            let [cx, cy] = turned(g * along, h * across);
            let mean = [mx + cx, my + cy];
            sums[0][l] += share;
            sums[1][l] += share * mean[0];
            sums[2][l] += share * mean[1];
            if TANGENT {
                let [vx, vy] = [v[0][l], v[1][l]];
                let [valong, vacross] = [a * vx + b * vy, a * vy - b * vx];
                let dlog = -(p * along * valong + q * across * vacross);
                let [tx, ty] = turned(g * valong, h * vacross);
                changes[0][l] += share * dlog;
                changes[1][l] += share * (dlog * mean[0] + tx);
                changes[2][l] += share * (dlog * mean[1] + ty);
            }
        }
    }
    (sums, changes)
}

/// The log-density of a component at `x`, and the distance to its centre, along its axis and across.
#[inline(always)]
fn seen([log, mx, my, a, b, p, q, ..]: [f32; 9], [x, y]: [f32; 2]) -> (f32, [f32; 2]) {
    let [dx, dy] = [x - mx, y - my];
    let [along, across] = [a * dx + b * dy, a * dy - b * dx];
    (log - 0.5 * (p * along * along + q * across * across), [along, across])
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
