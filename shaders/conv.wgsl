// Convolution of NHWC images with what a U-Net puts around it:
//
//   sum = [conv k x k (x, skip) + bias] + [conv 1x1 (rx, rskip) + rbias] + shift
//   rx  = group_norm(rx) if NORM_INPUT
//   out = (silu(group_norm(sum)) + residual) * scale
//
// Every part but one of the two convolutions is optional.
//
// One thread computes a tile of rows x columns output pixels times `wide` quads of output channels. A
// software adapter pays ten times as much for a load as for a multiply-add, so the tile is as
// large as the registers allow and every value loaded is used as often as possible: an input pixel
// for up to nine taps of all the channels, a weight for all pixels of the tile. Nothing is staged in
// workgroup memory: on a software adapter a load costs more there than from a storage buffer, and
// on a GPU the caches do that work. All loops over a tile are unrolled by the template, because an
// array that is indexed by a variable cannot live in registers. With HALF the weights are stored in half
// precision; all sums are in single. With SUBGROUP a workgroup is a subgroup of `lanes` threads that compute the same
// channels: each loads a part of the weights, and they hand them round. (Graphics cards have smaller tiles: see the plan
// in src/ops/conv/wgsl.rs.)

//#if HALF
enable f16;
alias Weights = vec4<f16>;
//#end
//#if !HALF
alias Weights = vec4f;
//#end

struct Params {
    batch: u32,
    height: u32, // of the output
    width: u32,
    in_height: u32, // of x and skip
    in_width: u32,
    c_x: u32,
    c_skip: u32,
    c_out: u32,
    c_rx: u32,
    c_rskip: u32,
    shift_first: u32,  // the block's shift starts at this quad of a row of `shift`,
    shift_stride: u32, // whose rows are this many quads long; 0 where all images share one row
    tiles: u32,   // of a workgroup, and how many threads share one, each with channels of its own
    sharing: u32,
    groups: u32, // workgroups
    scale: f32,
    epsilon: f32,
}

const stride = {{ stride }}u;
const upsample = {{ upsample }}u; // 2: x and skip are read as if every pixel were a 2x2 square
const pad = {{ pad }}u;

//#if TAPS
@group(0) @binding({{ x }}) var<storage, read_write> x: array<f32>;
//#if SKIP
@group(0) @binding({{ skip }}) var<storage, read_write> skip: array<f32>;
//#end
@group(0) @binding({{ weight }}) var<storage, read_write> weight: array<Weights>;
@group(0) @binding({{ bias }}) var<storage, read_write> bias: array<vec4f>;
//#end
//#if PROJECT
@group(0) @binding({{ rx }}) var<storage, read_write> rx: array<vec4f>;
//#if PROJECT_SKIP
@group(0) @binding({{ rskip }}) var<storage, read_write> rskip: array<vec4f>;
//#end
@group(0) @binding({{ rweight }}) var<storage, read_write> rweight: array<Weights>;
@group(0) @binding({{ rbias }}) var<storage, read_write> rbias: array<vec4f>;
//#end
//#if NORM_INPUT
@group(0) @binding({{ rgamma }}) var<storage, read_write> rgamma: array<vec4f>;
@group(0) @binding({{ rbeta }}) var<storage, read_write> rbeta: array<vec4f>;
//#end
//#if SHIFT
@group(0) @binding({{ shift }}) var<storage, read_write> shift: array<vec4f>;
//#end
//#if NORM
@group(0) @binding({{ gamma }}) var<storage, read_write> gamma: array<vec4f>;
@group(0) @binding({{ beta }}) var<storage, read_write> beta: array<vec4f>;
//#end
//#if RESIDUAL
@group(0) @binding({{ residual }}) var<storage, read_write> residual: array<vec4f>;
//#end
//#if ODD
@group(0) @binding({{ out }}) var<storage, read_write> out: array<f32>;
//#end
//#if !ODD
@group(0) @binding({{ out }}) var<storage, read_write> out: array<vec4f>;
//#end
@group(0) @binding({{ params }}) var<uniform> params: Params;

// The thread's pixels, quad after quad of their channels.
alias Tile = array<vec4f, {{ wide }} * {{ pixels }}>;

