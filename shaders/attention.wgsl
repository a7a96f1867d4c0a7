// Single-head attention over all pixels, softmax(q k' / sqrt c) v, by blocks of keys with a running
// maximum (Dao et al. 2022, FlashAttention): the n x n weights are never stored.
//
// A workgroup has teams of threads, each team takes four queries. Per block of keys each thread
// first scores its team's queries against its own share of the keys, then, with the weights
// exchanged through workgroup memory, adds up the values in its own share of the channels. A vec4f
// of scores, maxima or weights always holds the team's four queries.
//
// With PROJECT what follows attention in a network is done as well: out = scale (x + b + attended W). With HALF its weights
// are stored in half precision.

//#if HALF
enable f16;
alias Weights = vec4<f16>;
//#end
//#if !HALF
alias Weights = vec4f;
//#end

struct Params {
    n: u32,  // pixels of one image
    c: u32,
    blocks: u32, // blocks of queries per image, ceil(n / (4 teams))
    groups: u32, // workgroups, one per image and block of queries
    scale: f32,  // 1 / sqrt c
    skip_scale: f32,
}

@group(0) @binding({{ qkv }}) var<storage, read_write> qkv: array<vec4f>; // [b, n, 3 c]
//#if PROJECT
@group(0) @binding({{ x }}) var<storage, read_write> x: array<vec4f>;            // [b, n, c]
@group(0) @binding({{ projection }}) var<storage, read_write> projection: array<Weights>; // [c, c]
@group(0) @binding({{ bias }}) var<storage, read_write> bias: array<vec4f>;
//#end
@group(0) @binding({{ out }}) var<storage, read_write> out: array<vec4f>; // [b, n, c]
@group(0) @binding({{ params }}) var<uniform> params: Params;

const lowest = -1e30; // the score of a key beyond the last; finite, for the difference of two

const lanes = {{ lanes }}u;              // threads of a team
const team_keys = lanes * {{ keys }}; // keys of a block
var<workgroup> maxima: array<vec4f, {{ threads }}>;              // [team][lane]
var<workgroup> weights: array<vec4f, {{ threads }} * {{ keys }}>; // [team][key]
//#if PROJECT
var<workgroup> attended: array<vec4f, {{ threads }} / lanes * 4 * {{ quads }}>; // [team][query]
//#end

@compute @workgroup_size({{ threads }})
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) row: vec3u,
    @builtin(local_invocation_index) thread: u32,
) {
    let group = workgroup.x + workgroup.y * row.x;
    if group >= params.groups {
        return;
    }
    let quads = params.c / 4;
    let image = group / params.blocks * params.n;
    let team = thread / lanes;
    let lane = thread % lanes;
    let query = group % params.blocks * (4 * {{ threads }} / lanes) + 4 * team;
    // Queries and keys beyond the last are read as the last, and then not written or not counted.
//#for i 4
    let q{{ i }}_at = (image + min(query + {{ i }}, params.n - 1)) * 3 * quads;
//#end

    var maximum = vec4f(lowest);
    var sum = vec4f();
//#for j channel_quads
    let c{{ j }} = min(lane + {{ j }} * lanes, quads - 1);
//#for i 4
    var a{{ j }}_{{ i }} = vec4f();
//#end
//#end

    for (var block = 0u; block < params.n; block += team_keys) {
        let key = block + {{ keys }} * lane;
//#for i keys
        let k{{ i }}_at = (image + min(key + {{ i }}, params.n - 1)) * 3 * quads + quads;
        var s{{ i }} = vec4f();
//#end
        for (var c = 0u; c < quads; c++) {
            let q = mat4x4f(qkv[q0_at + c], qkv[q1_at + c], qkv[q2_at + c], qkv[q3_at + c]);
//#for i keys
            s{{ i }} += qkv[k{{ i }}_at + c] * q;
//#end
        }
//#for i keys
        s{{ i }} = select(vec4f(lowest), s{{ i }} * params.scale, key + {{ i }} < params.n);
//#end

        var larger = maximum;
//#for i keys
        larger = max(larger, s{{ i }});
//#end
        maxima[thread] = larger;
        workgroupBarrier();
        for (var t = 0u; t < lanes; t++) {
            larger = max(larger, maxima[team * lanes + t]);
        }
//#for i keys
        weights[thread * {{ keys }} + {{ i }}] = exp(s{{ i }} - larger);
//#end
        workgroupBarrier();

        let fade = exp(maximum - larger);
        maximum = larger;
        sum *= fade;
//#for j channel_quads
//#for i 4
        a{{ j }}_{{ i }} *= fade[{{ i }}];
//#end
//#end
        // Four keys per step; those beyond the last have weight 0 and are read as the last.
        for (var k = 0u; k < team_keys; k += 4) {
//#for i 4
            let w{{ i }} = weights[team * team_keys + k + {{ i }}];
            let v{{ i }}_at = (image + min(block + k + {{ i }}, params.n - 1)) * 3 * quads + 2 * quads;
//#end
            sum += w0 + w1 + w2 + w3;
//#for j channel_quads
            let v{{ j }} = mat4x4f(qkv[v0_at + c{{ j }}], qkv[v1_at + c{{ j }}], qkv[v2_at + c{{ j }}], qkv[v3_at + c{{ j }}]);
//#for i 4
            a{{ j }}_{{ i }} += v{{ j }} * vec4f(w0[{{ i }}], w1[{{ i }}], w2[{{ i }}], w3[{{ i }}]);
//#end
//#end
        }
    }

//#if PROJECT
//#for j channel_quads
    if lane + {{ j }} * lanes < quads {
//#for i 4
        attended[(4 * team + {{ i }}) * quads + c{{ j }}] = a{{ j }}_{{ i }} / sum[{{ i }}];
//#end
    }
//#end
    workgroupBarrier();
//#for j channel_quads
//#for i 4
    var y{{ j }}_{{ i }} = bias[c{{ j }}];
//#end
//#end
    for (var c = 0u; c < quads; c++) {
//#for i 4
        let v{{ i }} = attended[(4 * team + {{ i }}) * quads + c];
//#end
//#for j channel_quads
        let w{{ j }} = mat4x4f(
//#for i 4
            vec4f(projection[(4 * c + {{ i }}) * quads + c{{ j }}]),
//#end
        );
//#for i 4
        y{{ j }}_{{ i }} += w{{ j }} * v{{ i }};
//#end
//#end
    }
//#end

//#for j channel_quads
//#for i 4
    if query + {{ i }} < params.n && lane + {{ j }} * lanes < quads {
        let at = (image + query + {{ i }}) * quads + c{{ j }};
//#if PROJECT
        out[at] = params.skip_scale * (x[at] + y{{ j }}_{{ i }});
//#end
//#if !PROJECT
        out[at] = a{{ j }}_{{ i }} / sum[{{ i }}];
//#end
    }
//#end
//#end
}
