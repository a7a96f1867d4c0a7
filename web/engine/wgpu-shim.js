// What the browser's WebGPU does not do by itself for the two libraries that the program computes with: cubecl, which
// makes the GPU's programs, and wgpu, which speaks to the browser. Three prototypes are changed, once and before either
// library sees them; each change says what it is for.

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
