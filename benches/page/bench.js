// What `make bench` measures in a browser, as functions on `window.bench`: the shipped build through its public API,
// and the peaks of the adapter and of one wasm thread. Times are seconds.

import { open } from './scorefield.js';

let engine = null;

/** Opens the device; throws if another one was opened instead. Returns its name. `threads`: see scorefield.js. */
async function start(kind, threads) {
  engine?.dispose();
  engine = await open({ device: kind, threads });
  expect(kind);
  return engine.device.name;
}

/** Heun's method in `nfe` evaluations, an odd number. */
async function sample(model, count, nfe) {
  const options = { n_steps: (nfe + 1) / 2 };
  const result = await engine.sample({ model, sampler: 'heun', options, seed: 7, count });
  if (result.nfe !== nfe) throw new Error(`${result.nfe} evaluations instead of ${nfe}`);
  return result;
}

async function seconds(kind, model, count, nfe) {
  const result = await sample(model, count, nfe);
  expect(kind);
  return result.seconds;
}

/** So many steps of one evaluation each. */
async function steps(model, n_steps) {
  return (await engine.sample({ model, sampler: 'euler', options: { n_steps }, seed: 7, count: 1 })).seconds;
}

/** The images of `native::first_estimate`. */
async function firstEstimate(model) {
  return Array.from((await sample(model, 2, 1)).images);
}

/** A GPU that fails is replaced by the CPU, which is not what is to be measured. */
function expect(kind) {
  if (engine.device.kind !== kind) throw new Error(`computed by ${engine.device.kind}: ${engine.device.reason}`);
}

/** Operations per second of the adapter; `flops` are those of one dispatch. */
async function gpuPeak(code, groups, flops, least) {
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
  const device = await adapter.requestDevice();
  const module = device.createShaderModule({ code });
  const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module } });
  const buffer = device.createBuffer({ size: groups * 64 * 16, usage: GPUBufferUsage.STORAGE });
  const entries = [{ binding: 0, resource: { buffer } }];
  const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
  const found = await best(least, flops, async (rounds) => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    for (let round = 0; round < rounds; round++) pass.dispatchWorkgroups(groups);
    pass.end();
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
  });
  device.destroy();
  return found;
}

/** The same of one wasm thread. */
async function wasmPeak(least) {
  const { instance } = await WebAssembly.instantiateStreaming(fetch('fma.wasm'));
  const round = 1 << 16;
  return best(least, 64 * round, (rounds) => instance.exports.run(rounds * round, 0.5));
}

async function best(least, flops, work) {
  const time = async (rounds) => {
    const begun = performance.now();
    await work(rounds);
    return (performance.now() - begun) / 1000;
  };
  let rounds = 1;
  while ((await time(rounds)) < least) rounds *= 2;
  const fastest = Math.min(await time(rounds), await time(rounds), await time(rounds));
  return (flops * rounds) / fastest;
}

window.bench = { start, seconds, steps, firstEstimate, gpuPeak, wasmPeak };
