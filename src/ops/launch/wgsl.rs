//! Launching the kernels of `shaders/` on burn's tensors.
//!
//! A shader is a [template](super::template). Its bindings are the storage buffers that a launch names, in
//! that order, and then the uniform `params`; its values `threads` and those of the bindings are set here.

use std::cell::{Cell, RefCell};

use burn::backend::wgpu::{CubeTensor, KernelSource, SourceKernel, SourceTemplate, into_contiguous};
use burn::backend::{Cube, CubeDevice, DispatchDevice};
use burn::cubecl::client::Client;
use burn::cubecl::ir::attributes::BufferIOAttr;
use burn::cubecl::prelude::{CubeCount, CubeDim, KernelId};
use burn::cubecl::server::{Handle, KernelArguments, MetadataBindingInfo};
use burn::tensor::{DType, Device, Shape, Tensor, TensorData};

use super::scratch::{self, Scratch};
use super::template::expand;

/// Whether ops on tensors of `device` go to our WGSL kernels: on wgpu, unless it compiles to another language. Not with
/// autodiff: then an op runs them on the device without it, and records its own gradient (`ops/gradient.rs`).
pub fn runs_on(device: &Device) -> bool {
    client(device).is_some()
}

/// Whether the kernels on `device` read weights in half precision.
pub fn reads_half(device: &Device) -> bool {
    runs_on(device) && device.supports_dtype(DType::F16)
}

/// Who takes launches for `device`, if kernels [run on](runs_on) it.
///
/// The runtime is named after its compiler, which is settled only when the adapter is known.
pub fn client(device: &Device) -> Option<Client> {
    Some(cube(device)?.client()).filter(|client| client.name() == "wgpu<wgsl>")
}

fn cube(device: &Device) -> Option<&CubeDevice> {
    match device.as_dispatch() {
        DispatchDevice::Cube(cube) => Some(cube),
        _ => None,
    }
}

/// The memory of a tensor of a device that kernels run on, in the order of its dimensions: a copy if it is not.
fn memory<const D: usize>(tensor: Tensor<D>) -> CubeTensor {
    into_contiguous(tensor.try_into_primitive::<Cube>().expect("a tensor of this device, without autodiff"))
}

/// `tensor` with its values in the order of its dimensions.
pub fn contiguous<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    Tensor::from_primitive::<Cube>(memory(tensor))
}

/// Replaces the values of `tensor`, which is contiguous, by `data` of the same shape.
pub fn write<const D: usize>(client: &Client, tensor: &Tensor<D>, data: &TensorData) {
    client.write(&memory(tensor.clone()).handle, data.clone().into_bytes());
}

thread_local! {
    static LAUNCHES: Cell<usize> = const { Cell::new(0) };
    static PROGRAMS: RefCell<Option<Vec<Program>>> = const { RefCell::new(None) };
}

/// How many kernels of our own this thread has launched; burn's are not counted.
pub fn launches() -> usize {
    LAUNCHES.get()
}

/// A kernel as a device compiles it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Program {
    /// The stem of its file in `shaders/`.
    pub name: &'static str,
    /// WGSL.
    pub source: String,
}

/// The kernels of our own that `work` would launch on this thread, in their order: none of them runs, or is compiled, so
/// the values of tensors mean nothing.
pub fn programs(work: impl FnOnce()) -> Vec<Program> {
    PROGRAMS.set(Some(Vec::new()));
    Scratch::default().rehearse(work);
    PROGRAMS.take().unwrap_or_default()
}

/// A shader and the numbers and switches that make a kernel of it.
#[derive(Debug, Clone)]
pub struct Kernel {
    name: &'static str,
    source: &'static str,
    values: Vec<(&'static str, u32)>,
    switches: Vec<&'static str>,
}

/// The shader of that name in `shaders/`.
macro_rules! shader {
    ($name:literal) => {
        $crate::ops::launch::wgsl::Kernel::new(
            $name,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $name, ".wgsl")),
        )
    };
}
pub(in crate::ops) use shader;

impl Kernel {
    pub fn new(name: &'static str, source: &'static str) -> Self {
        Self { name, source, values: vec![], switches: vec![] }
    }

