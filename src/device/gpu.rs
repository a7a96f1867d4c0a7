use burn::tensor::{Device, DeviceKind};

use super::{DeviceChoice, Opened};
use crate::ops::Adapter;
use crate::{Error, Result};

/// The GPU, or the CPU where nobody has asked for a GPU and there is none to speak of.
pub async fn open(choice: DeviceChoice) -> Result<Opened> {
    let options = Device::wgpu_options();
    #[cfg(target_family = "wasm")]
    let options = options.graphics_api(burn::tensor::wgpu::WgpuBackend::WebGpu);
    let options = match choice {
        DeviceChoice::Number(number) => options.device_kind(DeviceKind::DiscreteGpu(number.into())),
        _ => options,
    };
    let (device, setup) = match options.init_with_setup_async().await {
        Ok(opened) => opened,
        Err(problem) if choice == DeviceChoice::Auto => {
            return super::cpu(format!("No GPU could be opened ({problem})."));
        }
        Err(problem) => {
            let fix = match choice {
                DeviceChoice::Number(_) => "use the number of a discrete GPU, from 0 on, or --device gpu",
                _ => "install a Vulkan, Metal or DirectX 12 driver, or use --device cpu",
            };
            return Err(Error::device("gpu", problem.to_string(), fix));
        }
    };
    let info = setup.adapter.get_info();
    let software = info.device_type == wgpu::DeviceType::Cpu;
    if software && choice == DeviceChoice::Auto {
        return super::cpu(format!("The only GPU adapter, {}, is software.", info.name));
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

/// How many discrete GPUs there are.
#[cfg(not(target_family = "wasm"))]
pub async fn discrete() -> usize {
    let adapters = wgpu::Instance::default().enumerate_adapters(wgpu::Backends::PRIMARY).await;
    adapters.iter().filter(|a| a.get_info().device_type == wgpu::DeviceType::DiscreteGpu).count()
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