//#if SUBGROUP
var<private> lane: u32;
//#end

//#if TAPS
// The input pixels under the tile and its border: where each starts, whether it lies inside the
// image, and one channel of it.
alias Offsets = array<u32, {{ reach_rows }} * {{ reach_columns }}>;
alias Inside = array<bool, {{ reach_rows }} * {{ reach_columns }}>;
alias Window = array<f32, {{ reach_rows }} * {{ reach_columns }}>;

// Pixels outside the image are read at 0, so that no load leaves its buffer, and then dropped.
fn offsets(corner: u32, line: u32, pixel: u32, inside: Inside) -> Offsets {
    return Offsets(
//#for i reach_rows
//#for j reach_columns
        select(0u, corner + {{ i }} * line + {{ j }} * pixel, inside[{{ i }} * {{ reach_columns }} + {{ j }}]),
//#end
//#end
    );
}

fn x_window(at: Offsets, channel: u32, inside: Inside) -> Window {
    return Window(
//#for n reach
        select(0.0, x[at[{{ n }}] + channel], inside[{{ n }}]),
//#end
    );
}

//#if SKIP
fn skip_window(at: Offsets, channel: u32, inside: Inside) -> Window {
    return Window(
//#for n reach
        select(0.0, skip[at[{{ n }}] + channel], inside[{{ n }}]),
//#end
    );
}
//#end

// Adds one input channel under all taps, whose weights are `pitch` apart. The taps of a pixel are one
// nested expression, since a software adapter pays for every assignment.
fn add_taps(tile: Tile, window: Window, first: u32, pitch: u32) -> Tile {
//#for q wide
//#if SUBGROUP
//#for n tap_loads
    let mine{{ q }}_{{ n }} = vec4f(weight[first + {{ q }} + min({{ n }} * {{ lanes }} + lane, {{ taps }} - 1) * pitch]);
//#end
//#end
//#for tap taps
//#if SUBGROUP
    let w{{ q }}_{{ tap }} = subgroupBroadcast(mine{{ q }}_{{ tap / lanes }}, {{ tap % lanes }}u);
//#end
//#if !SUBGROUP
    let w{{ q }}_{{ tap }} = vec4f(weight[first + {{ q }} + {{ tap }} * pitch]);
//#end
//#end
//#end
    return Tile(
//#for q wide
//#for r rows
//#for p columns
//#for tap taps
        fma(w{{ q }}_{{ tap }}, vec4f(window[(stride * {{ r }} + {{ tap / k }} + upsample - 1) / upsample * {{ reach_columns }} + (stride * {{ p }} + {{ tap % k }} + upsample - 1) / upsample]),
//#end
        tile[({{ q }} * {{ rows }} + {{ r }}) * {{ columns }} + {{ p }}]
//#for tap taps
        )
//#end
        ,
//#end
//#end
//#end
    );
}
//#end

//#if PROJECT
// A 1x1 convolution has no neighbouring taps to share a load with, so it takes four channels a step.
alias Pixels = array<vec4f, {{ pixels }}>;

fn add_pixels(tile: Tile, pixels: Pixels, first: u32, pitch: u32) -> Tile {
//#for q wide
//#if SUBGROUP
    let mine{{ q }} = vec4f(rweight[first + {{ q }} + lane % 4 * pitch]);
//#end
    let w{{ q }} = mat4x4f(
//#for c 4
//#if SUBGROUP
        subgroupBroadcast(mine{{ q }}, {{ c }}u),
//#end
//#if !SUBGROUP
        vec4f(rweight[first + {{ q }} + {{ c }} * pitch]),
//#end
//#end
    );
//#end
    return Tile(
//#for q wide
//#for n pixels
        tile[{{ q }} * {{ pixels }} + {{ n }}] + w{{ q }} * pixels[{{ n }}],
//#end
//#end
    );
}

fn rx_pixels(at: u32, line: u32, pixel: u32, last: u32) -> Pixels {
    return Pixels(
//#for r rows
//#for p columns
        rx[min(at + {{ r }} * line + {{ p }} * pixel, last)],
//#end
//#end
    );
}

