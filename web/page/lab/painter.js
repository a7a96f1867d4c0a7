// Asks the desks for what is to be seen, and draws it. Pictures come as fast as the desks answer: while one is made, only the
// latest wish waits.

import { find } from '../dom.js';
import { figure } from './chart.js';
import { NOTHING, Plane, seen } from './plane.js';

/** Places in a row: of shading, of arrows, of the error, of the density by the ODE, of the grid of noises. */
const PLACES = { density: 80, arrows: 19, error: 41, likelihood: 48, leap: 25 };
/** Points of the world that are drawn. */
const MOST = 3000;

export class Painter {
  #bench;
  #figures;
  #isBusy = false;
  #isWanted = false;
  #shades = [{}, {}]; // of each plane's frames: the noise level that is shaded, and the one that is wanted
  #kept = {}; // the last answer of each kind, and what it answers
  #result = false; // whether a result is shown in place of the world

  constructor(bench, figures) {
    this.#bench = bench;
    this.#figures = figures;
    this.planes = figures.map((figure) => new Plane(find('canvas', figure)));
  }

  clear() {
    this.#shades = [{}, {}];
    this.#result = false;
    this.#bench.section.classList.remove('away');
    this.second(false);
    for (const plane of this.planes) plane.show(NOTHING);
    this.captions(['', '']);
    this.#bench.figures([]);
  }

  /** Whether there are two planes. */
  second(isThere) {
    this.#figures[1].hidden = !isThere;
    this.#figures[0].parentElement.classList.toggle('pair-of-lanes', isThere);
  }

  captions(texts) {
    this.#figures.forEach((figure, i) => (find('figcaption', figure).textContent = texts[i]));
  }

