// The laboratory's workers. Each has a desk of its own, so that learning, drawing and measuring do not wait for each other;
// a worker begins when it is first needed. `src/page/lab/` says what can be asked of a desk.

import { Channel } from './channel.js';

export class Laboratory {
  #url = new URL('lab-worker.js', import.meta.url);
  #onBroke;
  #desks = new Map(); // role → a promise of its channel
  #module = null; // compiled once for all
  #setup = null; // the JSON that every desk is to have
  #has = new Map(); // role → the JSON that it has

  /** `onBroke(error)` is called when a worker dies while nobody waits for it. */
  constructor(onBroke) {
    this.#onBroke = onBroke;
  }

  /** Loads the program; all there is to choose from. */
  async open() {
    const channel = new Channel(this.#url, this.#onBroke);
    const { module, catalogue } = await channel.call({ type: 'open', args: [null] });
    this.#module = module;
    this.#desks.set('show', Promise.resolve(channel));
    return catalogue;
  }

  /** Begins another experiment; refused ones leave the old one. */
  async arrange(setup) {
    const text = JSON.stringify(setup);
    const told = await (await this.#desk('show')).call({ type: 'arrange', args: [text] });
    this.#setup = text;
    this.#has.set('show', text);
    return told;
  }

  /** Asks the desk of a role (`show`, `draw`, `second`, `learn`, `measure`). Hooks are `{onFrame, onProgress}`. */
  async ask(role, type, args = [], hooks = {}) {
    const channel = await this.#desk(role);
    if (this.#has.get(role) !== this.#setup) {
      this.#has.set(role, this.#setup);
      await channel.call({ type: 'arrange', args: [this.#setup] });
    }
    return channel.call({ type, args }, hooks);
  }

  /** Stops what a desk does after its current step. */
  async cancel(role) {
    (await this.#desks.get(role))?.cancel();
  }

  /** Ends the worker of a role, and what it has learned. */
  async dismiss(role, error) {
    const desk = this.#desks.get(role);
    this.#desks.delete(role);
    this.#has.delete(role);
    (await desk)?.close(error);
  }

  #desk(role) {
    if (!this.#desks.has(role)) this.#desks.set(role, this.#hire(role));
    return this.#desks.get(role);
  }

  async #hire(role) {
    const channel = new Channel(this.#url, (error) => {
      this.#desks.delete(role);
      this.#onBroke(error);
    });
    await channel.call({ type: 'open', args: [this.#module] });
    return channel;
  }
}
