// The workers of an engine: one that leads and, on the CPU, more that help it. The images of a run do not depend on
// each other, so each worker draws some of them, in a memory of its own: none is shared, which would need headers that
// not every server sends. Speaks like a Channel; used by scorefield.js only.

import { Channel, ScorefieldError } from './channel.js';

/** Of one request; the program has the same limit. */
const MOST_IMAGES = 1024;

/** Bytes of weights that the workers hold together: each has its own. */
const MOST_WEIGHTS = 1e9;

/**
 * Milliseconds of an evaluation for the usual number of images on a GPU that is fast enough, whatever the CPU could do: to find
 * that out takes its program, which nobody else needs.
 */
const FAST_ENOUGH = 10;
const USUAL = 16;

export class Crew {
  #url;
  #size;
  #lead;
  #helpers = [];
  #program = null; // compiled once for all
  #device = null;
  #isOpen = false; // whether the choice between the CPU and the GPU is
  #aside = null; // the channel to a worker on the CPU beside the lead on the GPU
  #loads = new Map(); // model name → the message that loaded it
  #cancelled = false;

  /** Up to `size` workers; `onBroke(error)` is called when the lead dies while nobody waits for it. */
  constructor(url, size, onBroke) {
    this.#url = url;
    this.#size = size;
    this.#lead = new Channel(url, onBroke);
  }

