// The public API of Scorefield: score-based generative models in a web page. See README, "The page".
//
//   import { open } from './scorefield.js';
//   const engine = await open();
//   const result = await engine.sample({ model: 'mnist-vp', sampler: 'pc', seed: 7, count: 16 });
//   result.images  // Float32Array [count, channels, height, width], 0 black to 1 white, unclipped
//
// All computation happens in module workers (engine/worker.js), so no call blocks the page. This file decides what
// happens when something breaks: a lost GPU or a crashed worker is replaced by a fresh worker on the CPU and
// the same request is run again, because a wasm module that has panicked cannot be trusted any more.

import { ScorefieldError } from './engine/channel.js';
import { Crew, defaultThreads } from './engine/crew.js';
import { freeName, importModel } from './engine/own.js';
import { fetchManifest } from './engine/weights.js';

export { ScorefieldError };

/**
 * @typedef {object} Device
 * @property {'gpu'|'cpu'} kind  What computes: WebGPU, or WebAssembly on the processor.
 * @property {string} name       The adapter's name, or "WebAssembly".
 * @property {string} reason     One sentence that says why this device is in use.
 *
 * @typedef {object} Model  An entry of models/manifest.json, or what `add` has made of files.
 * @property {string} name
 * @property {string} title
 * @property {string} [file]  Of the manifest's.
 * @property {Blob} [blob]  The file itself, of one that was added. It can be kept as it is, and added again.
 * @property {boolean} [own]  Whether it was added.
 * @property {{weights: number, largest_weight: number, image: number}} [memory]  Of one that was added: bytes of all
 *   weights, of the largest, and of the largest layer's output for one image.
 * @property {number} bytes
 * @property {string} sha256
 * @property {'score'|'consistency'|null} [gives]  What its network tells of a noisy image; a classifier gives neither.
 *   A model that says nothing gives the score.
 * @property {string} [weaker]  The model of the list that can guide it as a weaker version of it, by `weaker_weight`.
 * @property {string} [picture]  Sixteen images that it has drawn, four in a row: a file beside the list, of one of the list.
 * @property {object} card  The model card: shape, SDE, data set, licence, training, measured quality.
 *
 * @typedef {object} Option  One setting of a sampler: a number, or a choice of names.
 * @property {string} name
 * @property {string} title
 * @property {string} help
 * @property {number|string} default
 * @property {number} [min]  With `max`, `step` and `integer`, of a number.
 * @property {{name: string, title: string}[]} [choices]
 *
 * @typedef {object} Sampler
 * @property {string} name
 * @property {string} title
 * @property {string} help
 * @property {'score'|'consistency'} [needs]  What it asks of a network: it draws with the models that give just that. A
 *   sampler that says nothing needs the score.
 * @property {number|null} [nfe]  Network evaluations with the options as they come; null if it takes as many as it needs.
 * @property {Option[]} options
 *
 * @typedef {{count: number, channels: number, height: number, width: number, images: Float32Array}} Images
 *   `images` is [count, channels, height, width] in [0, 1], not clipped.
 *
 * @typedef {Images & {nfe: number, seconds: number}} Result
 *
 * @typedef {object} SampleRequest
 * @property {string} model
 * @property {string} sampler
 * @property {Object<string, number|string>} [options]  Left-out options take their defaults.
 * @property {number} [seed]           0
 * @property {number} [first]          Number of the first image, 0: an image of a seed does not depend on the others.
 * @property {number} [count]          16
 * @property {number} [class]          Draw this class only: 0 to one less than `card.architecture.config.classes` of a
 *   model that has learned classes, or of the classifier. Left out: any.
 * @property {number[]} [classes]      In place of `class`: one for each image, of a model that has learned classes.
 * @property {{a: Seed, b?: Seed, share?: number}} [latent]  The noise in which all images begin, that of a seed or at `share`
 *   (0 to 1) of the way between two: images of several classes then have much in common. The sampler must add no noise.
 * @property {string} [classifier]     Instead of the model itself, this one of `engine.classifiers` tells the class: for
 *   models that have learned none. One network evaluation per step, and the classifier's gradient.
 * @property {number} [guidance]       How far to go in the class's direction, 0 to 100: 1 (default) is what the model
 *   learned, more is clearer and less varied. Each step takes two network evaluations where it is neither 0 nor 1.
 * @property {string} [weaker]         A weaker version of the model, on from which it is led: fewer mistakes (Karras et al. 2024).
 * @property {number} [weaker_weight]  How far, 0 to 100: 1 is the model alone, 2 the default.
 * @property {Condition} [condition]   What is known of the images.
 * @property {number} [preview_every]  Steps between previews; 0 (default) sends none.
 *
 * @typedef {{inpaint: {image: Float32Array, mask: Float32Array, conditioning?: string}}
 *   | {colorize: {image: Float32Array, conditioning?: string}}
 *   | {upscale: {image: Float32Array, factor: number, conditioning?: string}}
 *   | {edit: {image: Float32Array, strength: number}}
 *   | {denoise: {image: Float32Array, sigma: number}}} Condition
 *   One of five. The first three also take `conditioning`, how the rest learns of what is known: `pigdm` (default) and
 *   `moments`, which take two network evaluations each, or `replacement`. Images are [channels, height, width] in [0, 1].
 *   - inpaint: the pixels of `image` where `mask` [height, width] is 1; the result has them exactly.
 *   - colorize: the brightness of `image`, the mean of its three channels.
 *   - upscale: `image` [channels, height / factor, width / factor] holds the means of squares of pixels.
 *   - edit: roughly `image`. It gets noise, of which `strength`, 0.02 to 1, is the share: at 0.5 its deviation is half the
 *     way from black to white. Samples start there (SDEdit).
 *   - denoise: `image` with noise of standard deviation `sigma`, black being 0 and white 1.
 *   docs/CONTROL.md says which sampler serves each.
 *
 * @typedef {{seed: number, index?: number}} Seed
 * @typedef {{seed: number, index: number} | {pixels: Float32Array}} Endpoint
 *   A latent drawn from a seed, or a picture [channels, height, width] in [0, 1] that is encoded.
 *
 * @typedef {object} InterpolateRequest
 * @property {string} model
 * @property {Endpoint} a
 * @property {Endpoint} b
 * @property {number} frames           Pictures in the row, both ends included.
 * @property {number} [temperature]    Multiplies the latents between, 0.1 to 2; 1. Below 1 pictures are plainer.
 * @property {Object<string, number>} [options]  Options of the sampler `ode`.
 *
 * @typedef {object} EncodeRequest
 * @property {string} model
 * @property {string} [encoder]        The score model that encodes pictures for a consistency model; seeds need none.
 * @property {Endpoint[]} ends
 * @property {Object<string, number>} [options]  Options of the sampler `ode`.
 *
 * @typedef {object} PlayRequest
 * @property {string} model            A consistency model.
 * @property {Float32Array} corners    Codes of the four corners of the sheet by rows, as `encode` gives them.
 * @property {number[][]} points       Points [across, down] of the sheet, each 0 to 1: a picture each.
 * @property {number} [class]          As in a `SampleRequest`.
 * @property {number} [guidance]       As there.
 * @property {Object<string, number>} [options]  Options of the sampler `multistep`.
 * @property {number} [seed]           Of the noise of steps after the first one, the same for all points; 0.
 *
 * @typedef {object} LikelihoodRequest
 * @property {string} model
 * @property {Float32Array} images      [n, channels, height, width] in [0, 1]: 8-bit pictures, byte / 255. They are
 *   measured with uniform noise, (byte + u) / 256, as natively: without it the density of bytes may be anything.
 * @property {number} [seed]            Of that noise and the probes; 0.
 * @property {number} [tolerance]       Of the ODE, relative and absolute; what the model needs.
 *
 * @typedef {{nats: number[], bits_per_dim: number[], nfe: number, seconds: number}} Densities
 *   Log density of each picture with its noise, in the model's units, and the same as bits per pixel and channel.
 *
 * @typedef {object} RunOptions
 * @property {(p: {step: number, n_steps: number, nfe: number, seconds: number}) => void} [onProgress]
 * @property {(p: Images & {denoised?: Float32Array}) => void} [onPreview]  The noisy state, and what the model takes it for.
 * @property {(p: {loaded: number, total: number}) => void} [onDownload]  While the weights are fetched.
 * @property {(p: {compiled: number, programs: number}) => void} [onCompile]  While the GPU compiles; during the
 *   download and, where that is over sooner, before the first step.
 * @property {AbortSignal} [signal]
 */

