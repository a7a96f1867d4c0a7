// Sums of the squares of x, one for each workgroup.

struct Params {
    len: u32,
}

@group(0) @binding({{ x }}) var<storage, read_write> x: array<f32>;
@group(0) @binding({{ sums }}) var<storage, read_write> sums: array<f32>;
@group(0) @binding({{ params }}) var<uniform> params: Params;

const threads = {{ threads }}u;
var<workgroup> squares: array<f32, threads>;

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    var sum = 0.0;
    for (var i = workgroup.x * threads + thread; i < params.len; i += workgroups.x * threads) {
        sum += x[i] * x[i];
    }
    squares[thread] = sum;
    workgroupBarrier();
    if thread == 0 {
        sum = 0.0;
        for (var t = 0u; t < threads; t++) {
            sum += squares[t];
        }
        sums[workgroup.x] = sum;
    }
}
