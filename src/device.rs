//! Where tensors live: `--device` on the command line and the picker on the page are this one enum.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::ops::Adapter;
use crate::{Error, Result};

/// The user's choice of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// The GPU if there is a real one, else the CPU.
    #[default]
    Auto,
    /// WebGPU in a browser; Vulkan, Metal or DirectX 12 natively.
    Gpu,
    /// burn-flex: SIMD, and all cores where there are threads.
    Cpu,
}

impl std::str::FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "auto" => Ok(Self::Auto),
            "gpu" => Ok(Self::Gpu),
            "cpu" => Ok(Self::Cpu),
            _ => Err(Error::config("device", format!("`{name}` is not known"), "use auto, gpu or cpu")),
        }
    }
}

/// An opened device and the reason for it, in words for people.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Create tensors here.
    pub device: Device,
    /// [`DeviceChoice::Gpu`] or [`DeviceChoice::Cpu`].
    pub kind: DeviceChoice,
    /// The adapter's or processor's name.
    pub name: String,
    /// Why this device, in one sentence.
    pub reason: String,
    /// What the driver says of a GPU: names and values.
    pub facts: Vec<(&'static str, String)>,
    /// What a GPU takes in one piece: WebGPU's names of its limits, and bytes.
    pub limits: Vec<(&'static str, u64)>,
}

impl Opened {
    /// The CPU, for the reason given.
    pub fn cpu(reason: impl Into<String>) -> Self {
        let name = match std::thread::available_parallelism() {
            Ok(threads) if !cfg!(target_family = "wasm") => format!("CPU, {threads} threads"),
            _ => "CPU, one thread".into(),
        };
        Self {
            device: Device::flex(),
            kind: DeviceChoice::Cpu,
            name,
            reason: reason.into(),
            facts: vec![],
            limits: vec![],
        }
    }

    /// The limit, and its bytes, that a piece of so many bytes exceeds.
    pub fn exceeded(&self, bytes: u64) -> Option<(&'static str, u64)> {
        self.limits.iter().copied().filter(|(_, most)| bytes > *most).min_by_key(|(_, most)| *most)
    }
}

/// Opens the device of the user's choice. A process opens the GPU once; clone the [`Opened`].
///
/// `auto` takes a hardware GPU, and the CPU where there is none: software adapters such as lavapipe
/// and SwiftShader are many times slower than burn-flex. They are used when asked for by `gpu`.
///
/// # Errors
/// [`Error::Device`] if `gpu` was asked for and no adapter can be opened.
pub async fn open(choice: DeviceChoice) -> Result<Opened> {
    if choice == DeviceChoice::Cpu {
        return Ok(Opened::cpu("The CPU was asked for."));
    }
    let options = Device::wgpu_options();
    #[cfg(target_family = "wasm")]
    let options = options.graphics_api(burn::tensor::wgpu::WgpuBackend::WebGpu);
    let (device, setup) = match options.init_with_setup_async().await {
        Ok(opened) => opened,
        Err(problem) if choice == DeviceChoice::Auto => {
            return Ok(Opened::cpu(format!("No GPU could be opened ({problem}).")));
        }
        Err(problem) => {
            let fix = "install a Vulkan, Metal or DirectX 12 driver, or use --device cpu";
            return Err(Error::device("gpu", problem.to_string(), fix));
        }
    };
    let info = setup.adapter.get_info();
    let software = info.device_type == wgpu::DeviceType::Cpu;
    if software && choice == DeviceChoice::Auto {
        return Ok(Opened::cpu(format!("The only GPU adapter, {}, is software.", info.name)));
    }
    Adapter::of(&setup.adapter).set();
    let reason = match choice {
        DeviceChoice::Auto => "A GPU was found.".into(),
        _ => "The GPU was asked for.".into(),
    };
    let (facts, limits) = (facts(&setup.adapter), limits(&setup.adapter));
    let name = if info.name.is_empty() { "WebGPU".into() } else { info.name };
    Ok(Opened { device, kind: DeviceChoice::Gpu, name, reason, facts, limits })
}

fn limits(adapter: &wgpu::Adapter) -> Vec<(&'static str, u64)> {
    let limits = adapter.limits();
    vec![
        ("maxStorageBufferBindingSize", limits.max_storage_buffer_binding_size),
        ("maxBufferSize", limits.max_buffer_size),
    ]
}

/// What decides how kernels run on an adapter, as far as it tells; browsers keep most of it to themselves.
fn facts(adapter: &wgpu::Adapter) -> Vec<(&'static str, String)> {
    let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
    let has = |feature| if features.contains(feature) { "yes" } else { "no" }.to_owned();
    let mebibytes = |bytes: u64| format!("{} MiB", bytes >> 20);
    let all = [
        ("kind", format!("{:?}", info.device_type)),
        ("backend", info.backend.to_string()),
        ("driver", [info.driver, info.driver_info].join(" ").trim().to_owned()),
        ("threads of a workgroup", limits.max_compute_invocations_per_workgroup.to_string()),
        ("memory of a workgroup", format!("{} bytes", limits.max_compute_workgroup_storage_size)),
        ("largest binding", mebibytes(limits.max_storage_buffer_binding_size)),
        ("largest buffer", mebibytes(limits.max_buffer_size)),
        (
            "subgroups",
            format!(
                "{}, {} to {}",
                has(wgpu::Features::SUBGROUP),
                info.subgroup_min_size,
                info.subgroup_max_size
            ),
        ),
        ("half precision", has(wgpu::Features::SHADER_F16)),
        ("timestamps", has(wgpu::Features::TIMESTAMP_QUERY)),
    ];
    all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}