  /** Sends a request, as a Channel does. */
  async call(message, hooks = {}) {
    const shares = message.type === 'sample' && this.#device?.kind === 'cpu' ? split(message.request, this.#sizeFor(message.request)) : [];
    if (shares.length > 1) return this.#draw(shares, hooks);
    if (message.type === 'check') return this.#check(message.request, hooks);
    const value = await this.#lead.call(message, hooks);
    if (message.type === 'open') {
      this.#program = value.program;
      this.#device = value.device;
      this.#isOpen = message.device === 'auto' && value.device.kind === 'gpu';
    }
    if (message.type === 'load') {
      this.#loads.set(message.entry.name, message);
      for (const { models } of this.#helpers.filter(Boolean)) models.delete(message.entry.name); // another one's name
      await this.#preferTheFaster(message, hooks);
    }
    return value;
  }

  cancel() {
    this.#cancelled = true;
    for (const channel of this.#channels()) channel.cancel();
  }

  /** Ends all workers at once; whoever waits gets `error`. */
  close(error) {
    for (const channel of this.#channels()) channel.close(error);
    this.#helpers = [];
  }

  /** Throws with code `slower` where the CPU is faster than the GPU that nobody has asked for. */
  async #preferTheFaster({ entry, count }, { onDownload }) {
    // A visitor's own may be so large that one evaluation on the CPU takes minutes.
    if (!this.#isOpen || entry.blob || entry.card.architecture.kind === 'classifier') return;
    const images = Math.max(count, USUAL);
    const measure = (channel) => channel.call({ type: 'evaluation', entry, count: images });
    const gpu = await measure(this.#lead);
    this.#isOpen = false; // decided, until the page is opened anew
    if (gpu < FAST_ENOUGH) return;
    // Where the CPU's program cannot be had, the GPU it is.
    const alone = await this.#onCpu(measure, { onDownload }).catch(() => Infinity);
    const cpu = alone / Math.min(this.#size, images);
    if (cpu >= gpu) return;
    const [onGpu, onCpu] = [gpu, cpu].map((ms) => `${ms.toPrecision(2)} ms`);
    throw new ScorefieldError(
      'slower',
      `It is faster here: an evaluation of ${images} images by ${entry.name} takes ${onCpu}, and ${onGpu} on the GPU (${this.#device.name}).`,
    );
  }

  /** The lead's device against the CPU. */
  async #check(request, { onProgress }) {
    const half = (done) => (p) => onProgress?.({ ...p, step: p.step + done * p.n_steps, n_steps: 2 * p.n_steps });
    const ask = (channel) => channel.call({ type: 'reference', request: request.cards }, { onProgress: half(0) });
    const reference = await this.#onCpu(ask);
    return this.#lead.call({ type: 'check', request: { ...request, reference } }, { onProgress: half(1) });
  }

  /** What `work(channel)` says of a worker on the CPU: the lead, or one that goes again. */
  async #onCpu(work, hooks) {
    if (this.#device.kind === 'cpu') return work(this.#lead);
    const channel = (this.#aside = new Channel(this.#url, () => {}));
    try {
      await channel.call({ type: 'open', device: 'cpu', reason: '' }, hooks);
      return await work(channel);
    } finally {
      this.#aside = null;
      channel.close(new ScorefieldError('crash', 'it is answered'));
    }
  }

  async #draw(shares, hooks) {
    this.#cancelled = false;
    const started = performance.now();
    const told = merge(shares.length, hooks);
    const draw = (channel, i) => channel.call({ type: 'sample', request: shares[i] }, told[i]);
    let leads = draw(this.#lead, 0);
    const parts = shares.map(async (request, i) => {
      if (i === 0) return leads;
      const helper = await this.#helper(i - 1, [request.model, request.classifier, request.weaker]);
      if (this.#cancelled) throw new ScorefieldError('cancelled', 'Cancelled.');
      // Where there is no memory for another worker, the lead draws this share too.
      return helper ? draw(helper, i) : (leads = leads.then(() => draw(this.#lead, i)));
    });
    for (const part of parts) part.catch(() => this.cancel());
    const ends = await Promise.allSettled(parts);
    const failures = ends.filter(({ status }) => status === 'rejected').map(({ reason }) => reason);
    if (failures.length) throw failures.find(({ code }) => code !== 'cancelled') ?? failures[0];
    const results = ends.map(({ value }) => value);
    const nfe = Math.max(...results.map((result) => result.nfe));
    return { ...joined(results), nfe, seconds: (performance.now() - started) / 1000 };
  }

  /** How many workers may draw with a model. */
  #sizeFor({ model }) {
    const { memory, bytes } = this.#loads.get(model)?.entry ?? { bytes: 0 };
    return Math.min(this.#size, Math.max(1, Math.floor(MOST_WEIGHTS / (memory?.weights ?? 2 * bytes))));
  }

  /** The channel to a helper that has these models, or null if it cannot be had. */
  async #helper(i, models) {
    const helper = (this.#helpers[i] ??= this.#hire(i));
    try {
      await helper.ready;
      for (const name of models) {
        if (name === undefined || helper.models.has(name)) continue;
        await helper.channel.call(this.#loads.get(name));
        helper.models.add(name);
      }
      return helper.channel;
    } catch {
      return null;
    }
  }

  #hire(i) {
    // The query is for whoever looks at the workers: the script is the same.
    const url = new URL('?helper', this.#url);
    const channel = new Channel(url, () => delete this.#helpers[i]);
    const ready = channel.call({ type: 'open', device: 'cpu', reason: '', program: this.#program });
    return { channel, ready, models: new Set() };
  }

  #channels() {
    return [this.#lead, this.#aside, ...this.#helpers.map((helper) => helper?.channel)].filter(Boolean);
  }
}

/** How many workers draw on this processor: half of the logical cores, which share their arithmetic units in pairs. */
export function defaultThreads() {
  const logical = navigator.hardwareConcurrency || 1;
  return Math.min(Math.max(Math.floor(logical / 2), 2), logical, 8);
}

/** Requests for the images of `request`, in order, as even as can be; none for what the lead will refuse. */
function split(request, size) {
  const { count, first = 0, classes } = request;
  const isSound = Number.isInteger(count) && count <= MOST_IMAGES && (classes?.length ?? count) === count;
  const n = isSound ? Math.min(size, count) : 0;
  const begin = (i) => Math.floor((i * count) / n);
  return Array.from({ length: n }, (_, i) => ({
    ...request,
    first: first + begin(i),
    count: begin(i + 1) - begin(i),
    ...(classes && { classes: classes.slice(begin(i), begin(i + 1)) }),
  }));
}

/** Hooks for each of `n` shares, that tell of the slowest, and of previews when all have one more. */
function merge(n, { onProgress, onPreview }) {
  const latest = Array(n).fill(null);
  const previews = Array.from({ length: n }, () => []);
  return latest.map((_, i) => ({
    onProgress(progress) {
      latest[i] = progress;
      if (latest.every(Boolean)) onProgress?.(latest.reduce((a, b) => (b.step < a.step ? b : a)));
    },
    onPreview(preview) {
      previews[i].push(preview);
      if (previews.every(({ length }) => length)) onPreview?.(joined(previews.map((queue) => queue.shift())));
    },
  }));
}

/** @param {{count: number, images: Float32Array, denoised?: Float32Array}[]} parts */
function joined(parts) {
  const count = parts.reduce((sum, part) => sum + part.count, 0);
  const all = (key) => parts[0][key] && concatenated(parts.map((part) => part[key]));
  return { ...parts[0], count, images: all('images'), denoised: all('denoised') };
}

function concatenated(arrays) {
  const whole = new Float32Array(arrays.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const array of arrays) {
    whole.set(array, offset);
    offset += array.length;
  }
  return whole;
}
