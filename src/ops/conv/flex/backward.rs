//! Gradients of the convolution on the CPU. The page has no use for them.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};

use super::{ConvOps, Windows, forward};
use crate::ops::cpu;

impl<C: CheckpointStrategy> ConvOps for Autodiff<Flex, C> {
    fn conv_nhwc(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        kernel: usize,
        stride: usize,
    ) -> FloatTensor<Self> {
        let preparation =
            ConvBackward.prepare::<C>([x.node(), weight.node(), bias.node()]).compute_bound().stateful();
        let (x, weight, bias) = (
            x.primitive().to_contiguous(),
            weight.primitive().to_contiguous(),
            bias.primitive().to_contiguous(),
        );
        let windows = Windows::new(&x, kernel, stride);
        let y = forward(&windows, &x, &weight, &bias);
        match preparation {
            OpsKind::Tracked(tracked) => tracked.finish((windows, x, weight), y),
            OpsKind::UnTracked(untracked) => untracked.finish(y),
        }
    }
}

#[derive(Debug)]
struct ConvBackward;

impl Backward<Flex, 3> for ConvBackward {
    type State = (Windows, FlexTensor, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node_x, node_weight, node_bias] = ops.parents;
        let dy = grads.consume::<Flex>(&ops.node).to_contiguous();
        let (windows, x, weight) = ops.state;
        if let Some(node) = node_x {
            grads.register::<Flex>(node.id, input_gradient(&windows, &weight, &dy));
        }
        if node_weight.is_some() || node_bias.is_some() {
            let (dw, db) = weight_gradients(&windows, &x, &dy);
            for (node, gradient) in [(node_weight, dw), (node_bias, db)] {
                if let Some(node) = node {
                    grads.register::<Flex>(node.id, gradient);
                }
            }
        }
    }
}

impl Windows {
    /// The adjoint of [`Self::im2col`]: adds every window back onto its pixels.
    fn col2im(&self, columns: &[f32], image: &mut [f32]) {
        image.fill(0.0);
        self.for_each_run(|at, to, len| {
            if let Some(to) = to {
                image[to..to + len].iter_mut().zip(&columns[at..at + len]).for_each(|(p, c)| *p += c);
            }
        });
    }
}

fn input_gradient(windows: &Windows, weight: &FlexTensor, dy: &FlexTensor) -> FlexTensor {
    let (weight, dy) = (weight.storage::<f32>(), dy.storage::<f32>());
    let (rows, columns) = (windows.rows(), windows.columns());
    let c_out = weight.len() / columns;
    let mut dx = vec![0.0; windows.batch * windows.pixels_in()];
    cpu::for_each_chunk(&mut dx, windows.pixels_in(), |i, dx| {
        let dy = &dy[i * rows * c_out..][..rows * c_out];
        let product = |out: &mut [f32]| {
            cpu::gemm([rows, columns, c_out], (dy, c_out, 1), (weight, 1, c_out), out, false);
        };
        if windows.is_pointwise() {
            return product(dx);
        }
        cpu::with_scratch(rows * columns, |out| {
            product(out);
            windows.col2im(out, dx);
        });
    });
    cpu::tensor(dx, [windows.batch, windows.height, windows.width, windows.c_in])
}

/// Images whose weight gradients are summed in one block: a constant, so that the order of the
/// additions does not depend on the machine.
const GRADIENT_BLOCK: usize = 8;

/// Gradients of the weight and of the bias, whose share is read while its part of `dy` is in the cache.
fn weight_gradients(windows: &Windows, x: &FlexTensor, dy: &FlexTensor) -> (FlexTensor, FlexTensor) {
    let (x, dy) = (x.storage::<f32>(), dy.storage::<f32>());
    let (rows, columns) = (windows.rows(), windows.columns());
    let c_out = dy.len() / (windows.batch * rows);
    let size = columns * c_out;
    let row = size + c_out;
    let mut partial = vec![0.0; windows.batch.div_ceil(GRADIENT_BLOCK) * row];
    cpu::for_each_chunk(&mut partial, row, |block, partial| {
        let (dw, db) = partial.split_at_mut(size);
        let images = block * GRADIENT_BLOCK..windows.batch.min((block + 1) * GRADIENT_BLOCK);
        for i in images {
            let dy = &dy[i * rows * c_out..][..rows * c_out];
            windows.with_columns(&x[i * windows.pixels_in()..][..windows.pixels_in()], |a| {
                cpu::gemm([columns, c_out, rows], (a, 1, columns), (dy, c_out, 1), dw, true);
            });
            cpu::vectorised(
                #[inline(always)]
                || dy.chunks_exact(c_out).for_each(|pixel| cpu::add(db, pixel)),
            );
        }
    });
    let mut dw = cpu::sum_rows(&partial, row);
    let db = dw.split_off(size);
    (cpu::tensor(dw, [columns, c_out]), cpu::tensor(db, [c_out]))
}
