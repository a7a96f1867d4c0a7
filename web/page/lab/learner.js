// Learning, live: a loop that asks a desk of its own for a few steps at a time, and the curves of the loss.

import { ScorefieldError } from '../../engine/channel.js';
import { figure } from './chart.js';

/** How long a piece of learning is to take, in milliseconds: so often the picture changes. */
const PIECE = 100;
/** Milliseconds between two measurements by noise level. */
const LEVELS_EVERY = 1500;

export class Learner {
  #bench;
  #isRunning = false;
  #losses = [];
  #levels = [];
  #size = 4; // steps of a piece
  #rate = 0;
  #measured = 0;
  #key = '';
  #world = ''; // of the experiment
  #wasScore = false; // what the experiment learns
  #taught = ''; // the world in which a score was learned before
  teacher = 'true'; // whose score a consistency function is distilled from
  steps = 0;
  ended = false;
  isSlow = false;

  constructor(bench) {
    this.#bench = bench;
  }

  get isRunning() {
    return this.#isRunning;
  }

  /** Whether what is learned is a score, and not where paths end. */
  get isScore() {
    return !this.#bench.setup.objective.kind.startsWith('consistency');
  }

  /** Whether it is a score at all noise levels, and not at one. */
  get #hasLevels() {
    return this.isScore && !('sigma' in this.#bench.setup.objective);
  }

  /** Another experiment: what would be learned again is kept, as the desk keeps it. */
  begin() {
    const key = keyOf(this.#bench.setup);
    if (key === this.#key) return;
    // The desk keeps a score when it gets another experiment.
    if (this.steps > 0 && this.#wasScore) this.#taught = this.#world;
    this.#key = key;
    this.#wasScore = this.isScore;
    this.#world = worldOf(this.#bench.setup);
    if (!this.hasTeacher) this.teacher = 'true';
    this.#reset();
  }

  #reset() {
    this.pause();
    this.#losses = [];
    this.#levels = [];
    [this.steps, this.ended] = [0, false];
    this.#bench.panels.say('');
    this.#draw();
  }

  /** Whether a score of this world was learned before. */
  get hasTeacher() {
    return this.#taught === worldOf(this.#bench.setup);
  }

  /** Whether there are weights for this experiment that were learned before. */
  get isKept() {
    const { plan, usual, state } = this.#bench;
    return Boolean(plan.isKept) && !this.isRunning && !this.ended && keyOf(usual[state.lesson]) === this.#key;
  }

  /** Takes what was learned before. */
  async remember() {
    const bench = this.#bench;
    const { lesson } = bench.state;
    const key = this.#key;
    const taken = await bench.attempt(async () => {
      const response = await fetch(new URL(`../../lab/${lesson}.f16`, import.meta.url));
      if (!response.ok)
        throw new ScorefieldError(
          'network',
          `The server answered ${response.status} for lab/${lesson}.f16; reload the page.`,
        );
      const bytes = new Uint8Array(await response.arrayBuffer());
      await bench.laboratory.ask('learn', 'remember', [bytes]);
      return true;
    });
    if (!taken || key !== this.#key) return;
    [this.steps, this.ended] = [bench.setup.steps, true];
    bench.panels.say(`${bench.setup.steps.toLocaleString('en')} steps were learned before.`);
    await this.#ended(key);
  }

  async forget() {
    this.#reset();
    await this.#bench.attempt(() => this.#bench.laboratory.ask('learn', 'forget'));
    this.#bench.panels.refresh();
    this.#bench.paint();
  }

  pause() {
    this.#isRunning = false;
  }

  toggle() {
    return this.#isRunning ? this.pause() : this.run();
  }

  /** Learns until paused, or to the end of the plan. */
  async run() {
    const bench = this.#bench;
    if (this.ended) await this.forget();
    bench.sampling.leave();
    bench.painter.release();
    this.#isRunning = true;
    bench.panels.refresh();
    bench.lesson.refresh();
    const key = this.#key;
    while (this.#isRunning && !this.ended && key === this.#key) {
      const began = performance.now();
      if (!(await this.step(this.isSlow ? 1 : this.#size))) break;
      const passed = performance.now() - began;
      if (!this.isSlow) this.#size = Math.min(200, Math.max(1, Math.round((this.#size * PIECE) / passed)));
      if (this.isSlow) await new Promise((resolve) => setTimeout(resolve, 250));
      if (began - this.#measured > LEVELS_EVERY && this.#hasLevels) await this.#measure();
    }
    this.#isRunning = false;
    await this.#ended(key);
  }

  /** After the last step, or a pause. */
  async #ended(key) {
    const bench = this.#bench;
    bench.panels.refresh();
    bench.lesson.refresh();
    if (!this.ended || key !== this.#key) return;
    if (this.#hasLevels) await this.#measure();
    bench.paint();
    if (bench.plan.then === 'leap') await bench.painter.leap();
  }

  /** Some steps; whether they could be done. */
  async step(steps) {
    const bench = this.#bench;
    const [key, began] = [this.#key, performance.now()];
    const told = await bench.attempt(() =>
      bench.laboratory.ask('learn', 'learn', [{ steps, teacher: this.teacher }]),
    );
    if (!told || key !== this.#key) return false;
    const rate = (1000 * told.losses.length) / (performance.now() - began);
    this.#rate = this.#rate ? 0.9 * this.#rate + 0.1 * rate : rate;
    told.losses.forEach((loss, i) => this.#losses.push([this.steps + i + 1, loss]));
    [this.steps, this.ended] = [told.steps, told.ended];
    this.#draw();
    bench.panels.say(
      `Step ${this.steps.toLocaleString('en')} of ${bench.setup.steps.toLocaleString('en')}, ${figure(this.#rate)} a second`,
    );
    bench.paint();
    return true;
  }

  async #measure() {
    const levels = await this.#bench.attempt(() => this.#bench.laboratory.ask('learn', 'levels'));
    this.#measured = performance.now();
    if (levels) this.#levels = levels;
    this.#draw();
  }

  #draw() {
    const smooth = smoothed(this.#losses);
    const hasSigns = smooth.some(([, loss]) => loss <= 0);
    this.#bench.charts.show('loss', [{ name: 'loss', points: smooth, colour: 'accent' }], 'Loss by steps', {
      x: 'step',
      logY: !hasSigns,
    });
    const line = (name, key, colour) => ({
      name,
      colour,
      points: this.#levels.map((level) => [level.sigma, level[key]]),
    });
    const lines = [line('loss', 'loss', 'accent'), line('the least possible', 'least', 'second')];
    this.#bench.charts.show('levels', this.#levels.length ? lines : [], 'By noise level', {
      x: 'σ',
      logX: true,
      logY: true,
    });
  }
}

/** What decides whether a score is one of the same world. */
function worldOf({ world, sde }) {
  return JSON.stringify([world, sde]);
}

/** What decides what is learned. */
function keyOf({ sampler, half, count, ...rest }) {
  return JSON.stringify(rest);
}

/** A curve of at most 200 points, each the mean of its part. */
function smoothed(points) {
  const size = Math.max(1, Math.ceil(points.length / 200));
  const parts = Array.from({ length: Math.ceil(points.length / size) }, (_, i) =>
    points.slice(i * size, (i + 1) * size),
  );
  return parts.map((part) => [part.at(-1)[0], part.reduce((sum, [, loss]) => sum + loss, 0) / part.length]);
}