    /// Puts `value` in the place of `{{ name }}`.
    pub fn value(mut self, name: &'static str, value: usize) -> Self {
        self.values.push((name, value as u32));
        self
    }

    /// Keeps the lines of `//#if name` if `on`.
    pub fn switch(mut self, name: &'static str, on: bool) -> Self {
        self.switches.extend(on.then_some(name));
        self
    }

    /// The program.
    fn wgsl(&self) -> String {
        let program = expand(self.source, &self.values, &self.switches);
        // Browsers want to be asked. naga, which compiles natively, does not know the question.
        match cfg!(target_family = "wasm") && self.switches.contains(&"SUBGROUP") {
            true => format!("enable subgroups;\n{program}"),
            false => program,
        }
    }
}

/// A kernel's uniform, `struct Params` in its shader.
pub trait Params: bytemuck::Pod {
    /// Names and offsets of its fields.
    #[cfg(test)]
    const FIELDS: &[(&str, usize)];
}

/// Defines the uniform of a kernel; [`check`] compares it with the shader's.
macro_rules! params {
    ($(#[$doc:meta])* struct $name:ident { $($field:ident: $kind:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
        #[repr(C)]
        struct $name { $($field: $kind),+ }

        impl $crate::ops::launch::wgsl::Params for $name {
            #[cfg(test)]
            const FIELDS: &[(&str, usize)] =
                &[$((stringify!($field), std::mem::offset_of!($name, $field))),+];
        }
    };
}
pub(in crate::ops) use params;

/// A kernel with its buffers, ready to go.
pub struct Launch {
    kernel: Kernel,
    threads: usize,
    cube: CubeDevice,
    client: Client,
    buffers: Vec<(Handle, BufferIOAttr)>,
}

impl Launch {
    /// A launch of `kernel` in workgroups of `threads`. `device` is one that kernels
    /// [run on](runs_on).
    pub fn new(device: &Device, kernel: Kernel, threads: usize) -> Option<Self> {
        let (client, cube) = (client(device)?, cube(device)?.clone());
        let kernel = kernel.value("threads", threads);
        Some(Self { kernel, threads, cube, client, buffers: vec![] })
    }

    /// Binds a tensor, contiguous, which the kernel reads.
    pub fn input<const D: usize>(mut self, name: &'static str, tensor: Tensor<D>) -> Self {
        self.bind(name, memory(tensor).handle, BufferIOAttr::ReadOnly);
        self
    }

    /// Binds a contiguous tensor, which the kernel sets.
    pub fn onto<const D: usize>(mut self, name: &'static str, tensor: Tensor<D>) -> Self {
        self.bind(name, memory(tensor).handle, BufferIOAttr::WriteOnly);
        self
    }

    /// Binds a new tensor, which the kernel sets, and returns it.
    pub fn output<const D: usize>(mut self, name: &'static str, shape: [usize; D]) -> (Self, Tensor<D>) {
        let handle = scratch::take(&self.client, shape.iter().product::<usize>() * size_of::<f32>());
        self.bind(name, handle.clone(), BufferIOAttr::WriteOnly);
        let (client, cube) = (self.client.clone(), self.cube.clone());
        let tensor = CubeTensor::new_contiguous(client, cube, Shape::from(shape), handle, DType::F32);
        (self, Tensor::from_primitive::<Cube>(tensor))
    }

    fn bind(&mut self, name: &'static str, handle: Handle, use_of_it: BufferIOAttr) {
        self.kernel.values.push((name, self.buffers.len() as u32));
        self.buffers.push((handle, use_of_it));
    }

    /// Runs the kernel in `groups` workgroups.
    pub fn run(mut self, params: &impl Params, groups: [usize; 3]) {
        self.kernel.values.push(("params", self.buffers.len() as u32));
        let mut arguments =
            KernelArguments::new().with_info(MetadataBindingInfo::custom(words(bytemuck::bytes_of(params))));
        for (handle, use_of_it) in self.buffers {
            arguments = arguments.with_buffer_io(handle.binding(), use_of_it);
        }
        let [x, y, z] = groups.map(|n| n as u32);
        PROGRAMS.with_borrow_mut(|programs| {
            let program = || Program { name: self.kernel.name, source: self.kernel.wgsl() };
            programs.as_mut().map(|programs| programs.push(program()))
        });
        let kernel = SourceKernel::new(self.kernel, CubeDim::new_1d(self.threads as u32));
        scratch::launch(&self.client, || {
            self.client.launch(Box::new(kernel), CubeCount::Static(x, y, z), arguments);
            LAUNCHES.set(LAUNCHES.get() + 1);
        });
    }

    /// [`Self::run`] with one output.
    pub fn run_for<const D: usize>(
        self,
        output: &'static str,
        shape: [usize; D],
        params: &impl Params,
        groups: [usize; 3],
    ) -> Tensor<D> {
        let (launch, tensor) = self.output(output, shape);
        launch.run(params, groups);
        tensor
    }
}

/// The most workgroups in a row that WebGPU allows.
const LONGEST: usize = 65_535;

/// `n` workgroups in a row, if that is allowed.
pub fn row(n: usize) -> Option<[usize; 3]> {
    (1..=LONGEST).contains(&n).then_some([n, 1, 1])
}

/// At least `n` workgroups, in rows of the longest that is allowed: for kernels that know where to end.
pub fn rows(n: usize) -> [usize; 3] {
    [n.min(LONGEST), n.div_ceil(LONGEST), 1]
}

/// Bytes as the `u64` of burn's interface; a uniform's size is a multiple of 16.
fn words(params: &[u8]) -> Vec<u64> {
    let mut params = params.to_vec();
    params.resize(params.len().next_multiple_of(16), 0);
    params.chunks_exact(8).map(bytemuck::pod_read_unaligned).collect()
}

impl KernelSource for Kernel {
    fn source(&self) -> SourceTemplate {
        SourceTemplate::new(self.wgsl())
    }

    fn id(&self) -> KernelId {
        KernelId::new::<Self>().info((self.name, self.values.clone(), self.switches.clone()))
    }

    fn lang(&self) -> &'static str {
        "wgsl"
    }
}

