// One Langevin step whose size follows the norm of the score (Song et al. 2021, algorithms 4 and 5), one
// workgroup for each sample:
//
//   root = factor / sqrt((|score|² + prior_square) / (len + prior_len))
//   out  = x + 2 root² score + 2 root z

struct Params {
    len: u32, // of a sample
    factor: f32,
    prior_len: f32,
    prior_square: f32,
}

@group(0) @binding({{ x }}) var<storage, read_write> x: array<f32>;
@group(0) @binding({{ score }}) var<storage, read_write> score: array<f32>;
@group(0) @binding({{ z }}) var<storage, read_write> z: array<f32>;
@group(0) @binding({{ out }}) var<storage, read_write> out: array<f32>;
@group(0) @binding({{ params }}) var<uniform> params: Params;

const threads = {{ threads }}u;
var<workgroup> squares: array<f32, threads>;

@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) thread: u32) {
    let first = workgroup.x * params.len;
    let end = first + params.len;
    var square = 0.0;
    for (var i = first + thread; i < end; i += threads) {
        square += score[i] * score[i];
    }
    squares[thread] = square;
    workgroupBarrier();
    square = params.prior_square;
    for (var t = 0u; t < threads; t++) {
        square += squares[t];
    }
    let root = params.factor * inverseSqrt(square / (f32(params.len) + params.prior_len));
    for (var i = first + thread; i < end; i += threads) {
        out[i] = x[i] + 2.0 * root * fma(root, score[i], z[i]);
    }
}
