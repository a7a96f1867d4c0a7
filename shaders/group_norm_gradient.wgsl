// The gradients of y = silu(h), h = gamma n + beta, n = (x + shift - mean) / sqrt(variance + epsilon), where mean
// and variance are those of a group of channels of one image; without SILU, y = h:
//
//   dh     = dy silu'(h)
//   dbeta  = sum of dh over pixels, dgamma = sum of dh n
//   dx     = (gamma dh - mean(gamma dh) - n mean(gamma dh n)) / sqrt(variance + epsilon)
//   dshift = sum of dx
//
// One workgroup takes one group of one image; thread t the pixels t, t + threads, ... Nothing is kept between the
// four passes over them: a group is small enough for the cache, and may be too large for registers.

struct Params {
    pixels: u32, // of one image
    channels: u32, // counted in values: quads, or single channels with SCALAR
    groups: u32,
    shift_stride: u32, // values from one image's shift to the next one's; 0 where all share one
    epsilon: f32,
}

//#if SCALAR
alias Value = f32;
fn add_up(value: Value) -> f32 { return value; }
//#end
//#if !SCALAR
alias Value = vec4f;
fn add_up(value: Value) -> f32 { return dot(value, vec4f(1.0)); }
//#end

@group(0) @binding({{ x }}) var<storage, read_write> x: array<Value>;
@group(0) @binding({{ shift }}) var<storage, read_write> shift: array<Value>;
@group(0) @binding({{ gamma }}) var<storage, read_write> gamma: array<Value>;
@group(0) @binding({{ beta }}) var<storage, read_write> beta: array<Value>;
@group(0) @binding({{ dy }}) var<storage, read_write> dy: array<Value>;
@group(0) @binding({{ dx }}) var<storage, read_write> dx: array<Value>;
// Of every image its dgamma, dbeta and dshift.
@group(0) @binding({{ sums }}) var<storage, read_write> sums: array<Value>;
@group(0) @binding({{ params }}) var<uniform> params: Params;

const threads = {{ threads }}u;
var<workgroup> of_x: array<f32, threads>;
var<workgroup> of_squares: array<f32, threads>;
//#for c width
var<workgroup> of_dgamma{{ c }}: array<Value, threads>;
var<workgroup> of_dbeta{{ c }}: array<Value, threads>;
var<workgroup> of_n{{ c }}: array<Value, threads>;
//#end

fn slope(h: Value) -> Value {
//#if SILU
    let s = 1.0 / (1.0 + exp(-h));
    return s + h * s * (1.0 - s);
//#end
//#if !SILU
    return Value() + 1.0;
//#end
}

@compute @workgroup_size({{ threads }})
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) thread: u32) {
    let image = workgroup.x / params.groups;
    let channel = workgroup.x % params.groups * {{ width }};
    let first = image * params.pixels * params.channels + channel;
    let last = first + params.pixels * params.channels;
    let step = threads * params.channels;
    let mine = first + thread * params.channels;
    let count = f32({{ lanes }} * {{ width }} * params.pixels);
//#for c width
    let shift{{ c }} = shift[image * params.shift_stride + channel + {{ c }}];
    let gamma{{ c }} = gamma[channel + {{ c }}];
    let beta{{ c }} = beta[channel + {{ c }}];
//#end

    var sum = Value();
    for (var at = mine; at < last; at += step) {
//#for c width
        sum += x[at + {{ c }}] + shift{{ c }};
//#end
    }
    of_x[thread] = add_up(sum);
    workgroupBarrier();
    var mean = 0.0;
    for (var t = 0u; t < threads; t++) {
        mean += of_x[t] / count;
    }

    sum = Value();
    for (var at = mine; at < last; at += step) {
//#for c width
        let d{{ c }} = x[at + {{ c }}] + shift{{ c }} - mean;
        sum += d{{ c }} * d{{ c }};
//#end
    }
    of_squares[thread] = add_up(sum);
    workgroupBarrier();
    var variance = 0.0;
    for (var t = 0u; t < threads; t++) {
        variance += of_squares[t] / count;
    }
    let inverse_std = inverseSqrt(variance + params.epsilon);

//#for c width
    var dgamma{{ c }} = Value();
    var dbeta{{ c }} = Value();
    var n_sum{{ c }} = Value();
//#end
    for (var at = mine; at < last; at += step) {
//#for c width
        let n{{ c }} = (x[at + {{ c }}] + shift{{ c }} - mean) * inverse_std;
        let dh{{ c }} = dy[at + {{ c }}] * slope(fma(n{{ c }}, gamma{{ c }}, beta{{ c }}));
        dgamma{{ c }} += dh{{ c }} * n{{ c }};
        dbeta{{ c }} += dh{{ c }};
        n_sum{{ c }} += n{{ c }};
//#end
    }
//#for c width
    of_dgamma{{ c }}[thread] = dgamma{{ c }};
    of_dbeta{{ c }}[thread] = dbeta{{ c }};
    of_n{{ c }}[thread] = n_sum{{ c }};
//#end
    workgroupBarrier();
    var mean_dh = 0.0;
    var mean_dh_n = 0.0;
//#for c width
    dgamma{{ c }} = Value();
    dbeta{{ c }} = Value();
    n_sum{{ c }} = Value();
    for (var t = 0u; t < threads; t++) {
        dgamma{{ c }} += of_dgamma{{ c }}[t];
        dbeta{{ c }} += of_dbeta{{ c }}[t];
        n_sum{{ c }} += of_n{{ c }}[t];
    }
    mean_dh += add_up(gamma{{ c }} * dbeta{{ c }}) / count;
    mean_dh_n += add_up(gamma{{ c }} * dgamma{{ c }}) / count;
//#end

    for (var at = mine; at < last; at += step) {
//#for c width
        let n{{ c }} = (x[at + {{ c }}] + shift{{ c }} - mean) * inverse_std;
        let dh{{ c }} = dy[at + {{ c }}] * slope(fma(n{{ c }}, gamma{{ c }}, beta{{ c }}));
        dx[at + {{ c }}] = (gamma{{ c }} * dh{{ c }} - mean_dh - n{{ c }} * mean_dh_n) * inverse_std;
//#end
    }
    if thread == 0 {
        let at = image * 3 * params.channels + channel;
        let pixels = f32(params.pixels);
//#for c width
        sums[at + {{ c }}] = dgamma{{ c }};
        sums[at + params.channels + {{ c }}] = dbeta{{ c }};
        sums[at + 2 * params.channels + {{ c }}] =
            (gamma{{ c }} * dbeta{{ c }} - pixels * mean_dh - n_sum{{ c }} * mean_dh_n) * inverse_std;
//#end
    }
}