/**
 * Starts the engine: fetches the list of models, starts the worker and opens the device.
 *
 * @param {object} [options]
 * @param {'auto'|'gpu'|'cpu'} [options.device]  `auto` takes WebGPU when there is a hardware adapter,
 *   unless it is slow and the CPU turns out to be faster with the first model that is used: both are timed once.
 * @param {number} [options.threads]  Workers that draw at the same time on the CPU; default: half of the logical
 *   cores, 2 to 8. Each has a memory of its own.
 * @param {string|URL} [options.baseUrl]  Folder that holds engine/, wasm/ and models/; default: this file's.
 * @param {(p: {loaded: number, total: number}) => void} [options.onProgress]  While the program is fetched.
 * @param {(device: Device) => void} [options.onDevice]  Now, and again whenever the device changes.
 * @returns {Promise<Engine>}
 */
export function open(options = {}) {
  return Engine.open(options);
}

/** A running engine; get one from `open`. It runs one request at a time. */
export class Engine {
  /** @type {Device} */ device;
  /** @type {Model[]} */ models = [];
  /** @type {Model[]} Draw nothing, but can guide a model of the same data set to a class. */ classifiers = [];
  /** @type {Sampler[]} */ samplers = [];
  #base;
  #threads;
  #hooks;
  #channel = null;
  #program = null; // compiled
  #cards = new Map();
  #job = null;
  #ready = null; // settles when the worker at hand has opened its device, or could not
  #disposed = false;

