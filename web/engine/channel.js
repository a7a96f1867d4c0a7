// One worker and the calls that wait for its answers. Used by crew.js only.
//
// To the worker:    {id, type, ...}  a request: `type` is a handler in worker.js, or else a method of Rust's `Session`,
//                   {type: 'cancel'}.
// From the worker:  {id, type: 'result', value} or {id, type: 'error', code, message}  the answer, and before it
//                   {id, type: 'download' | 'progress' | 'preview' | 'frame', ...}  what the hook of that name is given,
//                   {type: 'compile', ...}  the same for onCompile of all who wait, since the GPU does not say for whom,
//                   {type: 'console', level, text}  what the worker printed,
//                   {type: 'broke', code, message}  the GPU was lost or the wasm panicked: this worker is done for.

/** The hook that a message with an id calls before the answer. */
const HOOKS = { download: 'onDownload', progress: 'onProgress', preview: 'onPreview', frame: 'onFrame' };

/** Every failure of the API; `code` says what kind, `message` is one sentence for the visitor. */
export class ScorefieldError extends Error {
  /**
   * @param {'busy'|'cancelled'|'crash'|'device'|'disposed'|'network'|'request'|'slower'|'weights'} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = 'ScorefieldError';
    this.code = code;
  }

  /** Whether the worker or its GPU is done for. */
  get isBreakdown() {
    return this.code === 'device' || this.code === 'crash';
  }

  /** The message as part of a sentence. */
  get phrase() {
    return this.message.replace(/[.\s]+$/, '');
  }
}

export class Channel {
  #worker;
  #calls = new Map();
  #nextId = 1;
  #onBroke;
  #end = null; // why there is no worker any more

  /** `onBroke(error)` is called when the worker dies while nobody waits for it. */
  constructor(url, onBroke) {
    this.#worker = spawn(url);
    this.#onBroke = onBroke;
    this.#worker.onmessage = ({ data }) => this.#receive(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#broke(new ScorefieldError('crash', event.message || `The worker (${url.pathname}) could not be loaded.`));
    };
  }

  /** Sends a request; hooks are `{onDownload, onCompile, onProgress, onPreview, onFrame}`. */
  call(message, hooks = {}) {
    if (this.#end) return Promise.reject(this.#end);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject, hooks });
      this.#worker.postMessage({ id, ...message });
    });
  }

  cancel() {
    this.#worker.postMessage({ type: 'cancel' });
  }

  /** Ends the worker at once; whoever waits gets `error`. */
  close(error) {
    this.#onBroke = () => {};
    this.#end = error;
    this.#worker.onmessage = this.#worker.onerror = null;
    this.#worker.terminate();
    for (const { reject } of this.#calls.values()) reject(error);
    this.#calls.clear();
  }

  #receive({ id, type, ...rest }) {
    if (type === 'console') return console[rest.level](...rest.text);
    if (type === 'broke') return this.#broke(new ScorefieldError(rest.code, rest.message));
    if (type === 'compile') return this.#calls.forEach(({ hooks }) => hooks.onCompile?.(rest));
    const call = this.#calls.get(id);
    if (type in HOOKS) call?.hooks[HOOKS[type]]?.(rest);
    else if (call) {
      this.#calls.delete(id);
      if (type === 'error') call.reject(new ScorefieldError(rest.code, rest.message));
      else call.resolve(rest.value);
    }
  }

  #broke(error) {
    const report = this.#calls.size ? () => {} : this.#onBroke;
    this.close(error);
    report(error);
  }
}

/** A worker must come from the page's own origin; a one-line blob lets it import ours from elsewhere. */
function spawn(url) {
  if (url.origin === location.origin) return new Worker(url, { type: 'module' });
  const source = new Blob([`import ${JSON.stringify(url.href)};`], { type: 'text/javascript' });
  return new Worker(URL.createObjectURL(source), { type: 'module' });
}