/// Asserts that `kernel` is valid WGSL for a device without optional features (but half precision and subgroups, where
/// the kernel is for those), with at most the eight storage buffers that every one has, and that its uniform is `P`. Needs no GPU.
#[cfg(test)]
pub fn check<P: Params>(kernel: Kernel, threads: usize) {
    use naga::valid::{Capabilities, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator};

    // Every binding that the template names, in its order.
    let mut kernel = kernel.value("threads", threads);
    for (index, part) in kernel.source.split("@binding({{ ").skip(1).enumerate() {
        kernel.values.push((part.split_once(' ').expect("a name").0, index as u32));
    }
    let source = kernel.wgsl();
    let module =
        naga::front::wgsl::parse_str(&source).unwrap_or_else(|e| panic!("{}", e.emit_to_string(&source)));
    let mut features = Capabilities::empty();
    features.set(Capabilities::SHADER_FLOAT16, kernel.switches.contains(&"HALF"));
    features.set(Capabilities::SUBGROUP, kernel.switches.contains(&"SUBGROUP"));
    let mut validator = Validator::new(ValidationFlags::all(), features);
    validator.subgroup_stages(ShaderStages::COMPUTE).subgroup_operations(SubgroupOperationSet::all());
    let valid = validator.validate(&module);
    valid.unwrap_or_else(|e| panic!("{}", e.emit_to_string(&source)));
    assert_eq!(module.entry_points[0].workgroup_size, [threads as u32, 1, 1]);
    let buffers =
        module.global_variables.iter().filter(|(_, v)| matches!(v.space, naga::AddressSpace::Storage { .. }));
    assert!(buffers.count() <= 8);

    let params = module.types.iter().find(|(_, kind)| kind.name.as_deref() == Some("Params"));
    let Some(naga::TypeInner::Struct { members, .. }) = params.map(|(_, kind)| &kind.inner) else {
        panic!("no struct Params");
    };
    let found: Vec<_> =
        members.iter().map(|m| (m.name.as_deref().expect("a name"), m.offset as usize)).collect();
    assert_eq!(found, P::FIELDS);
}