  /** See the function `open`. */
  static async open({ device = 'auto', threads = defaultThreads(), baseUrl, onProgress, onDevice }) {
    const engine = new Engine();
    engine.#base = baseUrl ? new URL(baseUrl, location.href) : new URL('./', import.meta.url);
    engine.#threads = threads;
    engine.#hooks = { onDownload: onProgress, onDevice };
    try {
      const [files] = await Promise.all([fetchManifest(engine.#base), engine.#start(device, '')]);
      Object.assign(engine, files);
    } catch (error) {
      engine.dispose(); // or the worker would stay
      throw error;
    }
    return engine;
  }

  /**
   * Adds a model of the caller's own to `models`: ours, or a published one with its configuration (a folder of diffusers,
   * a checkpoint of Score-SDE or NCSN as safetensors). Nothing is sent anywhere. Can be called while something runs.
   * @param {{path: string, blob: Blob}[] | Model} source  The files, with `/` between folders; or what `add` has
   *   returned before, in another engine or visit.
   * @param {{name?: string, signal?: AbortSignal}} [options]  Left out, the name is that of the folder or file; one that is
   *   taken gets a number.
   * @returns {Promise<Model>}
   */
  async add(source, { name, signal } = {}) {
    await this.#ready;
    if (this.#disposed) throw closed();
    const url = new URL('engine/worker.js?helper', this.#base);
    const made = Array.isArray(source) ? await importModel(url, this.#program, source, { name, signal }) : source;
    if (this.#disposed) throw closed();
    if (made.gives === null) {
      const problem = `“${made.name}” tells classes apart and draws nothing; choose a model that does.`;
      throw new ScorefieldError('weights', problem);
    }
    const same = this.models.find(({ own, sha256 }) => own && sha256 === made.sha256);
    if (same) return same;
    const free = freeName(made.name, [...this.models, ...this.classifiers]);
    const title = free === made.name ? made.title : `${made.title} (${free})`;
    const model = { ...made, name: free, title };
    this.models = [...this.models, model];
    return model;
  }

  /** Takes a model that was added out of `models` again. */
  remove(name) {
    this.models = this.models.filter((model) => !(model.own && model.name === name));
    this.#cards.delete(name);
  }

  /**
   * Fetches a model's weights and hands them to the device. Every request does this by itself.
   * @param {string} model
   * @param {{onProgress?: (p: {loaded: number, total: number}) => void, signal?: AbortSignal}} [options]
   * @returns {Promise<object>} the model card
   */
  load(model, { onProgress, signal } = {}) {
    return this.#exclusively(signal, () => this.#load(model, 16, { onDownload: onProgress }));
  }

  /**
   * Draws new images.
   * @param {SampleRequest} request
   * @param {RunOptions} [options]
   * @returns {Promise<Result>}
   */
  sample(request, options = {}) {
    const whole = { options: {}, seed: 0, count: 16, preview_every: 0, ...request };
    return this.#run('sample', whole, whole.count, options);
  }

  /**
   * Encodes two endpoints with the probability-flow ODE and decodes the pictures between them.
   * @param {InterpolateRequest} request
   * @param {RunOptions} [options]
   * @returns {Promise<Result>}
   */
  interpolate(request, options = {}) {
    return this.#run('interpolate', { options: {}, ...request }, request.frames, options);
  }

  /**
   * The latent codes of seeds and pictures.
   * @param {EncodeRequest} request
   * @param {RunOptions} [options]
   * @returns {Promise<Result>}  The codes are its `images`.
   */
  encode(request, options = {}) {
    return this.#run('encode', { options: {}, ...request }, 1, options);
  }

  /**
   * Pictures of points on a sheet between four codes, by a consistency model: so quick that they can follow a finger.
   * @param {PlayRequest} request
   * @param {RunOptions} [options]
   * @returns {Promise<Result>}
   */
  play(request, options = {}) {
    return this.#run('play', { options: {}, seed: 0, ...request }, request.points.length, options);
  }

  /**
   * Measures how probable a model finds 8-bit pictures, by the probability-flow ODE and one random probe each.
   * @param {LikelihoodRequest} request
   * @param {RunOptions} [options]
   * @returns {Promise<Densities>}
   */
  likelihood(request, options = {}) {
    return this.#run('likelihood', { seed: 0, ...request }, 1, options);
  }

  /**
   * Finds out what the device is, whether it computes what the CPU does, and how fast it is: a text to read or to send.
   * Takes some seconds.
   * @param {RunOptions} [options]  `step` of `n_steps` parts are done.
   * @returns {Promise<{text: string, good: boolean}>}
   */
  check({ onProgress, signal } = {}) {
    return this.#exclusively(signal, () => {
      const { name, reason } = this.device;
      const request = { name, reason, cards: this.models.map(({ card }) => card) };
      return this.#channel.call({ type: 'check', request }, { onProgress });
    });
  }

  /**
   * Standard normal numbers, the same for a seed on every machine; natively `Noise::new(seed).domain(Domain::Corruption)` has
   * them. Answered also while a request runs.
   * @param {number} seed
   * @param {number} length  How many.
   * @returns {Promise<Float32Array>}
   */
  async noise(seed, length) {
    await this.#ready;
    if (this.#disposed) throw closed();
    return this.#channel.call({ type: 'noise', seed, length });
  }

  /**
   * Outlines of grey images at half the brightness: of each the data of an SVG path whose unit is a pixel, to be filled by the
   * rule `evenodd`. Answered also while a request runs.
   * @param {Images} images
   * @returns {Promise<string[]>}
   */
  async outline({ height, width, images }) {
    await this.#ready;
    if (this.#disposed) throw closed();
    return this.#channel.call({ type: 'outline', height, width, images });
  }

  /** Stops what is running within one step; its promise rejects with code `cancelled`. */
  cancel() {
    const job = this.#job;
    if (!job || job.cancelled) return;
    job.cancelled = true;
    this.#channel?.cancel();
    // A step can take long on a slow device, and a hung GPU never ends it: then the worker has to go.
    job.timer = setTimeout(() => {
      if (this.#job === job) this.#restart(this.device.kind, this.device.reason);
    }, 5000);
  }

  /** Ends the worker and frees the device. */
  dispose() {
    this.#disposed = true;
    this.#close(closed());
  }

  #run(type, request, count, { onDownload, onCompile, onProgress, onPreview, signal }) {
    return this.#exclusively(signal, async () => {
      for (const name of [request.model, request.classifier, request.weaker, request.encoder]) {
        if (name !== undefined) await this.#load(name, count, { onDownload, onCompile });
      }
      return this.#channel.call({ type, request }, { onCompile, onProgress, onPreview });
    });
  }

  /** `count` images are what the GPU then is prepared for. */
  async #load(model, count, hooks) {
    if (this.#cards.has(model)) return this.#cards.get(model);
    const entry = [...this.models, ...this.classifiers].find(({ name }) => name === model);
    if (!entry) {
      const known = this.models.map(({ name }) => name).join(', ');
      throw new ScorefieldError('request', `There is no model “${model}”; choose one of ${known}.`);
    }
    const card = await this.#channel.call({ type: 'load', entry, count }, hooks);
    this.#cards.set(model, card);
    return card;
  }

  /** One job at a time, and only once the worker is ready; a start that failed is tried again. */
  async #exclusively(signal, work) {
    if (this.#disposed) throw closed();
    if (this.#job) throw new ScorefieldError('busy', 'Another run is still going on; cancel it first.');
    const job = (this.#job = { cancelled: signal?.aborted ?? false, timer: 0 });
    const onAbort = () => this.cancel();
    signal?.addEventListener('abort', onAbort);
    const guarded = () => {
      if (job.cancelled) throw new ScorefieldError('cancelled', 'Cancelled.');
      return work();
    };
    try {
      await this.#ready.catch(() => this.#start(this.device.kind, this.device.reason));
      return await this.#withFallback(guarded);
    } finally {
      clearTimeout(job.timer);
      signal?.removeEventListener('abort', onAbort);
      this.#job = null;
    }
  }

  async #withFallback(work) {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (error.code === 'slower') {
          await this.#start('cpu', error.message);
          continue;
        }
        if (this.#disposed || !error.isBreakdown) throw error;
        const wasGpu = this.device.kind === 'gpu';
        await this.#start('cpu', wasGpu ? takenOver(error) : this.device.reason);
        // A crash on the CPU would only repeat itself; the fresh worker is for the next request.
        if (!wasGpu)
          throw new ScorefieldError('crash', `The computation crashed (${error.phrase}); try fewer images.`);
      }
    }
  }

  /** Replaces the worker by a fresh one. `reason`, when not empty, says why this very device has to be used. */
  #start(device, reason) {
    return (this.#ready = this.#replace(device, reason));
  }

  async #replace(device, reason) {
    this.#close(new ScorefieldError('crash', 'the worker was replaced'));
    const whenIdle = (error) =>
      this.#restart('cpu', this.device?.kind === 'cpu' ? this.device.reason : takenOver(error));
    this.#channel = new Crew(new URL('engine/worker.js', this.#base), this.#threads, whenIdle);
    try {
      const opened = await this.#channel.call({ type: 'open', device, reason }, this.#hooks);
      this.#program = opened.program;
      this.samplers = opened.samplers;
      this.device = opened.device;
    } catch (error) {
      if (device === 'cpu' || this.#disposed || !error.isBreakdown) throw error;
      return this.#start('cpu', takenOver(error));
    }
    this.#hooks.onDevice?.(this.device);
  }

  #restart(device, reason) {
    // Closing first makes the waiting call end now, as cancelled, not after the new worker is up.
    this.#close(new ScorefieldError(this.#job?.cancelled ? 'cancelled' : 'crash', 'Cancelled.'));
    this.#start(device, reason).catch((error) => console.error(error)); // the next request tries again and reports
  }

  #close(error) {
    this.#channel?.close(error);
    this.#channel = null;
    this.#cards.clear();
  }
}

function closed() {
  return new ScorefieldError('disposed', 'The engine was closed; open a new one.');
}

function takenOver(error) {
  const what = error.code === 'device' ? 'The GPU cannot be used' : 'The computation on the GPU crashed';
  return `${what} (${error.phrase}), so the CPU has taken over.`;
}
