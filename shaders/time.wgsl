// The noise level's way into the network, in two dispatches. In one, every workgroup has to compute the hidden layers
// for itself and wait for them: 4.2 ms instead of 0.34 on llvmpipe.
//
// EMBED: embedding = silu(linear(silu(linear(features)))), one workgroup per row, a thread per four
// hidden units. Without EMBED: shifts = linear(embedding) for all blocks of the network at once,
// their weights side by side; a thread per row and four columns.

struct Params {
    rows: u32,
    inputs: u32,  // in quads: features / 4, or hidden units / 4 without EMBED
    outputs: u32, // in quads: hidden units / 4, or the blocks' channels / 4
}

//#if EMBED
@group(0) @binding({{ features }}) var<storage, read_write> features: array<vec4f>; // [rows, features]
@group(0) @binding({{ weight1 }}) var<storage, read_write> weight1: array<vec4f>;   // [features, hidden]
@group(0) @binding({{ bias1 }}) var<storage, read_write> bias1: array<vec4f>;
@group(0) @binding({{ weight2 }}) var<storage, read_write> weight2: array<vec4f>;   // [hidden, hidden]
@group(0) @binding({{ bias2 }}) var<storage, read_write> bias2: array<vec4f>;
//#end
//#if !EMBED
@group(0) @binding({{ weight }}) var<storage, read_write> weight: array<vec4f>; // [hidden, channels]
@group(0) @binding({{ bias }}) var<storage, read_write> bias: array<vec4f>;
@group(0) @binding({{ shifts }}) var<storage, read_write> shifts: array<vec4f>; // [rows, channels]
//#end
@group(0) @binding({{ embedding }}) var<storage, read_write> embedding: array<vec4f>; // [rows, hidden]
@group(0) @binding({{ params }}) var<uniform> params: Params;

//#if EMBED
var<workgroup> hidden: array<vec4f, {{ threads }}>;

fn silu(v: vec4f) -> vec4f {
    return v / (1.0 + exp(-v));
}

@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) quad: u32) {
    let n = params.outputs;
    var h = bias1[quad];
    for (var i = 0u; i < params.inputs; i++) {
        let w = 4 * i * n + quad;
        let rows = mat4x4f(weight1[w], weight1[w + n], weight1[w + 2 * n], weight1[w + 3 * n]);
        h += rows * features[workgroup.x * params.inputs + i];
    }
    hidden[quad] = silu(h);
    workgroupBarrier();
    h = bias2[quad];
    for (var i = 0u; i < n; i++) {
        let w = 4 * i * n + quad;
        let rows = mat4x4f(weight2[w], weight2[w + n], weight2[w + 2 * n], weight2[w + 3 * n]);
        h += rows * hidden[i];
    }
    embedding[workgroup.x * n + quad] = silu(h);
}
//#end
//#if !EMBED
@compute @workgroup_size({{ threads }})
fn main(@builtin(global_invocation_id) id: vec3u) {
    let n = params.outputs;
    let quad = id.x % n;
    let row = id.x / n;
    if row >= params.rows {
        return;
    }
    var h = bias[quad];
    for (var i = 0u; i < params.inputs; i++) {
        let w = 4 * i * n + quad;
        let rows = mat4x4f(weight[w], weight[w + n], weight[w + 2 * n], weight[w + 3 * n]);
        h += rows * embedding[row * params.inputs + i];
    }
    shifts[row * n + quad] = h;
}
//#end
