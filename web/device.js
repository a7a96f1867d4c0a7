// Worker side: which device to use and why, and noticing that a GPU has died.

/**
 * Decides between 'gpu' and 'cpu'. WebGPU is probed here because wgpu panics, instead of failing, where there is
 * none. `because` is a reason that stands already (the GPU broke a moment ago).
 * `lanes` are those of a software adapter's subgroups, where its programs may use them.
 * @returns {Promise<{kind: 'gpu'|'cpu', name: string, reason: string, lanes: number}>}
 */
export async function chooseDevice(wanted, because) {
  const cpu = (reason) => ({ kind: 'cpu', name: 'WebAssembly', reason: because || reason, lanes: 0 });
  if (wanted === 'cpu') return cpu('You chose the CPU.');
  if (!navigator.gpu) {
    return cpu(
      isSecureContext
        ? 'This browser has no WebGPU, so the CPU does the work.'
        : 'WebGPU needs https, and this page came over plain http, so the CPU does the work.',
    );
  }
  let adapter = null;
  try {
    adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
  } catch (error) {
    return cpu(`WebGPU refused to start (${error.message}), so the CPU does the work.`);
  }
  if (!adapter) return cpu('WebGPU found no graphics adapter here, so the CPU does the work.');

  const name = describe(adapter.info);
  if (wanted === 'auto' && isSoftware(adapter.info)) {
    return cpu(`The only WebGPU adapter here (${name}) is itself software and slower than WebAssembly.`);
  }
  const reason = wanted === 'gpu' ? 'You chose the GPU.' : 'WebGPU is available.';
  return { kind: 'gpu', name, reason, lanes: isSoftware(adapter.info) ? subgroupLanes(adapter) : 0 };
}

/** How many threads make a subgroup, if every subgroup has as many. */
function subgroupLanes({ features, info: { subgroupMinSize, subgroupMaxSize } }) {
  return features.has('subgroups') && subgroupMinSize === subgroupMaxSize ? subgroupMaxSize : 0;
}

let trouble = ''; // the browser's words for what happened to the GPU

/**
 * What happened to the GPU, in the browser's words rather than in wgpu's `message` of many lines, which comes a
 * moment earlier.
 */
export async function gpuTrouble(message) {
  for (let tries = 0; !trouble && tries < 10; tries++) await new Promise((resolve) => setTimeout(resolve, 50));
  return trouble || message.split('\n')[0];
}

/**
 * Calls `onFailure(message)` when a GPU device opened in this worker is lost or a command on it is invalid, and
 * `onCompiled({compiled, programs})` whenever one more of the programs that it was asked for is ready.
 */
export function watchGpu(onFailure, onCompiled) {
  if (!self.GPUAdapter) return;
  // cubecl refuses a browser's device that cannot time its programs. Nothing here times any, so it hears that all can.
  const { has } = GPUSupportedFeatures.prototype;
  GPUSupportedFeatures.prototype.has = function (name) {
    return name === 'timestamp-query' || has.call(this, name);
  };
  // wgpu opens the device inside wasm and only logs its errors, after which results are silently wrong.
  const requestDevice = GPUAdapter.prototype.requestDevice;
  const fail = (message) => {
    trouble ||= message;
    onFailure(message);
  };
  GPUAdapter.prototype.requestDevice = async function (wanted) {
    // wgpu asks for all that an adapter has and it knows; it does not know of subgroups.
    const features = new Set(wanted?.requiredFeatures).add('subgroups');
    const requiredFeatures = [...features].filter((name) => has.call(this.features, name));
    const device = await requestDevice.call(this, { ...wanted, requiredFeatures }).catch((error) => {
      trouble ||= error.message; // the caller reports it
      throw error;
    });
    device.lost.then(({ message }) => fail(message || 'the GPU was lost'));
    device.addEventListener('uncapturederror', ({ error }) => fail(error.message.split('\n')[0]));
    self.scorefieldGpu = device; // a handle for developer tools and tests: scorefieldGpu.destroy() loses it
    return device;
  };
  // wgpu asks for programs without waiting for them. The GPU's queue answers when those asked for so far are ready.
  const createComputePipeline = GPUDevice.prototype.createComputePipeline;
  const count = { compiled: 0, programs: 0 };
  GPUDevice.prototype.createComputePipeline = function (...args) {
    const pipeline = createComputePipeline.apply(this, args);
    count.programs += 1;
    const ready = () => onCompiled({ ...count, compiled: (count.compiled += 1) });
    this.queue.onSubmittedWorkDone().then(ready, () => {}); // a lost device has told already
    return pipeline;
  };
}

/** Browsers fill different fields, often none; `description` is the readable one where there is one. */
function describe({ description, vendor, architecture, device }) {
  return description || [vendor, architecture, device].filter(Boolean).join(' ') || 'unnamed adapter';
}

function isSoftware({ isFallbackAdapter, description, vendor, architecture, device }) {
  const words = [description, vendor, architecture, device].join(' ');
  return isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|basic render/i.test(words);
}