//#if PROJECT_SKIP
fn rskip_pixels(at: u32, line: u32, pixel: u32, last: u32) -> Pixels {
    return Pixels(
//#for r rows
//#for p columns
        rskip[min(at + {{ r }} * line + {{ p }} * pixel, last)],
//#end
//#end
    );
}
//#end
//#end

//#if NORM_INPUT
// Of each quad of channels, which is a group.
var<workgroup> means: array<f32, {{ in_quads }}>;
var<workgroup> slopes: array<vec4f, {{ in_quads }}>;

fn measure(c: u32, image: u32) {
    let pixels = params.height * params.width;
    let quads = params.c_rx / 4;
    let first = image * pixels * quads + c;
    let last = first + pixels * quads;
    var sum = vec4f();
    for (var at = first; at < last; at += quads) {
        sum += rx[at];
    }
    let count = f32(4 * pixels);
    let mean = dot(sum, vec4f(1.0)) / count;
    sum = vec4f();
    for (var at = first; at < last; at += quads) {
        sum += (rx[at] - mean) * (rx[at] - mean);
    }
    means[c] = mean;
    slopes[c] = rgamma[c] * inverseSqrt(dot(sum, vec4f(1.0)) / count + params.epsilon);
}
//#end

//#if NORM
var<workgroup> sums: array<f32, {{ threads }}>;
var<workgroup> squares: array<f32, {{ threads }}>;

fn silu(v: vec4f) -> vec4f {
    return v / (1.0 + exp(-v));
}
//#end

// A workgroup takes `tiles` tiles, each by `sharing` threads, which read neighbouring weights. With NORM or NORM_INPUT its
// tiles are one whole image.
@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) thread: u32,
//#if SUBGROUP
    @builtin(subgroup_invocation_id) invocation: u32,
