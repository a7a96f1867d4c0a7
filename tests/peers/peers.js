// onnxruntime-web on the networks of `make bench`, as functions on `window.bench`. Times are seconds.

/** onnxruntime-web's builds for its two providers, each with its own wasm. */
const builds = {
  wasm: { script: './ort/wasm.js', wasm: 'ort/ort-wasm-simd-threaded.wasm' },
  webgpu: { script: './ort/webgpu.js', wasm: 'ort/ort-wasm-simd-threaded.asyncify.wasm' },
};
const sessions = new Map();

/** onnxruntime-web with a model opened. */
async function session(provider, model) {
  const key = `${provider} ${model}`;
  if (!sessions.has(key)) {
    const { script, wasm } = builds[provider];
    const ort = await import(script);
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmPaths = { wasm: new URL(wasm, location.href).href };
    ort.env.logLevel = 'error';
    const opened = await ort.InferenceSession.create(`onnx/${model}.onnx`, { executionProviders: [provider] });
    sessions.set(key, { ort, opened, features: await floats(`examples/${model}.features.f32`) });
  }
  return sessions.get(key);
}

async function forward(provider, model, x, shape) {
  const { ort, opened, features } = await session(provider, model);
  const tensors = {
    x: new ort.Tensor('float32', x, shape),
    features: new ort.Tensor('float32', features, [1, features.length]),
  };
  const { output } = await opened.run(tensors);
  return output.getData();
}

async function seconds(provider, model, shape, runs) {
  const x = new Float32Array(shape.reduce((a, b) => a * b)).map((_, i) => Math.sin(i));
  await session(provider, model);
  const begun = performance.now();
  for (let run = 0; run < runs; run++) await forward(provider, model, x, shape);
  return (performance.now() - begun) / 1000;
}

/** The output for the example that the native network was given. */
async function example(provider, model, shape) {
  const x = await floats(`examples/${model}.x.f32`);
  return Array.from(await forward(provider, model, x, [x.length / shape.reduce((a, b) => a * b), ...shape]));
}

async function floats(path) {
  return new Float32Array(await (await fetch(path)).arrayBuffer());
}

async function version() {
  return (await import(builds.wasm.script)).env.versions.web;
}

window.bench = { seconds, example, version };
