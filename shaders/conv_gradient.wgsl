// The gradients of a convolution's weight and bias, NHWC:
//
//   dw[ky, kx, i, o] = sum over pixels of x[y * stride + ky - pad, x * stride + kx - pad, i] * dy[y, x, o]
//   db[o]            = sum over pixels of dy[y, x, o]
//
// A thread has `lanes` channels of x and four of dy for all taps in registers, and walks along the rows of
// dy that are its slab's: each step loads one quad of dy and a new column of the window. Every slab
// leaves its sums in a matrix of its own, dw above db, which are then added up.

struct Params {
    rows: u32, // of dy, all images together
    height: u32, // of dy
    width: u32,
    in_height: u32,
    in_width: u32,
    c_in: u32, // counted in values of `lanes` channels
    c_out: u32, // in quads
    slabs: u32,
    threads: u32, // with work to do
}

const k = {{ k }}u;
const stride = {{ stride }}u;
const pad = {{ pad }}u;

//#if SCALAR
alias Value = f32;
//#end
//#if !SCALAR
alias Value = vec4f;
//#end

@group(0) @binding({{ x }}) var<storage, read_write> x: array<Value>;
@group(0) @binding({{ dy }}) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding({{ sums }}) var<storage, read_write> sums: array<vec4f>;
@group(0) @binding({{ params }}) var<uniform> params: Params;

// Pixels outside the image are read at 0, so that no load leaves its buffer, and then dropped. Left of the
// image and above it the unsigned difference wraps, and is outside as well.
fn load(row: u32, inside: bool, column: u32, channel: u32) -> Value {
    let is_inside = inside && column < params.in_width;
    return select(Value(), x[select(0u, (row + column) * params.c_in + channel, is_inside)], is_inside);
}

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let thread = (workgroup.x + workgroup.y * workgroups.x) * {{ threads }} + local;
    if thread >= params.threads {
        return;
    }
    let quad = thread % params.c_out;
    let channel = thread / params.c_out % params.c_in;
    let slab = thread / (params.c_out * params.c_in);

    var db = vec4f();
    var dw: array<vec4f, {{ area }} * {{ lanes }}>;
    var v: array<Value, {{ area }}>; // the window
    for (var row = slab; row < params.rows; row += params.slabs) {
//#for i k
        let y{{ i }} = row % params.height * stride + {{ i }} - pad;
        let inside{{ i }} = y{{ i }} < params.in_height;
        let line{{ i }} = (row / params.height * params.in_height + y{{ i }}) * params.in_width;
//#end
        for (var column = 0u; column < params.width; column++) {
            let is_first = column == 0;
            let left = column * stride - pad;
//#for i k
//#for j k
            if !is_first && {{ j }} + stride < k {
                v[{{ i }} * k + {{ j }}] = v[{{ i }} * k + min({{ j }} + stride, k - 1)];
            } else {
                v[{{ i }} * k + {{ j }}] = load(line{{ i }}, inside{{ i }}, left + {{ j }}, channel);
            }
//#end
//#end
            let d = dy[(row * params.width + column) * params.c_out + quad];
            db += d;
//#for t area
//#if SCALAR
            dw[{{ t }}] = fma(vec4f(v[{{ t }}]), d, dw[{{ t }}]);
//#end
//#if !SCALAR
//#for l lanes
            dw[{{ t }} * {{ lanes }} + {{ l }}] = fma(vec4f(v[{{ t }}][{{ l }}]), d, dw[{{ t }} * {{ lanes }} + {{ l }}]);
//#end
//#end
//#end
        }
    }

    let inputs = params.c_in * {{ lanes }}; // rows of the matrix for each tap
    let matrix = slab * ({{ area }} * inputs + 1);
//#for t area
//#for l lanes
    sums[(matrix + {{ t }} * inputs + channel * {{ lanes }} + {{ l }}) * params.c_out + quad] = dw[{{ t }} * {{ lanes }} + {{ l }}];
//#end
//#end
    if channel == 0 {
        sums[(matrix + {{ area }} * inputs) * params.c_out + quad] = db;
    }
}
