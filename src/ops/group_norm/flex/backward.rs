//! Gradients of group normalisation and SiLU on the CPU. The page has no use for them.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex, TensorMetadata};

use super::{GroupNormOps, forward, share_in_group, statistics};
use crate::ops::cpu;

impl<C: CheckpointStrategy> GroupNormOps for Autodiff<Flex, C> {
    fn group_norm_silu_nhwc(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: usize,
    ) -> FloatTensor<Self> {
        let preparation =
            GroupNormBackward.prepare::<C>([x.node(), gamma.node(), beta.node()]).compute_bound().stateful();
        let (x, gamma, beta) = (
            x.primitive().to_contiguous(),
            gamma.primitive().to_contiguous(),
            beta.primitive().to_contiguous(),
        );
        let y = forward(&x, &gamma, &beta, groups);
        match preparation {
            OpsKind::Tracked(tracked) => tracked.finish((x, gamma, beta, groups), y),
            OpsKind::UnTracked(untracked) => untracked.finish(y),
        }
    }
}

#[derive(Debug)]
struct GroupNormBackward;

impl Backward<Flex, 3> for GroupNormBackward {
    type State = (FlexTensor, FlexTensor, FlexTensor, usize);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node_x, node_gamma, node_beta] = ops.parents;
        let dy = grads.consume::<Flex>(&ops.node).to_contiguous();
        let (x, gamma, beta, groups) = ops.state;
        let (dx, dgamma, dbeta) = backward(&x, &gamma, &beta, groups, &dy);
        for (node, gradient) in [(node_x, dx), (node_gamma, dgamma), (node_beta, dbeta)] {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, gradient);
            }
        }
    }
}

/// Gradients of [`forward`] for `x`, `gamma` and `beta`.
///
/// With `n` the normalised input, `h = gamma·n + beta` and `dh = dy·silu'(h)`:
/// `dbeta = sum dh`, `dgamma = sum dh·n`, and per group of `N` values
/// `dx = inverse_std·(gamma·dh - mean(gamma·dh) - n·mean(gamma·dh·n))`.
fn backward(
    x: &FlexTensor,
    gamma: &FlexTensor,
    beta: &FlexTensor,
    groups: usize,
    dy: &FlexTensor,
) -> (FlexTensor, FlexTensor, FlexTensor) {
    let shape = x.shape();
    let [b, h, w, c] = shape.dims();
    let size = h * w * c;
    let (x, dy) = (x.storage::<f32>(), dy.storage::<f32>());
    let (gamma, beta) = (gamma.storage::<f32>(), beta.storage::<f32>());

    // One row per image: its dx, then its dgamma and dbeta, so that the parallel loop has one output.
    let row = size + 2 * c;
    let mut out = vec![0.0; b * row];
    cpu::for_each_chunk(&mut out, row, |i, out| {
        let (image, dy) = (&x[i * size..][..size], &dy[i * size..][..size]);
        let (dx, sums) = out.split_at_mut(size);
        let (dgamma, dbeta) = sums.split_at_mut(c);
        let (mut mean, mut inverse_std) = (vec![0.0; c], vec![0.0; c]);
        cpu::vectorised(
            #[inline(always)]
            || {
                statistics(image, c, groups, &mut mean, &mut inverse_std);
                // dx holds dh between the two loops.
                for ((dx, dy), x) in dx.chunks_exact_mut(c).zip(dy.chunks_exact(c)).zip(image.chunks_exact(c))
                {
                    for j in 0..c {
                        let n = (x[j] - mean[j]) * inverse_std[j];
                        let h = gamma[j] * n + beta[j];
                        let s = cpu::sigmoid(h);
                        let dh = dy[j] * (s + h * s * (1.0 - s));
                        dx[j] = dh;
                        dgamma[j] += dh * n;
                        dbeta[j] += dh;
                    }
                }
                let count = (size / groups) as f32;
                let mut mean_dh: Vec<f32> = dbeta.iter().zip(gamma).map(|(d, g)| d * g).collect();
                let mut mean_dh_n: Vec<f32> = dgamma.iter().zip(gamma).map(|(d, g)| d * g).collect();
                share_in_group(&mut mean_dh, c / groups, |sum| sum / count);
                share_in_group(&mut mean_dh_n, c / groups, |sum| sum / count);
                for (dx, x) in dx.chunks_exact_mut(c).zip(image.chunks_exact(c)) {
                    for j in 0..c {
                        let n = (x[j] - mean[j]) * inverse_std[j];
                        dx[j] = inverse_std[j] * (gamma[j] * dx[j] - mean_dh[j] - n * mean_dh_n[j]);
                    }
                }
            },
        );
    });

    let mut dx = Vec::with_capacity(b * size);
    let mut sums = Vec::with_capacity(b * 2 * c);
    for row in out.chunks_exact(row) {
        dx.extend_from_slice(&row[..size]);
        sums.extend_from_slice(&row[size..]);
    }
    let sums = cpu::sum_rows(&sums, 2 * c);
    (cpu::tensor(dx, shape), cpu::tensor(sums[..c].to_vec(), [c]), cpu::tensor(sums[c..].to_vec(), [c]))
}
