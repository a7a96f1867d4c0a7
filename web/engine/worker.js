// The module worker that owns the wasm module and the GPU. A request that has no handler here goes to the method of
// Rust's `Session` that has its name. channel.js tells what messages look like.

import { ScorefieldError } from './channel.js';
import { chooseDevice } from './device.js';
import { evaluationOnce, verifyOnce } from './trust.js';
import { fetchWeights, forgetWeights, keepWeights, ofBlob, ofBytes } from './weights.js';
import { gpuTrouble, watchGpu } from './wgpu-shim.js';

const base = new URL('../', import.meta.url);
let session = null;
let adapter = ''; // its name
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
  /** `program` is the one for the CPU, where it is compiled already. */
  async open({ device, reason, program }, tell) {
    const choice = await chooseDevice(device, reason);
    const { Session, loaded } = await loadWasm(program ?? { kind: choice.kind }, tell);
    try {
      session = await Session.open(choice.kind, choice.lanes);
    } catch (error) {
      error.code ??= choice.kind === 'gpu' ? 'device' : 'crash';
      throw error;
    }
    const actual = session.device();
    trusted = actual.kind === 'cpu' ? Promise.resolve() : null;
    adapter = choice.name;
    return {
      device: { kind: actual.kind, name: choice.name, reason: choice.reason },
      samplers: session.samplers(),
      program: loaded,
    };
  },

  load: ({ entry, count }, tell) => load(entry, count, tell),

  evaluation: ({ entry, count }) => evaluationOnce(session, adapter, entry, count),

  /** The visitor's `files`, `{path, blob}`, as a model: an entry of the list, and its file as `blob`. Opens no device. */
  async import({ name, files, program }) {
    const { import_model } = await loadWasm(program);
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
    const entry = import_model(name, [...blobs.keys()], lengths, read, write);
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

/** The exports of the program for a `kind` of device, with it as `loaded`: its module is compiled unless it is given. */
async function loadWasm({ kind, module }, tell) {
  try {
    const name = `wasm/${kind}`;
    const [glue, compiled] = await Promise.all([import(`../${name}.js`), module ?? compile(`${name}_bg.wasm`, tell)]);
    await glue.default({ module_or_path: compiled });
    return { ...glue, loaded: { kind, module: compiled } };
  } catch (error) {
    throw new ScorefieldError('network', `The program could not be loaded: ${error.message}; reload the page.`);
  }
}

async function compile(file, tell) {
  // `no-cache` revalidates: the glue script and the wasm must be of the same build.
  const response = await fetch(new URL(file, base), { cache: 'no-cache' });
  if (!response.ok) throw new Error(`the server answered ${response.status} for ${file}`);
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
