// `y = sum of a_k·x_k` over up to six tensors of one shape `[rows, len]`: a sampler's update, the stages of an
// ODE step, or a network's scaling, in one pass over memory. src/ops/combine.rs launches it.

struct Params {
    rows: u32,
    len: u32,
    pad0: u32,
    pad1: u32,
    // One factor per tensor for all rows.
    a: array<vec4<f32>, 2>,
}

@group(0) @binding({{ x0 }}) var<storage, read_write> x0: array<f32>;
//#if X1
@group(0) @binding({{ x1 }}) var<storage, read_write> x1: array<f32>;
//#end
//#if X2
@group(0) @binding({{ x2 }}) var<storage, read_write> x2: array<f32>;
//#end
//#if X3
@group(0) @binding({{ x3 }}) var<storage, read_write> x3: array<f32>;
//#end
//#if X4
@group(0) @binding({{ x4 }}) var<storage, read_write> x4: array<f32>;
//#end
//#if X5
@group(0) @binding({{ x5 }}) var<storage, read_write> x5: array<f32>;
//#end
//#if ROWS
// One factor per tensor and row, `[tensors, rows]`.
@group(0) @binding({{ factors }}) var<storage, read_write> factors: array<f32>;
//#end
@group(0) @binding({{ y }}) var<storage, read_write> y: array<f32>;
@group(0) @binding({{ params }}) var<uniform> params: Params;

fn factor(k: u32, row: u32) -> f32 {
//#if ROWS
    return factors[k * params.rows + row];
//#end
//#if !ROWS
    return params.a[k / 4u][k % 4u];
//#end
}

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = id.x + id.y * groups.x * {{ threads }}u;
    if i >= params.rows * params.len {
        return;
    }
    let row = i / params.len;
    var sum = factor(0u, row) * x0[i];
//#if X1
    sum += factor(1u, row) * x1[i];
//#end
//#if X2
    sum += factor(2u, row) * x2[i];
//#end
//#if X3
    sum += factor(3u, row) * x3[i];
//#end
//#if X4
    sum += factor(4u, row) * x4[i];
//#end
//#if X5
    sum += factor(5u, row) * x5[i];
//#end
    y[i] = sum;
}
