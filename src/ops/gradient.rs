//! Ops with a gradient of their own: each is one node on burn's tape, which knows only burn's operations.

use burn::backend::DispatchTensor;
use burn::tensor::Tensor;

/// `y`, computed from `inputs` without autodiff, as their successor on the tape.
///
/// `gradients(dy, wanted)` returns the gradient of every input that is `wanted`.
/// Where no input has autodiff, and in a program without the feature `learn`, `y` is returned as it is.
#[cfg(feature = "learn")]
pub fn record<const N: usize, const D: usize>(
    inputs: [DispatchTensor; N],
    y: Tensor<D>,
    gradients: impl Fn(Tensor<D>, [bool; N]) -> [Option<DispatchTensor>; N] + Send + Sync + 'static,
) -> Tensor<D> {
    tape::record(inputs, y, gradients)
}

#[cfg(not(feature = "learn"))]
pub fn record<const N: usize, const D: usize>(
    _: [DispatchTensor; N],
    y: Tensor<D>,
    _: impl Fn(Tensor<D>, [bool; N]) -> [Option<DispatchTensor>; N] + Send + Sync + 'static,
) -> Tensor<D> {
    y
}

#[cfg(feature = "learn")]
mod tape {
    use std::fmt;
    use std::sync::Arc;

    use burn::backend::autodiff::checkpoint::base::Checkpointer;
    use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
    use burn::backend::tensor::FloatTensor;
    use burn::backend::{
        Autodiff, AutodiffBackend, Backend, BackendTensor, DispatchAutodiffContext, DispatchKindConversion,
        Flex,
    };

    use super::{DispatchTensor, Tensor};

    pub fn record<const N: usize, const D: usize>(
        inputs: [DispatchTensor; N],
        y: Tensor<D>,
        gradients: impl Fn(Tensor<D>, [bool; N]) -> [Option<DispatchTensor>; N] + Send + Sync + 'static,
    ) -> Tensor<D> {
        if inputs.iter().all(|input| input.autodiff == DispatchAutodiffContext::Disabled) {
            return y;
        }
        let rule: Rule<N> = Rule(Arc::new(move |dy, wanted| gradients(Tensor::from_dispatch(dy), wanted)));
        #[cfg(feature = "gpu")]
        if !crate::ops::is_flex(&y.device()) {
            return Tensor::from_dispatch(node::<burn::backend::Cube, N>(inputs, y.into_dispatch(), rule));
        }
        Tensor::from_dispatch(node::<Flex, N>(inputs, y.into_dispatch(), rule))
    }

    type Gradient<const N: usize> =
        dyn Fn(DispatchTensor, [bool; N]) -> [Option<DispatchTensor>; N] + Send + Sync;

    #[derive(Clone)]
    struct Rule<const N: usize>(Arc<Gradient<N>>);

    impl<const N: usize> fmt::Debug for Rule<N> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Rule")
        }
    }

    /// A backend of ours, and the same with autodiff.
    trait Home: Backend {
        fn open(tensor: DispatchTensor) -> FloatTensor<Self>;
        fn close(tensor: FloatTensor<Self>) -> DispatchTensor;
        fn close_recorded(tensor: FloatTensor<Autodiff<Self>>) -> DispatchTensor;
        fn open_recorded(tensor: DispatchTensor) -> FloatTensor<Autodiff<Self>>;
    }

    impl<B: Backend> Home for B
    where
        DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
    {
        fn open(tensor: DispatchTensor) -> FloatTensor<Self> {
            let tensor = <DispatchTensor as DispatchKindConversion<B>>::try_into_backend(tensor);
            tensor.expect("a tensor of the op's device").float()
        }

        fn close(tensor: FloatTensor<Self>) -> DispatchTensor {
            <DispatchTensor as DispatchKindConversion<B>>::from_backend(BackendTensor::Float(tensor))
        }

        fn open_recorded(tensor: DispatchTensor) -> FloatTensor<Autodiff<Self>> {
            match tensor.autodiff {
                DispatchAutodiffContext::Disabled => Autodiff::<B>::from_inner(Self::open(tensor)),
                DispatchAutodiffContext::Enabled(_) => {
                    let tensor =
                        <DispatchTensor as DispatchKindConversion<Autodiff<B>>>::try_into_backend(tensor);
                    tensor.expect("a tensor of the op's device").float()
                }
            }
        }

        fn close_recorded(tensor: FloatTensor<Autodiff<Self>>) -> DispatchTensor {
            <DispatchTensor as DispatchKindConversion<Autodiff<B>>>::from_backend(BackendTensor::Float(
                tensor,
            ))
        }
    }

    fn node<B: Home, const N: usize>(
        inputs: [DispatchTensor; N],
        y: DispatchTensor,
        rule: Rule<N>,
    ) -> DispatchTensor {
        let inputs = inputs.map(B::open_recorded);
        let nodes = inputs.each_ref().map(|input| input.node());
        B::close_recorded(match Node.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(tracked) => tracked.finish(rule, B::open(y)),
            OpsKind::UnTracked(untracked) => untracked.finish(B::open(y)),
        })
    }

    #[derive(Debug)]
    struct Node;

    impl<B: Home, const N: usize> Backward<B, N> for Node {
        type State = Rule<N>;

        fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
            let dy = B::close(grads.consume::<B>(&ops.node));
            let Rule(gradients) = ops.state;
            let wanted = ops.parents.each_ref().map(Option::is_some);
            for (parent, gradient) in ops.parents.into_iter().zip(gradients(dy, wanted)) {
                if let (Some(parent), Some(gradient)) = (parent, gradient) {
                    grads.register::<B>(parent.id, B::open(gradient));
                }
            }
        }
    }
}