//#end
) {
//#if SUBGROUP
    lane = invocation;
//#end
    let group = workgroup.x + workgroup.y * workgroups.x;
    if group >= params.groups {
        return;
    }
    let pitch = (params.c_out + 3) / 4;
    let sharing = params.sharing;
    let quad_groups = pitch / (sharing * {{ wide }});
    let quad = (group % quad_groups * sharing + thread % sharing) * {{ wide }};
    let across = (params.width + {{ columns }} - 1) / {{ columns }};
    let down = (params.height + {{ rows }} - 1) / {{ rows }};
    let place = group / quad_groups * params.tiles + thread / sharing;
    let column = place % across * {{ columns }};
    let row = place / across % down * {{ rows }};
    // Threads beyond the last image do that one again and write nothing: the others may need their help.
    let image = min(place / (across * down), params.batch - 1);
    let within = place < params.batch * across * down;

    var tile: Tile;
//#if TAPS
    // Left of the image and above it the unsigned difference wraps, and is outside as well.
    let top = row * stride / upsample - pad;
    let left = column * stride / upsample - pad;
    let inside = Inside(
//#for i reach_rows
//#for j reach_columns
        top + {{ i }} < params.in_height && left + {{ j }} < params.in_width,
//#end
//#end
    );
    let corner = (image * params.in_height + top) * params.in_width + left;
    let tap_pitch = (params.c_x + params.c_skip) * pitch;
    let x_at = offsets(corner * params.c_x, params.in_width * params.c_x, params.c_x, inside);
    for (var channel = 0u; channel < params.c_x; channel++) {
        tile = add_taps(tile, x_window(x_at, channel, inside), channel * pitch + quad, tap_pitch);
    }
//#if SKIP
    let skip_at = offsets(corner * params.c_skip, params.in_width * params.c_skip, params.c_skip, inside);
    for (var channel = 0u; channel < params.c_skip; channel++) {
        tile = add_taps(tile, skip_window(skip_at, channel, inside), (params.c_x + channel) * pitch + quad, tap_pitch);
    }
//#end
//#end
    let origin = (image * params.height + row) * params.width + column;
//#if PROJECT
    // Pixels beyond the right and lower edge are read somewhere and never written.
    let pixels_in_all = params.batch * params.height * params.width;
    let rx_quads = params.c_rx / 4;
//#if NORM_INPUT
    for (var c = thread; c < rx_quads; c += {{ threads }}) {
        measure(c, image);
    }
    workgroupBarrier();
//#end
    for (var c = 0u; c < rx_quads; c++) {
//#if NORM_INPUT
        var pixels = rx_pixels(origin * rx_quads + c, params.width * rx_quads, rx_quads, pixels_in_all * rx_quads - 1);
//#for n pixels
        pixels[{{ n }}] = fma(pixels[{{ n }}] - means[c], slopes[c], rbeta[c]);
//#end
//#end
//#if !NORM_INPUT
        let pixels = rx_pixels(origin * rx_quads + c, params.width * rx_quads, rx_quads, pixels_in_all * rx_quads - 1);
//#end
        tile = add_pixels(tile, pixels, 4 * c * pitch + quad, pitch);
    }
//#if PROJECT_SKIP
    let rskip_quads = params.c_rskip / 4;
    for (var c = 0u; c < rskip_quads; c++) {
        let pixels = rskip_pixels(origin * rskip_quads + c, params.width * rskip_quads, rskip_quads, pixels_in_all * rskip_quads - 1);
        tile = add_pixels(tile, pixels, (params.c_rx + 4 * c) * pitch + quad, pitch);
    }
//#end
//#end

//#for q wide
    var offset{{ q }} = vec4f();
//#if TAPS
    offset{{ q }} += bias[quad + {{ q }}];
//#end
//#if PROJECT
    offset{{ q }} += rbias[quad + {{ q }}];
//#end
//#if SHIFT
    offset{{ q }} += shift[image * params.shift_stride + params.shift_first + quad + {{ q }}];
//#end
//#end
//#for r rows
//#for p columns
    let written{{ r }}_{{ p }} = within && row + {{ r }} < params.height && column + {{ p }} < params.width;
//#for q wide
    var v{{ q }}_{{ r }}_{{ p }} = tile[({{ q }} * {{ rows }} + {{ r }}) * {{ columns }} + {{ p }}] + offset{{ q }};
//#end
//#end
//#end

//#if NORM
    // A group is one quad of channels, the thread's only one. The mean goes first: a nearly constant image would
    // lose its digits to E[v²] - E[v]².
    let count = f32(4 * params.height * params.width);
    var sum = vec4f();
//#for r rows
//#for p columns
    sum += select(vec4f(), v0_{{ r }}_{{ p }}, written{{ r }}_{{ p }});
//#end
//#end
    sums[thread] = dot(sum, vec4f(1.0));
    workgroupBarrier();
    var mean = 0.0;
    for (var t = thread % sharing; t < {{ threads }}; t += sharing) {
        mean += sums[t] / count;
    }
    var square = vec4f();
//#for r rows
//#for p columns
    v0_{{ r }}_{{ p }} -= mean;
    square += select(vec4f(), v0_{{ r }}_{{ p }} * v0_{{ r }}_{{ p }}, written{{ r }}_{{ p }});
//#end
//#end
    squares[thread] = dot(square, vec4f(1.0));
    workgroupBarrier();
    var variance = 0.0;
    for (var t = thread % sharing; t < {{ threads }}; t += sharing) {
        variance += squares[t] / count;
    }
    let slope = gamma[quad] * inverseSqrt(variance + params.epsilon);
//#for r rows
//#for p columns
    v0_{{ r }}_{{ p }} = silu(fma(v0_{{ r }}_{{ p }}, slope, beta[quad]));
//#end
//#end
//#end

//#for r rows
//#for p columns
    if written{{ r }}_{{ p }} {
        let pixel = origin + {{ r }} * params.width + {{ p }};
//#for q wide
//#if RESIDUAL
        v{{ q }}_{{ r }}_{{ p }} += residual[pixel * pitch + quad + {{ q }}];
//#end
//#if SCALE
        v{{ q }}_{{ r }}_{{ p }} *= params.scale;
//#end
//#if ODD
//#for c 4
        if 4 * (quad + {{ q }}) + {{ c }} < params.c_out {
            out[pixel * params.c_out + 4 * (quad + {{ q }}) + {{ c }}] = v{{ q }}_{{ r }}_{{ p }}[{{ c }}];
        }
//#end
//#end
//#if !ODD
        out[pixel * pitch + quad + {{ q }}] = v{{ q }}_{{ r }}_{{ p }};
//#end
//#end
    }
//#end
//#end
}
