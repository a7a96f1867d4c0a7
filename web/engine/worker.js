// The module worker that owns the wasm module and the GPU. A request that has no handler here goes to the method of
// Rust's `Session` that has its name. channel.js tells what messages look like.

import { ScorefieldError } from './channel.js';
import { chooseDevice } from './device.js';
import { speeds, verifyOnce } from './trust.js';
import { fetchWeights, forgetWeights, keepWeights, ofBlob, ofBytes } from './weights.js';
import { gpuTrouble, watchGpu } from './wgpu-shim.js';

const base = new URL('../', import.meta.url);
// On its way from the worker's first moment, while the device is chosen. `no-cache` revalidates: the glue script
// and the wasm must be of the same build. A helper is given the program (crew.js).
const isHelper = import.meta.url.endsWith('?helper');
const program = isHelper ? null : fetch(new URL('wasm/page_bg.wasm', base), { cache: 'no-cache' });
program?.catch(() => {}); // compile reports it
let session = null;
let adapter = ''; // its name
let rivals = 0; // workers that the CPU would have, while the choice between it and the GPU is open
let trusted = null; // a promise, once the adapter is being tried
let download = null;

// Rust's panics and burn's shader errors arrive at console.error; the page has to see them too.
let panic = null; // what a panic said; the trap that follows says only "unreachable"
for (const level of ['error', 'warn']) {
  console[level] = (...text) => {
    panic = /panicked at .*\n(.*)/.exec(text[0])?.[1] ?? panic;
    postMessage({ type: 'console', level, text: text.map(String) });
  };
}
const broke = (code, message) => postMessage({ type: 'broke', code, message });
watchGpu(
  (message) => broke('device', message),
  (progress) => postMessage({ type: 'compile', ...progress }),
);
// After a panic the promise of the call that panicked is never settled; only these events tell.
self.addEventListener('error', (event) => {
  event.preventDefault();
  broke('crash', panic ?? event.message);
});
self.addEventListener('unhandledrejection', (event) => {
  event.preventDefault();
  broke('crash', panic ?? String(event.reason?.message ?? event.reason));
});

/** Requests that take more than handing them to the session. */
const handlers = {
  async open({ device, reason, module, threads }, tell) {
    const choice = await chooseDevice(device, reason);
    const { Session, compiled } = await loadWasm(module, tell);
    try {
      session = await Session.open(choice.kind, choice.lanes);
    } catch (error) {
      error.code ??= choice.kind === 'gpu' ? 'device' : 'crash';
      throw error;
    }
    const actual = session.device();
    trusted = actual.kind === 'cpu' ? Promise.resolve() : null;
    adapter = choice.name;
    rivals = device === 'auto' && actual.kind === 'gpu' ? threads : 0;
    return {
      device: { kind: actual.kind, name: choice.name, reason: choice.reason },
      samplers: session.samplers(),
      module: compiled,
    };
  },

  async load({ entry, count }, tell) {
    const card = await load(entry, count, tell);
    await preferTheFaster(entry, count);
    return card;
  },

  /** The visitor's `files`, `{path, blob}`, as a model: an entry of the list, and its file as `blob`. */
  import({ name, files }) {
    const blobs = new Map(files.map(({ path, blob }) => [path, blob]));
    const read = (path, from, to) => {
      try {
        return ofBlob(blobs.get(path))(from, to);
      } catch (error) {
        throw error.message; // Rust takes words
      }
    };
    const lengths = Uint32Array.from(blobs.values(), ({ size }) => size);
    const pieces = [];
    const write = (piece) => pieces.push(new Blob([piece])); // the browser keeps them, not the worker's memory
    const entry = session.import(name, [...blobs.keys()], lengths, read, write);
    return { ...entry, blob: new Blob(pieces) };
  },

  noise: ({ seed, length }) => session.noise(seed, length),
  outline: ({ height, width, images }) => session.outline(images, height, width),
};

