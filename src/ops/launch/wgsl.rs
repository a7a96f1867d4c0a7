//! The kernels of `shaders/`.
//!
//! A shader is a [template](super::template). Its bindings are the storage buffers that a launch names, in
//! that order, and then the uniform `params`; its values `threads` and those of the bindings are set by the launch.

#[cfg(feature = "gpu")]
use super::template::expand;
pub use super::way::{Launch, launches, programs, reads_half, runs_on};

/// A kernel as a device compiles it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Program {
    /// The stem of its file in `shaders/`.
    pub name: &'static str,
    /// WGSL.
    pub source: String,
}

/// A shader and the numbers and switches that make a kernel of it.
#[derive(Debug, Clone)]
#[cfg_attr(not(feature = "gpu"), expect(dead_code, reason = "without code for GPUs nothing is launched"))]
pub struct Kernel {
    pub(super) name: &'static str,
    source: &'static str,
    pub(super) values: Vec<(&'static str, u32)>,
    pub(super) switches: Vec<&'static str>,
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
    #[cfg(feature = "gpu")]
    pub(super) fn wgsl(&self) -> String {
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
