// The size of each sample's error as an adaptive solver counts it (Hairer et al. 1993, II.4.11):
// the root mean square of error / (atol + rtol max(|x|, |x_next|)). One workgroup for each sample.

struct Params {
    len: u32, // of a sample
    rtol: f32,
    atol: f32,
}

@group(0) @binding({{ x }}) var<storage, read_write> x: array<f32>;
@group(0) @binding({{ x_next }}) var<storage, read_write> x_next: array<f32>;
@group(0) @binding({{ error }}) var<storage, read_write> error: array<f32>;
@group(0) @binding({{ norms }}) var<storage, read_write> norms: array<f32>;
@group(0) @binding({{ params }}) var<uniform> params: Params;

const threads = {{ threads }}u;
var<workgroup> squares: array<f32, threads>;

@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) thread: u32) {
    let first = workgroup.x * params.len;
    var square = 0.0;
    for (var i = first + thread; i < first + params.len; i += threads) {
        let share = error[i] / fma(params.rtol, max(abs(x[i]), abs(x_next[i])), params.atol);
        square += share * share;
    }
    squares[thread] = square;
    workgroupBarrier();
    if thread == 0 {
        square = 0.0;
        for (var t = 0u; t < threads; t++) {
            square += squares[t];
        }
        norms[workgroup.x] = sqrt(square / f32(params.len));
    }
}
