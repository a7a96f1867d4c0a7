//! Launching kernels on burn's tensors.

use std::cell::{Cell, RefCell};

use burn::backend::wgpu::{CubeTensor, KernelSource, SourceKernel, SourceTemplate, into_contiguous};
use burn::backend::{Cube, CubeDevice, DispatchDevice};
use burn::cubecl::client::Client;
use burn::cubecl::ir::attributes::BufferIOAttr;
use burn::cubecl::prelude::{CubeCount, CubeDim, KernelId};
use burn::cubecl::server::{Handle, KernelArguments, MetadataBindingInfo};
use burn::tensor::{DType, Device, Shape, Tensor, TensorData};

use super::scratch::{self, Scratch};
use super::wgsl::{Kernel, Params, Program};

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
        #[cfg(feature = "cpu")]
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

/// The kernels of our own that `work` would launch on this thread, in their order: none of them runs, or is compiled, so
/// the values of tensors mean nothing.
pub fn programs(work: impl FnOnce()) -> Vec<Program> {
    PROGRAMS.set(Some(Vec::new()));
    Scratch::default().rehearse(work);
    PROGRAMS.take().unwrap_or_default()
}

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
