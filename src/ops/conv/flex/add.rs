//! The sum that ends a residual block on the CPU: one loop over memory, on all threads.

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;

use crate::ops::cpu;

/// `scale·(x + y)` of tensors in main memory, of one shape.
pub fn add(x: Tensor<4>, y: Tensor<4>, scale: f64) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::add_scaled(x.into_dispatch(), y.into_dispatch(), scale as f32))
}

#[cfg_attr(not(target_family = "wasm"), backend_extension(Flex, Autodiff))]
#[cfg_attr(target_family = "wasm", backend_extension(Flex))]
trait AddOps: Backend {
    fn add_scaled(x: FloatTensor<Self>, y: FloatTensor<Self>, scale: f32) -> FloatTensor<Self>;
}

impl AddOps for Flex {
    fn add_scaled(x: FlexTensor, y: FlexTensor, scale: f32) -> FlexTensor {
        let (shape, x, y) = (x.shape(), x.to_contiguous(), y.to_contiguous());
        let (x, y) = (x.storage::<f32>(), y.storage::<f32>());
        let sum = by_chunks(x.len(), |at, sum| {
            let (x, y) = (&x[at..][..sum.len()], &y[at..][..sum.len()]);
            sum.iter_mut().zip(x.iter().zip(y)).for_each(|(s, (x, y))| *s = scale * (x + y));
        });
        cpu::tensor(sum, shape)
    }
}

/// `len` values that `f(index of the first, values)` sets chunk by chunk.
fn by_chunks(len: usize, f: impl Fn(usize, &mut [f32]) + Send + Sync) -> Vec<f32> {
    const CHUNK: usize = 1 << 14;
    let mut values = vec![0.0; len];
    cpu::for_each_chunk(&mut values, CHUNK, |i, chunk| {
        cpu::vectorised(
            #[inline(always)]
            || f(i * CHUNK, chunk),
        );
    });
    values
}

#[cfg(not(target_family = "wasm"))]
mod backward {
    use burn::backend::Autodiff;
    use burn::backend::autodiff::checkpoint::base::Checkpointer;
    use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};

    use super::*;

    impl<C: CheckpointStrategy> AddOps for Autodiff<Flex, C> {
        fn add_scaled(x: FloatTensor<Self>, y: FloatTensor<Self>, scale: f32) -> FloatTensor<Self> {
            let preparation = AddBackward.prepare::<C>([x.node(), y.node()]).compute_bound().stateful();
            let sum = Flex::add_scaled(x.primitive().clone(), y.primitive().clone(), scale);
            match preparation {
                OpsKind::Tracked(tracked) => tracked.finish(scale, sum),
                OpsKind::UnTracked(untracked) => untracked.finish(sum),
            }
        }
    }

    #[derive(Debug)]
    struct AddBackward;

    impl Backward<Flex, 2> for AddBackward {
        type State = f32;

        fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
            let dsum = grads.consume::<Flex>(&ops.node).to_contiguous();
            let (scale, shape, values) = (ops.state, dsum.shape(), dsum.storage::<f32>());
            let dx = by_chunks(values.len(), |at, dx| {
                dx.iter_mut().zip(&values[at..]).for_each(|(dx, dsum)| *dx = scale * dsum);
            });
            let dx = cpu::tensor(dx, shape);
            for node in ops.parents.into_iter().flatten() {
                grads.register::<Flex>(node.id, dx.clone());
            }
        }
    }
}
