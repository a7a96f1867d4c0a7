// The laboratory's workers. Each has a desk of its own, so that learning, drawing and measuring do not wait for each other;
// a worker begins when it is first needed. `src/page/lab/` says what can be asked of a desk.

import { Channel } from './channel.js';

export class Laboratory {
  #url = new URL('lab-worker.js', import.meta.url);
  #onBroke;
  #desks = new Map(); // role → {channel, ready}: a worker, and the promise of its program
  #module = null; // compiled once for all
  #setup = null; // the JSON that every desk is to have
  #has = new Map(); // role → the JSON that it has

  /** `onBroke(error)` is called when a worker dies while nobody waits for it. */
  constructor(onBroke) {
    this.#onBroke = onBroke;
  }

  /** Loads the program; all there is to choose from. */
  async open() {
    const { module, catalogue } = await this.#desk('show').ready;
    this.#module = module;
    return catalogue;
  }

  /** Begins another experiment; refused ones leave the old one. */
  async arrange(setup) {
    const text = JSON.stringify(setup);
    const told = await this.#call('show', { type: 'arrange', args: [text] });
    this.#setup = text;
    this.#has.set('show', text);
    return told;
  }

  /** Asks the desk of a role (`show`, `draw`, `second`, `learn`, `measure`). Hooks are `{onFrame, onProgress}`. */
  async ask(role, type, args = [], hooks = {}) {
    if (this.#has.get(role) !== this.#setup) {
      this.#has.set(role, this.#setup);
      await this.#call(role, { type: 'arrange', args: [this.#setup] });
    }
    return this.#call(role, { type, args }, hooks);
  }

  /** Stops what a desk does after its current step. */
  cancel(role) {
    this.#desks.get(role)?.channel.cancel();
  }

  async #call(role, message, hooks) {
    const { channel, ready } = this.#desk(role);
    try {
      await ready;
      return await channel.call(message, hooks);
    } catch (error) {
      if (error.isBreakdown) this.#dismiss(role);
      throw error;
    }
  }

  /** The worker of a role. */
  #desk(role) {
    if (!this.#desks.has(role)) {
      const channel = new Channel(this.#url, (error) => {
        this.#dismiss(role);
        this.#onBroke(error);
      });
      const ready = channel.call({ type: 'open', args: [this.#module] });
      ready.catch(() => this.#dismiss(role));
      this.#desks.set(role, { channel, ready });
    }
    return this.#desks.get(role);
  }

  /** Of a worker that is done for: the next question to the role gets another one. */
  #dismiss(role) {
    this.#desks.delete(role);
    this.#has.delete(role);
  }
}
