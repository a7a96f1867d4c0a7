// The noise level's way into the network: shifts = linear(silu(linear(silu(linear(features))))), the last layer for all
// blocks of the network at once, their weights side by side.
//
// Workgroups in x share the columns of a row; each computes the hidden layers for itself.

struct Params {
    // Not the bound of a small loop, if it comes first: lavapipe (Mesa 22) would compile the kernel for its value each time.
    outputs: u32, // in quads: the blocks' channels / 4
    inputs: u32,  // features / 4
}

@group(0) @binding({{ features }}) var<storage, read_write> features: array<vec4f>; // [rows, features]
@group(0) @binding({{ weight1 }}) var<storage, read_write> weight1: array<vec4f>;   // [features, hidden]
@group(0) @binding({{ bias1 }}) var<storage, read_write> bias1: array<vec4f>;
@group(0) @binding({{ weight2 }}) var<storage, read_write> weight2: array<vec4f>;   // [hidden, hidden]
@group(0) @binding({{ bias2 }}) var<storage, read_write> bias2: array<vec4f>;
@group(0) @binding({{ weight }}) var<storage, read_write> weight: array<vec4f>;     // [hidden, channels]
@group(0) @binding({{ bias }}) var<storage, read_write> bias: array<vec4f>;
@group(0) @binding({{ shifts }}) var<storage, read_write> shifts: array<vec4f>;     // [rows, channels]
@group(0) @binding({{ params }}) var<uniform> params: Params;

const hidden = {{ hidden }}u; // in quads
var<workgroup> first: array<vec4f, hidden>;
var<workgroup> second: array<vec4f, hidden>;

fn silu(v: vec4f) -> vec4f {
    return v / (1.0 + exp(-v));
}

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = workgroup.y;
    for (var quad = thread; quad < hidden; quad += {{ threads }}u) {
        var h = bias1[quad];
        for (var i = 0u; i < params.inputs; i++) {
            let w = 4 * i * hidden + quad;
            let rows = mat4x4f(weight1[w], weight1[w + hidden], weight1[w + 2 * hidden], weight1[w + 3 * hidden]);
            h += rows * features[row * params.inputs + i];
        }
        first[quad] = silu(h);
    }
    workgroupBarrier();
    for (var quad = thread; quad < hidden; quad += {{ threads }}u) {
        var h = bias2[quad];
        for (var i = 0u; i < hidden; i++) {
            let w = 4 * i * hidden + quad;
            let rows = mat4x4f(weight2[w], weight2[w + hidden], weight2[w + 2 * hidden], weight2[w + 3 * hidden]);
            h += rows * first[i];
        }
        second[quad] = silu(h);
    }
    workgroupBarrier();
    let n = params.outputs;
    let quad = workgroup.x * {{ threads }}u + thread;
    if quad < n {
        var h = bias[quad];
        for (var i = 0u; i < hidden; i++) {
            let w = 4 * i * n + quad;
            h += mat4x4f(weight[w], weight[w + n], weight[w + 2 * n], weight[w + 3 * n]) * second[i];
        }
        shifts[row * n + quad] = h;
    }
}
