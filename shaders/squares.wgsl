// The sum of the squares of x, added to an earlier total: by one workgroup, so that one after another the tensors of a
// network give the squared norm of them all.

struct Params {
    len: u32,
}

@group(0) @binding({{ total }}) var<storage, read_write> total: array<f32>;
@group(0) @binding({{ x }}) var<storage, read_write> x: array<f32>;
@group(0) @binding({{ new_total }}) var<storage, read_write> new_total: array<f32>;
@group(0) @binding({{ params }}) var<uniform> params: Params;

const threads = {{ threads }}u;
var<workgroup> sums: array<f32, threads>;

@compute @workgroup_size({{ threads }})
fn main(@builtin(local_invocation_index) thread: u32) {
    var sum = 0.0;
    for (var i = thread; i < params.len; i += threads) {
        sum += x[i] * x[i];
    }
    sums[thread] = sum;
    workgroupBarrier();
    if thread == 0 {
        sum = total[0];
        for (var t = 0u; t < threads; t++) {
            sum += sums[t];
        }
        new_total[0] = sum;
    }
}
