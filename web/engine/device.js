// Which device to use, and why.

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

/** Browsers fill different fields, often none; `description` is the readable one where there is one. */
function describe({ description, vendor, architecture, device }) {
  return description || [vendor, architecture, device].filter(Boolean).join(' ') || 'unnamed adapter';
}

function isSoftware({ isFallbackAdapter, description, vendor, architecture, device }) {
  const words = [description, vendor, architecture, device].join(' ');
  return isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|basic render/i.test(words);
}
