//! What kernels are cut for.

use std::cell::Cell;
use std::sync::{PoisonError, RwLock};

/// What runs the kernels, as far as it matters to how they cut their work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adapter {
    /// A GPU: thousands of threads, each with 128 to 256 registers. What does not fit there goes to memory and back.
    Hardware(Cut),
    /// A processor (SwiftShader, llvmpipe): few threads, the registers of which are its cache anyway. A load is a loop
    /// over lanes and costs ten times a multiply-add, a barrier a hundred.
    Software,
    /// A processor whose subgroups always have this many lanes: one can load for all of them, and hand the value round
    /// in one instruction.
    Subgroups(usize),
}

/// How the convolutions of a graphics card cut their work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Pixels of a thread: rows and columns.
    pub tile: [usize; 2],
    /// Quads of output channels of a thread, where their number allows it.
    pub wide: usize,
    /// Threads of a workgroup.
    pub threads: usize,
    /// Threads of a workgroup that compute the same pixels, each for channels of its own: at most.
    pub sharing: usize,
    /// Threads of a weight gradient in all: as many as keep the card busy, since each leaves sums to be added up.
    pub gradient_threads: usize,
}

impl Cut {
    /// What fits into 128 registers. The larger tiles of software adapters need all 256 that a compiler for graphics cards
    /// has (RADV's, for RDNA2), and most of their kernels move 14 to 257 more values to memory and back.
    pub const USUAL: Self =
        Self { tile: [2, 4], wide: 1, threads: 64, sharing: 16, gradient_threads: 1 << 15 };
}

static OPENED: RwLock<Adapter> = RwLock::new(Adapter::HARDWARE);

thread_local! {
    static PRETENDED: Cell<Option<Adapter>> = const { Cell::new(None) };
}

impl Adapter {
    /// A graphics card of which nothing more is known.
    pub const HARDWARE: Self = Self::Hardware(Cut::USUAL);

    /// What `adapter` is.
    #[cfg(feature = "gpu")]
    pub fn of(adapter: &wgpu::Adapter) -> Self {
        let info = adapter.get_info();
        let lanes = info.subgroup_max_size;
        let promised =
            adapter.features().contains(wgpu::Features::SUBGROUP) && lanes == info.subgroup_min_size;
        match info.device_type == wgpu::DeviceType::Cpu {
            true => Self::software(if promised { lanes as usize } else { 0 }),
            false => Self::HARDWARE,
        }
    }

    /// A processor whose subgroups have so many lanes; 0 where there are none.
    pub fn software(lanes: usize) -> Self {
        match (4..=8).contains(&lanes) {
            true => Self::Subgroups(lanes),
            false => Self::Software,
        }
    }

    /// From now on kernels are cut for this: the GPU that the process has opened.
    pub fn set(self) {
        *OPENED.write().unwrap_or_else(PoisonError::into_inner) = self;
    }

    /// What kernels are cut for on this thread.
    pub(in crate::ops) fn current() -> Self {
        PRETENDED.get().unwrap_or_else(|| *OPENED.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// `work` with the kernels for such an adapter, on this thread: any adapter can run those without subgroups.
    pub fn pretend<T>(self, work: impl FnOnce() -> T) -> T {
        let before = PRETENDED.replace(Some(self));
        let result = work();
        PRETENDED.set(before);
        result
    }

    /// Whether it is a graphics card.
    pub(in crate::ops) fn is_hardware(self) -> bool {
        matches!(self, Self::Hardware(_))
    }

    /// Lanes of a subgroup, where kernels are to use them.
    pub(in crate::ops) fn lanes(self) -> Option<usize> {
        match self {
            Self::Subgroups(lanes) => Some(lanes),
            _ => None,
        }
    }
}
