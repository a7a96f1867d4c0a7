//! Subgroups: threads of a workgroup that run in step, and can read each other's registers.
//!
//! Kernels that use them are written for one size, a value of their template, so an adapter has to promise one. And
//! only for sizes of a processor's SIMD registers, as software adapters have: there a load is a loop over the lanes,
//! and handing a value round is one instruction. A graphics card reads one address for all lanes at once.
//!
//! Browsers have none for us: wgpu does not ask for theirs.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The most lanes that kernels take, and the fewest.
const MOST: u32 = 8;
const FEWEST: u32 = 4;

/// Lanes of a subgroup of this process's GPU; 0 where kernels use none.
static LANES: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static REFUSED: Cell<bool> = const { Cell::new(false) };
}

/// Tells the kernels of the GPU that this process has opened. (burn does not say what a software adapter offers.)
pub fn use_subgroups(adapter: &wgpu::Adapter) {
    let info = adapter.get_info();
    let fixed = info.subgroup_min_size == info.subgroup_max_size;
    let offered = adapter.features().contains(wgpu::Features::SUBGROUP);
    let narrow = (FEWEST..=MOST).contains(&info.subgroup_max_size);
    let lanes = if offered && fixed && narrow { info.subgroup_max_size } else { 0 };
    LANES.store(lanes as usize, Ordering::Relaxed);
}

/// Lanes of a subgroup, where kernels are to use them.
pub(super) fn lanes() -> Option<usize> {
    let lanes = LANES.load(Ordering::Relaxed);
    (lanes > 0 && !REFUSED.get()).then_some(lanes)
}

/// `work` on this thread with the kernels of an adapter without subgroups: to compare the two.
pub fn without_subgroups<T>(work: impl FnOnce() -> T) -> T {
    let before = REFUSED.replace(true);
    let result = work();
    REFUSED.set(before);
    result
}