self.onmessage = async ({ data: { id, type, ...rest } }) => {
  if (type === 'cancel') {
    download?.abort();
    session?.cancel();
    return;
  }
  const tell = (event) => postMessage({ id, ...event }, transferable(event));
  try {
    const value = await (handlers[type] ? handlers[type](rest, tell) : session[type](rest.request, tell));
    postMessage({ id, type: 'result', value }, transferable(value));
  } catch (error) {
    const code = error.code ?? 'crash'; // every error that Rust returns has a code; a trap has none
    let message = code === 'crash' && panic ? panic : String(error.message ?? error);
    if (code === 'device') message = await gpuTrouble(message);
    postMessage({ id, type: 'error', code, message });
  }
};

/** Fetches a model's weights, has them checked, and hands them to the device; returns its card. */
async function load(entry, count, tell) {
  const give = (bytes, read) => session.load(entry.name, bytes, entry.sha256, read);
  if (entry.blob) {
    await (trusted ??= verifyOnce(session, adapter));
    return give(entry.blob.size, ofBlob(entry.blob));
  }
  download = new AbortController();
  const options = { signal: download.signal, onProgress: (progress) => tell({ type: 'download', ...progress }) };
  const fetched = fetchWeights(entry, base, options);
  fetched.catch(() => {}); // reported below, if `prepare` does not crash before
  session.prepare(entry, count); // the GPU compiles during the download
  await (trusted ??= verifyOnce(session, adapter));
  const first = await fetched;
  try {
    const card = give(first.bytes.length, ofBytes(first.bytes));
    if (!first.cached) await keepWeights(entry, base, first.bytes);
    return card;
  } catch (error) {
    if (error.code !== 'weights') throw error;
    await forgetWeights(entry, base);
  }
  // A damaged file may be a damaged or outdated copy on the way; ask the server itself once.
  const second = await fetchWeights(entry, base, { ...options, reload: true });
  const card = give(second.bytes.length, ofBytes(second.bytes));
  await keepWeights(entry, base, second.bytes);
  return card;
}

/** Throws with code `slower` where the CPU is faster than the GPU that nobody has asked for. */
async function preferTheFaster(entry, count) {
  // A visitor's own may be so large that one evaluation on the CPU takes minutes.
  if (!rivals || entry.blob || entry.card.architecture.kind === 'classifier') return;
  const { gpu, cpu } = await speeds(session, adapter, entry, count);
  const shared = cpu / Math.min(rivals, count);
  rivals = 0; // decided, until the page is opened anew
  if (shared >= gpu) return;
  const [onGpu, onCpu] = [gpu, shared].map((ms) => `${ms.toPrecision(2)} ms`);
  throw new ScorefieldError(
    'slower',
    `It is faster here: an evaluation of ${entry.name} takes ${onCpu}, and ${onGpu} on the GPU (${adapter}).`,
  );
}

/** The program's exports, with the module that was `compiled`. */
async function loadWasm(module, tell) {
  try {
    const [glue, compiled] = await Promise.all([import('../wasm/page.js'), module ?? compile(tell)]);
    await glue.default({ module_or_path: compiled });
    return { ...glue, compiled };
  } catch (error) {
    throw new ScorefieldError('network', `The program could not be loaded: ${error.message}; reload the page.`);
  }
}

async function compile(tell) {
  const response = await program;
  if (!response.ok) throw new Error(`the server answered ${response.status} for wasm/page_bg.wasm`);
  const compressed = response.headers.has('content-encoding');
  const total = compressed ? 0 : Number(response.headers.get('content-length'));
  const counted = count(response.clone(), (loaded) => tell({ type: 'download', loaded, total }));
  counted.catch(() => {}); // the compilation reports it
  // Given the response itself, the browser compiles while it downloads, and may keep the machine code. It refuses to,
  // before it has read anything, unless the server calls the file exactly application/wasm, which many do not.
  return WebAssembly.compileStreaming(response).catch(async (error) => {
    if (response.bodyUsed) throw error;
    return WebAssembly.compile(await response.arrayBuffer());
  });
}

/** Calls `onBytes(bytes so far)` for every chunk of a body. */
function count(response, onBytes) {
  let loaded = 0;
  return response.body.pipeTo(new WritableStream({ write: (chunk) => onBytes((loaded += chunk.length)) }));
}

function transferable(value) {
  const arrays = [value?.images, value?.denoised].filter((array) => array instanceof Float32Array);
  return arrays.map(({ buffer }) => buffer);
}
