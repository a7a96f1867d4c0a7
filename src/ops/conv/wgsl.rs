//! Convolution on a GPU: how `shaders/conv.wgsl` is specialised and launched.

use burn::tensor::{DType, Tensor};

use super::{Filter, Pass, Then};
use crate::ops::group_norm::{Norm, group_norm_silu};
use crate::ops::launch::wgsl::{self, Kernel, Launch, params, shader};
use crate::ops::{Adapter, Joined};

params! {
    struct Params {
        batch: u32,
        height: u32,
        width: u32,
        in_height: u32,
        in_width: u32,
        c_x: u32,
        c_skip: u32,
        c_out: u32,
        c_rx: u32,
        c_rskip: u32,
        shift_first: u32,
        shift_stride: u32,
        tiles: u32,
        sharing: u32,
        groups: u32,
        scale: f32,
        epsilon: f32,
    }
}

/// Threads of a workgroup; fewer where there would be too few workgroups for all cores.
const THREADS: usize = 64;
const FEW_THREADS: usize = 16;
const MANY_THREADS: usize = 256;

/// Tiles of [`Software`](Adapter::Software) on the largest image whose normalisation is part of the convolution.
/// Larger ones have work enough to fill a dispatch of their own, and sums over a large workgroup cost more than that.
const MOST_TILES: usize = 8;

/// Channels of the largest image that is normalised while it is read: their means and slopes take 5 kB of workgroup memory.
const MOST_NORMALISED: usize = 1024;

/// Pixels (rows, columns) of a thread whose subgroup shares the loads of weights, whichever covers an image best.
const SHARED: [[usize; 2]; 3] = [[4, 4], [5, 3], [7, 2]];

/// How the work is cut: a thread computes `tile` pixels (rows, columns) of `wide` quads of output channels, a
/// workgroup `tiles` of them, each by `sharing` threads.
#[derive(Debug, Clone, Copy)]
struct Plan {
    tile: [usize; 2],
    wide: usize,
    tiles: usize,
    sharing: usize,
    groups: usize,
    /// Lanes of a subgroup that share the loads of weights.
    lanes: Option<usize>,
}

impl Plan {
    fn new(adapter: Adapter, [batch, height, width]: [usize; 3], c_out: usize, shape: &Shape) -> Self {
        let size = [height, width];
        let quads = c_out.div_ceil(4);
        let (tile, wide) = match (adapter, shape) {
            // Eight channels for each pixel loaded, since the weights cost little.
            (Adapter::Subgroups(_), _) => {
                (shared(size, shape.upsample), if quads.is_multiple_of(2) { 2 } else { 1 })
            }
            (_, Shape { taps: false, .. }) => ([2, 4], 1),
            (Adapter::Hardware(_), Shape { stride: 2, .. }) => ([2, 2], 1),
            (Adapter::Hardware(cut), Shape { norm: true, .. }) => (cut.tile, 1),
            (Adapter::Hardware(cut), _) => {
                (cut.tile, if quads.is_multiple_of(cut.wide) { cut.wide } else { 1 })
            }
            // As large as registers in the cache allow, unless that leaves cores idle.
            (_, Shape { norm: true, .. }) => ([4, 8], 1),
            (_, Shape { stride: 2, .. }) => ([4, 4], 1),
            _ if batch * tiles_of([4, 8], size) * quads < 64 => ([4, 4], 1),
            _ => ([4, 8], 1),
        };
        let tile = if adapter == Adapter::Software { fitted(tile, size, shape.upsample) } else { tile };
        let per_image = tiles_of(tile, size);
        let (threads, sharing) = match adapter {
            Adapter::Hardware(cut) => (cut.threads, cut.sharing),
            _ => (THREADS, FEW_THREADS),
        };
        let threads = match batch * per_image * quads {
            all if all < 128 => FEW_THREADS,
            // Where there are more than any card runs at once, larger workgroups share what they load: 17.8 for 12.2
            // TFLOP/s on an H100 with 128 channels at 32x32.
            all if all >= 1 << 16 && matches!(adapter, Adapter::Hardware(_)) => threads.max(MANY_THREADS),
            _ => threads,
        };
        let lanes = adapter.lanes();
        let most = match (lanes, shape.whole_images()) {
            (Some(_), _) => 1,
            // For the sums over an image the tiles of a workgroup are those of one image.
            (None, true) => THREADS / per_image,
            (None, false) => sharing.min(threads),
        };
        let divides = |n: &usize| quads.is_multiple_of(n * wide);
        let sharing = (1..=most.clamp(1, quads)).rev().find(divides).unwrap_or(1);
        let tiles = match (lanes, shape.whole_images()) {
            (Some(lanes), _) => lanes,
            (None, true) => per_image,
            (None, false) => threads / sharing,
        };
        let groups = (batch * per_image).div_ceil(tiles) * (quads / (sharing * wide));
        Self { tile, wide, tiles, sharing, groups, lanes }
    }

