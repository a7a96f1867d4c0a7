// The module worker of the laboratory: one `Desk` of Rust, whose methods are the requests. channel.js tells what messages
// look like; a request here is {type, args}, and what happens on the way is told to those in TELLING.

const base = new URL('../', import.meta.url);
const TELLING = new Set(['sample', 'likelihood', 'leap']);
let desk = null;
let panic = null; // what a panic said; the trap that follows says only "unreachable"

for (const level of ['error', 'warn']) {
  console[level] = (...text) => {
    panic = /panicked at .*\n(.*)/.exec(text[0])?.[1] ?? panic;
    postMessage({ type: 'console', level, text: text.map(String) });
  };
}
for (const kind of ['error', 'unhandledrejection']) {
  self.addEventListener(kind, (event) => {
    event.preventDefault();
    const message = panic ?? event.message ?? String(event.reason?.message ?? event.reason);
    postMessage({ type: 'broke', code: 'crash', message });
  });
}

async function open(module) {
  const glue = await import('../wasm/cpu.js');
  const compiled = module ?? (await compile());
  await glue.default({ module_or_path: compiled });
  desk = glue.Desk.open();
  return { module: compiled, catalogue: desk.catalogue() };
}

async function compile() {
  const response = await fetch(new URL('wasm/cpu_bg.wasm', base), { cache: 'no-cache' });
  if (!response.ok) throw new Error(`the server answered ${response.status} for wasm/cpu_bg.wasm`);
  // As for the images' program: only a file called exactly application/wasm is compiled while it is downloaded.
  return WebAssembly.compileStreaming(response).catch(async (error) => {
    if (response.bodyUsed) throw error;
    return WebAssembly.compile(await response.arrayBuffer());
  });
}

self.onmessage = async ({ data: { id, type, args } }) => {
  if (type === 'cancel') return desk?.cancel();
  const tell = (event) => postMessage({ id, ...event }, buffers(event));
  try {
    const value =
      type === 'open' ? await open(...args) : await desk[type](...args, ...(TELLING.has(type) ? [tell] : []));
    postMessage({ id, type: 'result', value }, buffers(value));
  } catch (error) {
    const code = error.code ?? (type === 'open' ? 'network' : 'crash');
    const message = code === 'crash' && panic ? panic : String(error.message ?? error);
    postMessage({ id, type: 'error', code, message });
  }
};

/** What of a value is handed over instead of copied. */
function buffers(value) {
  const parts = value instanceof Float32Array ? [value] : Object.values(value ?? {});
  return parts.filter((part) => part instanceof Float32Array).map(({ buffer }) => buffer);
}
