// The task "Lab": a world of points in the plane, its score, and everything that can be done with it, live. What it needs is
// loaded when it is opened for the first time.

import { find } from '../dom.js';
import { LESSON_NAMES, readExperiment, readLayers, writeExperiment } from '../lab/experiment.js';
import { number, oneOf } from '../state/keys.js';

const MARKUP = `
  <section id="lab" class="task" aria-labelledby="lab-title" hidden>
    <div class="lab-head">
      <div>
        <h1 id="lab-title">Lab</h1>
        <p class="lede">Images are points of a space with hundreds of dimensions. Here it has two, so that all can be seen: the density, its score, and how points find their way.</p>
      </div>
    </div>
    <p class="lab-waiting hint" role="status">Fetching the laboratory …</p>
    <div class="bench"></div>
  </section>`;

class LabView {
  #section;
  #app;
  #bench = null; // a promise

  constructor(section, app) {
    this.#section = section;
    this.#app = app;
  }

  async refresh() {
    if (this.#section.hidden) return (await this.#bench)?.rest();
    this.#bench ??= this.#open();
    await (await this.#bench)?.refresh();
  }

  async start() {
    await this.refresh();
    (await this.#bench)?.start();
  }

  async #open() {
    const waiting = find('.lab-waiting', this.#section);
    try {
      const { Bench } = await import('../lab/bench.js');
      const bench = await Bench.open(this.#section, this.#app);
      waiting.hidden = true;
      return bench;
    } catch (error) {
      this.#bench = null;
      waiting.textContent = 'Not running.';
      if (!error.code) console.error(error);
      this.#app.showError(`The laboratory could not be opened: ${error.message}`, { retry: () => this.refresh() });
      return null;
    }
  }
}

export const lab = {
  name: 'lab',
  title: 'Lab',
  markup: MARKUP,
  View: LabView,
  isAlone: true,
  keys: {
    lesson: { initial: 'score', read: oneOf(...LESSON_NAMES) },
    experiment: { initial: {}, read: readExperiment, write: writeExperiment },
    see: { initial: null, read: readLayers }, // what is drawn; null is what the lesson says
    level: { initial: null, read: number(0, 1) }, // of noise, a share of the way from the least to the most
    by: { initial: null, read: oneOf('true', 'learned') }, // whose score; null is the lesson's
    language: { initial: null, read: oneOf('en', 'zh') }, // null is the browser's
    embed: {
      initial: false,
      read: (text) => (text === '1' ? true : undefined),
      write: (value) => (value ? 1 : null),
    },
  },
  link: () => ['lesson', 'experiment', 'see', 'level', 'by', 'language', 'embed'],
};