    /// The adapter to cut images of this size for: they may be too small to fill a subgroup.
    fn adapter([batch, height, width]: [usize; 3]) -> Adapter {
        match Adapter::current() {
            Adapter::Subgroups(lanes) if batch * tiles_of(SHARED[0], [height, width]) < lanes => {
                Adapter::Software
            }
            adapter => adapter,
        }
    }

    /// Whether a convolution normalises its result. With subgroups never, as it would be the only one to wait at
    /// barriers.
    fn normalises(adapter: Adapter, size: [usize; 2]) -> bool {
        adapter.lanes().is_none() && tiles_of([4, 8], size) <= MOST_TILES
    }

    fn threads(&self) -> usize {
        self.tiles * self.sharing
    }
}

fn tiles_of(tile: [usize; 2], [height, width]: [usize; 2]) -> usize {
    height.div_ceil(tile[0]) * width.div_ceil(tile[1])
}

/// The tile that computes the fewest pixels beyond the image. A tile begins at a pixel of the image before it was upsampled.
fn shared(size: [usize; 2], upsample: usize) -> [usize; 2] {
    let fits = |tile: &[usize; 2]| tile.iter().all(|side| side.is_multiple_of(upsample));
    let computed = |tile: &[usize; 2]| tiles_of(*tile, size) * tile[0] * tile[1];
    SHARED.into_iter().filter(fits).min_by_key(computed).unwrap_or(SHARED[0])
}

/// As many tiles as those of at most `tile` that cover the image, each no larger than it has to be, since what lies
/// beyond the image is computed too.
fn fitted(tile: [usize; 2], size: [usize; 2], upsample: usize) -> [usize; 2] {
    [0, 1].map(|i| size[i].div_ceil(size[i].div_ceil(tile[i])).next_multiple_of(upsample))
}

/// What of the shader a launch uses, and its constants.
#[derive(Debug, Clone, Copy, Default)]
struct Shape {
    kernel: usize,
    stride: usize,
    pad: usize,
    upsample: usize,
    /// Convolves `x` tap by tap; without it there is only the 1x1 convolution `project`.
    taps: bool,
    skip: bool,
    project: bool,
    project_skip: bool,
    shift: bool,
    norm: bool,
    /// Normalises what the 1x1 convolution reads: so many quads of channels.
    norm_input: Option<usize>,
    residual: bool,
    scale: bool,
    odd: bool,
    /// The weights are in half precision.
    half: bool,
}

impl Shape {
    /// Whether a workgroup takes a whole image, to add up over its pixels.
    fn whole_images(&self) -> bool {
        self.norm || self.norm_input.is_some()
    }

    fn kernel(&self, plan: &Plan) -> Kernel {
        let Self { kernel, stride, pad, upsample, .. } = *self;
        // Input pixels under a tile and its border.
        let reach = |n: usize| (stride * (n - 1) + kernel + upsample - 2) / upsample + 1;
        let [rows, columns] = plan.tile;
        let lanes = plan.lanes.unwrap_or(1);
        shader!("conv")
            .value("k", kernel)
            .value("taps", kernel * kernel)
            .value("lanes", lanes)
            .value("tap_loads", (kernel * kernel).div_ceil(lanes))
            .value("wide", plan.wide)
            .value("stride", stride)
            .value("pad", pad)
            .value("upsample", upsample)
            .value("rows", rows)
            .value("columns", columns)
            .value("pixels", rows * columns)
            .value("reach_rows", reach(rows))
            .value("reach_columns", reach(columns))
            .value("reach", reach(rows) * reach(columns))
            .value("in_quads", self.norm_input.unwrap_or(0))
            .switch("NORM_INPUT", self.norm_input.is_some())
            .switch("SUBGROUP", plan.lanes.is_some())
            .switch("TAPS", self.taps)
            .switch("SKIP", self.skip)
            .switch("PROJECT", self.project)
            .switch("PROJECT_SKIP", self.project_skip)
            .switch("SHIFT", self.shift)
            .switch("NORM", self.norm)
            .switch("RESIDUAL", self.residual)
            .switch("SCALE", self.scale)
            .switch("ODD", self.odd)
            .switch("HALF", self.half)
    }
}