  /** Shows the world at the noise level of the slider, unless frames or a result are shown. */
  async paint() {
    this.#isWanted = true;
    if (this.#isBusy) return;
    this.#isBusy = true;
    while (this.#isWanted) {
      this.#isWanted = false;
      if (!this.#bench.sampling.isShown && !this.#result) await this.#bench.attempt(() => this.#world());
    }
    this.#isBusy = false;
  }

  async #world() {
    const { laboratory, sigma, see, setup, learner } = this.#bench;
    const [plane] = this.planes;
    const half = seen(setup.half, sigma);
    const knows = learner.steps > 0 && learner.isScore;
    const learnt = (places) => laboratory.ask('learn', 'field', [{ sigma, places, by: 'learned' }]);
    const [density, points, truth, learned, error] = await Promise.all([
      see.has('density') && this.#once('density', { sigma, places: PLACES.density }),
      see.has('points') && this.#once('exact', { sigma, count: Math.min(MOST, setup.count) }),
      see.has('arrows') && this.#once('field', { sigma, places: PLACES.arrows, by: 'true' }),
      knows && (see.has('learned') || see.has('difference')) && learnt(PLACES.arrows),
      see.has('error') && knows && learnt(PLACES.error),
    ]);
    if (this.#bench.sampling.isShown || this.#result) return;
    const field = truth || learned;
    const arrows = [
      truth && { vectors: truth.truth, colour: 'accent' },
      learned && see.has('learned') && { vectors: learned.found, colour: 'second' },
      learned &&
        see.has('difference') && {
          vectors: learned.found.map((x, i) => x - learned.truth[i]),
          colour: 'ink',
          isError: true,
        },
    ].filter(Boolean);
    // All to the scale of the true score: a small difference is to look small.
    const longest = field && longestOf(field.truth);
    const shade = error
      ? { values: errorOf(error), kind: 'error' }
      : density && { values: density, kind: 'density' };
    this.#shades[0] = {};
    plane.half = half;
    plane.show({
      shade: shade || null,
      points: points || null,
      trails: null,
      arrows: arrows.map((layer) => ({ ...layer, at: field.at, places: PLACES.arrows, longest })),
      grid: null,
    });
  }

  /** What the world says, which stays the same while something is learned. */
  async #once(type, request) {
    const key = JSON.stringify([this.#bench.loaded, request]);
    if (this.#kept[type]?.key !== key)
      this.#kept[type] = { key, told: await this.#bench.laboratory.ask('show', type, [request]) };
    return this.#kept[type].told;
  }

  /** Shows frames of a sampling, one for each plane, before the density of their noise. */
  frames(frames, player) {
    const { see, setup } = this.#bench;
    this.#result = false;
    frames.forEach((frame, k) => {
      if (!frame) return;
      const plane = this.planes[k];
      const lane = player.lanes[k];
      const at = lane.indexOf(frame);
      plane.half = seen(setup.half, frame.sigma);
      const { shade: _, ...others } = NOTHING; // which follows when there is time for it
      plane.show({
        ...others,
        points: { seen: frame.seen },
        trails: lane
          .slice(Math.max(0, at - 12), at + 1)
          .map((past) => ({ seen: past.seen, zoom: seen(setup.half, past.sigma) / plane.half })),
      });
      if (see.has('density')) this.#shadeFor(k, frame.sigma);
      else plane.show({ shade: null });
    });
  }

  /** What a score believes that frames are, in the world without noise. */
  estimates(frames, player) {
    this.frames(frames, { lanes: player.lanes.map((_, k) => [frames[k]]) });
  }

  /** The density of a frame's noise, when there is time for it; of several wishes the latest waits. */
  async #shadeFor(k, sigma) {
    const shade = this.#shades[k];
    shade.wanted = sigma;
    if (shade.isBusy) return;
    shade.isBusy = true;
    while (shade === this.#shades[k] && shade.wanted !== shade.shown) {
      const wanted = shade.wanted;
      const request = { sigma: wanted, places: PLACES.density };
      const told = await this.#bench.attempt(() => this.#bench.laboratory.ask('show', 'density', [request]));
      if (shade !== this.#shades[k]) return; // something else is shown by now
      shade.shown = wanted;
      if (told) this.planes[k].show({ shade: { values: told, kind: 'density' } });
    }
    shade.isBusy = false;
  }

  /** The density by the ODE beside the formula's. */
  async likelihood() {
    const { laboratory, by, setup, app } = this.#bench;
    const role = by === 'learned' ? 'learn' : 'draw';
    this.#bench.sampling.clear();
    this.#hold();
    this.captions(['Computing …', '']);
    const hooks = { onProgress: ({ nfe }) => this.captions([`Computing: ${nfe} evaluations …`, '']) };
    const request = { places: PLACES.likelihood, by };
    const told = await this.#bench.attempt(() => laboratory.ask(role, 'likelihood', [request], hooks));
    if (!told) return this.release();
    this.second(true);
    const top = told.truth.reduce((most, nats) => Math.max(most, nats), -Infinity);
    // Ten nats below the peak nothing is left to be seen.
    const shade = (nats) => ({ values: nats.map((value) => 1 + (value - top) / 10), kind: 'nats' });
    this.#shown(0, setup.half, { shade: shade(told.found) });
    this.#shown(1, setup.half, { shade: shade(told.truth) });
    this.captions(['By the ODE', 'By the formula']);
    this.#bench.figures([
      ['Integral by the ODE', figure(told.integral)],
      ['Mean error', `${figure(told.error)} nats`],
      ['Network evaluations', figure(told.nfe)],
    ]);
    app.announce(`The integral is ${figure(told.integral)}, the mean error ${figure(told.error)} nats.`);
  }

  /** Where a square of noises is led to. */
  async leap() {
    const { laboratory, learner, setup, by } = this.#bench;
    const isLearned = by === 'learned' && learner.steps > 0;
    this.#bench.sampling.clear();
    this.#hold();
    const request = { places: PLACES.leap, by: isLearned ? 'learned' : 'true' };
    const hooks = { onProgress: ({ nfe }) => this.captions([`Computing: ${nfe} evaluations …`, '']) };
    const told = await this.#bench.attempt(() =>
      laboratory.ask(isLearned ? 'learn' : 'draw', 'leap', [request], hooks),
    );
    if (!told) return this.release();
    this.second(true);
    this.#shown(0, 3, { grid: { points: told.from, places: PLACES.leap } });
    this.#shown(1, setup.half, { grid: { points: told.to, places: PLACES.leap } });
    this.captions([
      'Noises',
      `Where they are led to: ${told.nfe === 1 ? 'one evaluation' : `${told.nfe} evaluations`}`,
    ]);
    this.#bench.figures([['Network evaluations', figure(told.nfe)]]);
  }

  #hold() {
    this.#result = true;
    this.#bench.section.classList.add('away');
  }

  /** The world again. */
  release() {
    if (!this.#result) return;
    this.clear();
    this.paint();
  }

  #shown(k, half, layers) {
    this.planes[k].half = half;
    this.planes[k].show({ ...NOTHING, ...layers });
  }

  get hasResult() {
    return this.#result;
  }
}

/** The length of the longest of some vectors. */
function longestOf(vectors) {
  let longest = 0;
  for (let i = 0; i < vectors.length; i += 2) longest = Math.max(longest, Math.hypot(vectors[i], vectors[i + 1]));
  return longest;
}

/** The length of the error relative to that of the true score, place by place. */
function errorOf({ found, truth }) {
  return Float32Array.from({ length: truth.length / 2 }, (_, i) => {
    const [dx, dy] = [found[2 * i] - truth[2 * i], found[2 * i + 1] - truth[2 * i + 1]];
    return Math.hypot(dx, dy) / (Math.hypot(truth[2 * i], truth[2 * i + 1]) + 1e-9);
  });
}
