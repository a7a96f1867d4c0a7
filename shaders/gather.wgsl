// Copies up to seven tensors into one row, each to its place. src/ops/gather.rs launches it.

struct Params {
    places: array<vec4u, 2>,
    lens: array<vec4u, 2>,
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
//#if X6
@group(0) @binding({{ x6 }}) var<storage, read_write> x6: array<f32>;
//#end
@group(0) @binding({{ row }}) var<storage, read_write> row: array<f32>;
@group(0) @binding({{ params }}) var<uniform> params: Params;

fn value(k: u32, i: u32) -> f32 {
    switch k {
//#if X1
        case 1: { return x1[i]; }
//#end
//#if X2
        case 2: { return x2[i]; }
//#end
//#if X3
        case 3: { return x3[i]; }
//#end
//#if X4
        case 4: { return x4[i]; }
//#end
//#if X5
        case 5: { return x5[i]; }
//#end
//#if X6
        case 6: { return x6[i]; }
//#end
        default: { return x0[i]; }
    }
}

// A row of workgroups for each tensor.
@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let k = workgroup.y;
    let place = params.places[k / 4u][k % 4u];
    for (var i = workgroup.x * {{ threads }}u + thread; i < params.lens[k / 4u][k % 4u]; i += workgroups.x * {{ threads }}u) {
        row[place + i] = value(k, i);
    }
}
