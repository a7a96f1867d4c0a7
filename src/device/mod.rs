//! Where tensors live: `--device` on the command line and the picker on the page are this one enum.

#[cfg(feature = "gpu")]
mod gpu;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

#[cfg(feature = "gpu")]
use self::gpu::open as gpu;
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
    /// The discrete GPU of this number, from 0 on, on a machine that has several. A browser does not number them.
    #[serde(skip)]
    Number(u16),
}

impl DeviceChoice {
    /// What process `local` of those on this machine takes where each is to have a GPU of its own: of several discrete ones, those
    /// in turn. What names a device stays.
    #[cfg(all(feature = "gpu", not(target_family = "wasm")))]
    pub async fn for_process(self, local: usize) -> Self {
        match (self, self::gpu::discrete().await) {
            (Self::Auto | Self::Gpu, count @ 2..) => Self::Number((local % count) as u16),
            _ => self,
        }
    }
}

impl std::str::FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "auto" => Ok(Self::Auto),
            "gpu" => Ok(Self::Gpu),
            "cpu" => Ok(Self::Cpu),
            _ => match name.strip_prefix("gpu:").and_then(|number| number.parse().ok()) {
                Some(number) => Ok(Self::Number(number)),
                None => {
                    let fix = "use auto, gpu, gpu:0, gpu:1, ... or cpu";
                    Err(Error::config("device", format!("`{name}` is not known"), fix))
                }
            },
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
    #[cfg(feature = "cpu")]
    pub fn cpu(reason: impl Into<String>) -> Self {
        let name = match std::thread::available_parallelism() {
            Ok(threads) if !cfg!(target_family = "wasm") && threads.get() > 1 => {
                format!("CPU, {threads} threads")
            }
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
/// [`Error::Device`] if `gpu` was asked for and no adapter can be opened, or if this program has no code for what is left.
pub async fn open(choice: DeviceChoice) -> Result<Opened> {
    if choice == DeviceChoice::Cpu {
        return cpu("The CPU was asked for.".into());
    }
    gpu(choice).await
}

#[cfg(not(feature = "gpu"))]
async fn gpu(_: DeviceChoice) -> Result<Opened> {
    cpu("This program has no code for a GPU.".into())
}

#[cfg(feature = "cpu")]
fn cpu(reason: String) -> Result<Opened> {
    Ok(Opened::cpu(reason))
}

#[cfg(not(feature = "cpu"))]
fn cpu(_: String) -> Result<Opened> {
    Err(Error::device("cpu", "this program has no code for it", "use the GPU"))
}
