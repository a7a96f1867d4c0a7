// The workers of an engine: one that leads and, on the CPU, more that help it. The images of a run do not depend on
// each other, so each worker draws some of them, in a memory of its own: none is shared, which would need headers that
// not every server sends. Speaks like a Channel; used by scorefield.js only.

import { Channel, ScorefieldError } from './channel.js';

/** Of one request; the program has the same limit. */
const MOST_IMAGES = 1024;

/** Bytes of weights that the workers hold together: each has its own. */
const MOST_WEIGHTS = 1e9;

export class Crew {
  #url;
  #size;
  #lead;
  #helpers = [];
  #module = null; // compiled once for all
  #isShared = false; // whether the helpers help: on the CPU
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
    const shares = message.type === 'sample' && this.#isShared ? split(message.request, this.#sizeFor(message.request)) : [];
    if (shares.length > 1) return this.#draw(shares, hooks);
    const value = await this.#lead.call(message, hooks);
    if (message.type === 'open') {
      this.#module = value.module;
      this.#isShared = value.device.kind === 'cpu';
    }
    if (message.type === 'load') {
      this.#loads.set(message.entry.name, message);
      for (const { models } of this.#helpers.filter(Boolean)) models.delete(message.entry.name); // another one's name
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
    // The same program, told not to fetch what it is given.
    const url = new URL('?helper', this.#url);
    const channel = new Channel(url, () => delete this.#helpers[i]);
    const ready = channel.call({ type: 'open', device: 'cpu', reason: '', module: this.#module });
    return { channel, ready, models: new Set() };
  }

  #channels() {
    return [this.#lead, ...this.#helpers.filter(Boolean).map(({ channel }) => channel)];
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
