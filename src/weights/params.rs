//! A module's weights by name: the path of fields that leads to each.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use safetensors::tensor::{Dtype, TensorView};

use crate::ops::reads_half;
use crate::{Error, Result};

/// The values of one weight.
#[derive(Debug, Clone)]
pub struct Values {
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
}

impl Values {
    /// The values of a file's tensor, rounded to `f32`; `name` is what errors call the file.
    ///
    /// # Errors
    /// [`Error::Weights`] for an element type that is no float, and for a value that is not finite.
    pub fn read(name: &str, tensor: &str, view: &TensorView<'_>) -> Result<Self> {
        fn all<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
            bytes.chunks_exact(N).map(|bytes| value(bytes.try_into().expect("chunks of N"))).collect()
        }
        let damaged = |problem: String| Error::weights(name, problem, "download or export the file again");
        let data = match view.dtype() {
            Dtype::F16 => all(view.data(), |bytes| half::f16::from_le_bytes(bytes).to_f32()),
            Dtype::BF16 => all(view.data(), |bytes| half::bf16::from_le_bytes(bytes).to_f32()),
            Dtype::F32 => all(view.data(), f32::from_le_bytes),
            Dtype::F64 => all(view.data(), |bytes| f64::from_le_bytes(bytes) as f32),
            other => return Err(damaged(format!("{tensor} has type {other:?}, which is no float"))),
        };
        match data.iter().all(|value| value.is_finite()) {
            true => Ok(Self { shape: view.shape().to_vec(), data }),
            false => Err(damaged(format!("{tensor} holds a NaN or an infinity"))),
        }
    }
}

/// Refuses a file that lacks the large weights of the network it describes, before that network is
/// built: what a card may make us allocate is then bounded by the size of the file.
pub fn expect(name: &str, weights: &HashMap<String, Values>, shapes: &[(String, [usize; 2])]) -> Result<()> {
    for (weight, shape) in shapes {
        if weights.get(weight).is_none_or(|values| values.shape != shape) {
            let problem = format!("its weights are not those of its card ({weight} should be {shape:?})");
            return Err(Error::weights(name, problem, "download or export the file again"));
        }
    }
    Ok(())
}

/// Every float weight of `module` with its name, in the module's order. Waits for the device.
#[cfg(not(target_family = "wasm"))]
pub fn collect<M: Module>(module: &M) -> Result<Vec<(String, Values)>> {
    use burn::module::ModuleVisitor;

    #[derive(Default)]
    struct Collect {
        path: Vec<String>,
        found: Vec<(String, Values)>,
        problem: Option<String>,
    }
    impl ModuleVisitor for Collect {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.into());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let tensor = param.val();
            let shape = tensor.dims().to_vec();
            match tensor.into_data().try_to_vec::<f32>() {
                Ok(data) => self.found.push((self.path.join("."), Values { shape, data })),
                Err(e) => self.problem = Some(format!("{e:?}")),
            }
        }
    }
    let mut visitor = Collect::default();
    module.visit(&mut visitor);
    match visitor.problem {
        None => Ok(visitor.found),
        Some(problem) => Err(Error::weights("being written", problem, "keep its weights in f32")),
    }
}

/// Replaces every float weight of `module` by the one of its name.
///
/// # Errors
/// [`Error::Weights`] if a weight is missing, has another shape, or is left over.
pub fn fill<M: Module>(name: &str, module: M, weights: HashMap<String, Values>) -> Result<M> {
    struct Fill {
        path: Vec<String>,
        weights: HashMap<String, Values>,
        problem: Option<String>,
    }
    impl ModuleMapper for Fill {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.into());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let path = self.path.join(".");
            let dims = param.lazy_shape().dims::<D>();
            match self.weights.remove(&path) {
                None => self.problem = Some(format!("lacks the weight {path}")),
                Some(values) if values.shape != dims => {
                    self.problem = Some(format!("{path} has shape {:?}, expected {dims:?}", values.shape));
                }
                Some(values) => {
                    let data = TensorData::new(values.data, values.shape);
                    let (weight, id) = (Tensor::from_data(data, &param.lazy_device()), param.id);
                    return param.transform_for_load(weight, id);
                }
            }
            param
        }
    }
    let mut mapper = Fill { path: vec![], weights, problem: None };
    let module = module.map(&mut mapper);
    let left = mapper.weights.into_keys().next().map(|path| format!("has an unknown weight {path}"));
    match mapper.problem.or(left) {
        None => Ok(module),
        Some(problem) => Err(Error::weights(name, problem, "use the file with the version that wrote it")),
    }
}

/// Keeps the weights of convolutions in half precision where the kernels on `device` read them: half the memory, and no
/// change to weights that come from a file of that precision. For networks that are not trained further.
pub fn in_half<M: Module>(module: M, device: &Device) -> M {
    #[derive(Default)]
    struct Half {
        owners: Vec<bool>,
    }
    impl ModuleMapper for Half {
        fn enter_module(&mut self, _: &str, container: &str) {
            self.owners.push(container == "Struct:Conv");
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.owners.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            match D == 2 && self.owners.last() == Some(&true) {
                true => param.map(|weight| weight.cast(DType::F16)),
                false => param,
            }
        }
    }
    match reads_half(device) {
        true => module.map(&mut Half::default()),
        false => module,
    }
}