/// Whether the 1x1 convolution of the shader can read `x`: four channels at a time.
fn in_quads(x: &Joined) -> bool {
    let [c, c_skip] = x.channels();
    c.is_multiple_of(4) && c_skip.is_multiple_of(4)
}

/// [`Pass::run`] in one dispatch, or in two where a normalisation is more than a workgroup can span; of `norm(x)`, if
/// there is one. `None` on other devices, and for sizes that the shader was not written for.
pub fn run(pass: &Pass, norm_input: Option<&Norm>) -> Option<Tensor<4>> {
    let Pass { x, upsample, filter, then } = pass;
    let device = filter.weight.device();
    let [_, c_out] = filter.weight.dims();
    let [batch, in_height, in_width, _] = x.x.dims();
    let factor = if *upsample { 2 } else { 1 };
    let [height, width] = [in_height, in_width].map(|side| (factor * side).div_ceil(filter.stride));
    let odd = !c_out.is_multiple_of(4);
    let known = matches!((filter.kernel, filter.stride), (1 | 3, 1 | 2))
        && (!upsample || filter.pad == filter.kernel / 2);
    if !wgsl::runs_on(&device) || !known || batch * height * width == 0 {
        return None;
    }

    let adapter = Plan::adapter([batch, height, width]);
    let projects = matches!(then, Then::Add { projection: Some(_), .. });
    let taps = projects || filter.kernel > 1 || filter.stride > 1 || *upsample || !in_quads(x);
    let mut shape = Shape {
        kernel: filter.kernel,
        stride: filter.stride,
        pad: filter.pad,
        upsample: factor,
        taps,
        odd,
        ..Shape::default()
    };
    match then {
        Then::Nothing => {}
        _ if odd => return None,
        Then::ShiftNormSilu { shift, first, .. } if !(first | shift.dims()[1]).is_multiple_of(4) => {
            return None;
        }
        Then::ShiftNormSilu { .. } => shape.shift = true,
        Then::Add { x, projection: Some(_), .. } if !in_quads(x) => return None,
        Then::Add { projection, .. } => (shape.residual, shape.scale) = (projection.is_none(), true),
    }
    if let Then::ShiftNormSilu { norm, .. } = then {
        shape.norm = 4 * norm.groups == c_out && Plan::normalises(adapter, [height, width]);
    }
    if let Some(norm) = norm_input {
        let [c, c_skip] = x.channels();
        let fits = c <= MOST_NORMALISED && Plan::normalises(adapter, [height, width]);
        if taps || c_skip > 0 || 4 * norm.groups != c || !fits {
            return None;
        }
        shape.norm_input = Some(c / 4);
    }
    let [c_x, c_skip] = if taps { x.channels() } else { [0, 0] };
    (shape.skip, shape.project) = (c_skip > 0, projects || !taps);
    let projected = match then {
        Then::Add { x, projection: Some(projection), .. } => Some((x, projection)),
        _ => (!taps).then_some((x, filter)),
    };
    let filters = [Some(filter), projected.map(|(_, filter)| filter)];
    shape.half = filters.into_iter().flatten().all(|filter| filter.weight.dtype() == DType::F16);
    let [c_rx, c_rskip] = projected.map_or([0, 0], |(x, _)| x.channels());
    shape.project_skip = c_rskip > 0;
    if taps && shape.skip && shape.project_skip {
        return None; // nine buffers, one more than every device has
    }

    let plan = Plan::new(adapter, [batch, height, width], c_out, &shape);
    let mut params = Params {
        batch: batch as u32,
        height: height as u32,
        width: width as u32,
        in_height: in_height as u32,
        in_width: in_width as u32,
        c_x: c_x as u32,
        c_skip: c_skip as u32,
        c_out: c_out as u32,
        c_rx: c_rx as u32,
        c_rskip: c_rskip as u32,
        shift_first: 0,
        shift_stride: 0,
        tiles: plan.tiles as u32,
        sharing: plan.sharing as u32,
        groups: plan.groups as u32,
        scale: 1.0,
        epsilon: 0.0,
    };
    let mut launch = Launch::new(&device, shape.kernel(&plan), plan.threads())?;
    if taps {
        launch = input(launch, ["x", "skip", "weight", "bias"], x, filter, shape.half);
    }
    if let Some((x, filter)) = projected {
        launch = input(launch, ["rx", "rskip", "rweight", "rbias"], x, filter, shape.half);
    }
    if let Some(norm) = norm_input {
        params.epsilon = norm.epsilon;
        launch = launch.input("rgamma", norm.gamma.clone()).input("rbeta", norm.beta.clone());
    }
    match then {
        Then::Nothing => {}
        Then::ShiftNormSilu { shift, first, norm } => {
            let [rows, columns] = shift.dims();
            params.shift_first = (first / 4) as u32;
            params.shift_stride = if rows > 1 { (columns / 4) as u32 } else { 0 };
            launch = launch.input("shift", shift.clone());
            if shape.norm {
                params.epsilon = norm.epsilon;
                launch = launch.input("gamma", norm.gamma.clone()).input("beta", norm.beta.clone());
            }
        }
        Then::Add { x, projection, scale } => {
            params.scale = *scale as f32;
            if projection.is_none() {
                launch = launch.input("residual", x.clone().cat());
            }
        }
    }
    let y = launch.run_for("out", [batch, height, width, c_out], &params, wgsl::rows(plan.groups));
    Some(match then {
        Then::ShiftNormSilu { norm, .. } if !shape.norm => group_norm_silu(y.into(), norm),
        _ => y,
    })
}

