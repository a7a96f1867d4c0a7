// Evaluated in the page's worker before its first kernel: counts what goes to WebGPU, and repeats the convolutions
// of more than one tap if asked to, which changes nothing but the time.

globalThis.counts = { dispatches: 0, 'bind groups': 0, buffers: 0, programs: 0, submits: 0, bytes: 0 };
globalThis.repeats = 0;

{
  const after = (type, method, then) => {
    const original = type.prototype[method];
    type.prototype[method] = function (...args) {
      const result = original.apply(this, args);
      then({ self: this, args, result, again: () => original.apply(this, args) });
      return result;
    };
  };
  const convolutions = new WeakSet(); // shader modules and their pipelines
  const repeated = new WeakMap(); // by pass, whether its pipeline is one of them
  const dispatched = ({ self, again }) => {
    counts.dispatches += 1;
    for (let i = 0; i < (repeated.get(self) ? repeats : 0); i++) again();
  };
  after(GPUDevice, 'createShaderModule', ({ args: [{ code }], result }) => {
    if (code.includes('fn add_taps')) convolutions.add(result);
  });
  after(GPUDevice, 'createComputePipeline', ({ args: [{ compute }], result }) => {
    counts.programs += 1;
    if (convolutions.has(compute.module)) convolutions.add(result);
  });
  after(GPUComputePassEncoder, 'setPipeline', ({ self, args: [pipeline] }) => {
    repeated.set(self, convolutions.has(pipeline));
  });
  after(GPUComputePassEncoder, 'dispatchWorkgroups', dispatched);
  after(GPUComputePassEncoder, 'dispatchWorkgroupsIndirect', dispatched);
  after(GPUDevice, 'createBindGroup', () => (counts['bind groups'] += 1));
  after(GPUQueue, 'submit', () => (counts.submits += 1));
  // Bytes of buffers that were neither destroyed nor collected as garbage.
  const collected = new FinalizationRegistry((size) => (counts.bytes -= size));
  after(GPUDevice, 'createBuffer', ({ args: [{ size }], result }) => {
    counts.buffers += 1;
    counts.bytes += size;
    collected.register(result, size, result);
  });
  after(GPUBuffer, 'destroy', ({ self }) => {
    if (collected.unregister(self)) counts.bytes -= self.size;
  });
}