/// Binds an image and the weights that convolve it. The shader reads four output channels at a time, so
/// rows of weights are filled up to a multiple of four.
fn input(launch: Launch, names: [&'static str; 4], x: &Joined, filter: &Filter, half: bool) -> Launch {
    let [name_x, name_skip, name_weight, name_bias] = names;
    let mut launch = launch.input(name_x, x.x.clone());
    if let Some(skip) = &x.skip {
        launch = launch.input(name_skip, skip.clone());
    }
    let [_, c_out] = filter.weight.dims();
    let missing = c_out.next_multiple_of(4) - c_out;
    let (mut weight, mut bias) = (filter.weight.clone(), filter.bias.clone());
    if !half {
        weight = weight.cast(DType::F32);
    }
    if missing > 0 {
        weight = weight.pad([(0, 0), (0, missing)], 0.0);
        bias = bias.pad([(0, missing)], 0.0);
    }
    launch.input(name_weight, weight).input(name_bias, bias)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADAPTERS: [Adapter; 4] =
        [Adapter::HARDWARE, Adapter::Software, Adapter::Subgroups(4), Adapter::Subgroups(8)];

    #[test]
    fn kernels_are_valid() {
        for (kernel, stride, upsample) in [(1, 1, 1), (3, 1, 1), (3, 1, 2), (3, 2, 1), (1, 2, 1)] {
            let pad = kernel / 2;
            let taps = Shape { kernel, stride, pad, upsample, taps: true, ..Shape::default() };
            let project = Shape { project: true, scale: true, ..taps };
            for shape in [
                Shape { odd: true, ..taps },
                Shape { skip: true, ..taps },
                Shape { shift: true, ..taps },
                Shape { shift: true, norm: true, ..taps },
                Shape { residual: true, scale: true, ..taps },
                project,
                Shape { project_skip: true, ..project },
                Shape { taps: false, odd: true, ..project },
                Shape { taps: false, norm_input: Some(6), ..project },
                Shape { taps: false, residual: true, project_skip: true, ..project },
            ] {
                for half in [false, true] {
                    for adapter in
                        ADAPTERS.into_iter().filter(|a| !shape.whole_images() || a.lanes().is_none())
                    {
                        let shape = Shape { half, ..shape };
                        let plan = Plan::new(adapter, [2, 16, 16], 24, &shape);
                        wgsl::check::<Params>(shape.kernel(&plan), plan.threads());
                    }
                }
            }
        }
    }

    #[test]
    fn plans_cover_every_pixel_and_channel() {
        for batch in [1, 3, 64] {
            for size in [[1, 1], [7, 7], [14, 14], [32, 32], [33, 70]] {
                for c_out in [1, 4, 12, 20, 32, 64, 96, 1024] {
                    for (taps, norm) in [(true, false), (true, true), (false, false)] {
                        for adapter in ADAPTERS {
                            let [height, width] = size;
                            let norm = norm && Plan::normalises(adapter, size);
                            let shape = Shape { stride: 1, upsample: 1, taps, norm, ..Shape::default() };
                            let plan = Plan::new(adapter, [batch, height, width], c_out, &shape);
                            let tiles = batch * tiles_of(plan.tile, size);
                            let quads = c_out.div_ceil(4);
                            assert!(plan.groups * plan.threads() * plan.wide >= tiles * quads, "{plan:?}");
                            assert_eq!(plan.groups % (quads / (plan.sharing * plan.wide)), 0);
                            assert!((1..=MANY_THREADS).contains(&plan.threads()), "{plan:?}");
                            assert!(plan.lanes.is_none_or(|lanes| plan.threads() == lanes), "{plan:?}");
                            assert!(!norm || plan.tiles * batch == tiles);
                        }
                    }
                }
            }
        }
    }
}
