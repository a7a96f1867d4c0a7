// What the pointer and the keys do on the plane: ask for the score of a place, drag modes, draw a world.

import { find } from '../dom.js';
import { figure } from './chart.js';

/** Points that a noisy point may have been. */
const POSSIBLE = 200;
/** How near to a mode, in pixels, one has to be to take hold of it. */
const REACH = 20;

export class Touch {
  #bench;
  #at = null; // where the score is shown, in the world
  #isAsking = false;
  #isWanted = false;
  #dragged = null; // the number of a mode
  #stroke = null;
  chosen = 0;
  isDrawing = false;

  constructor(bench) {
    this.#bench = bench;
    const { canvas } = bench.painter.planes[0];
    canvas.addEventListener('pointerdown', (event) => this.#down(event));
    canvas.addEventListener('pointermove', (event) => this.#move(event));
    for (const end of ['pointerup', 'pointercancel']) canvas.addEventListener(end, () => this.#up());
    canvas.addEventListener('pointerleave', () => this.#dragged === null && this.#forget());
    canvas.addEventListener('keydown', (event) => this.#key(event));
  }

  get #plane() {
    return this.#bench.painter.planes[0];
  }

  /** Whether the world is what is shown, and can be touched. */
  get #isOpen() {
    return !this.#bench.sampling.isShown && !this.#bench.painter.hasResult && Boolean(this.#bench.arranged);
  }

  draw() {
    this.isDrawing = true;
    this.#bench.sampling.leave();
    if (!this.#bench.setup.world.strokes) return this.#bench.change({ world: { strokes: [START] } });
    return this.#bench.app.update({});
  }

  stop() {
    this.isDrawing = false;
    this.#bench.panels.refresh();
  }

  clear() {
    this.isDrawing = true;
    this.#bench.change({ world: { strokes: [START] } });
  }

  /** The point under the pointer, or the last one, into the noise and back. */
  async round() {
    const { laboratory, by, setup } = this.#bench;
    const [x, y] = this.#at ?? [setup.half / 3, setup.half / 4];
    const told = await this.#bench.attempt(() =>
      laboratory.ask(by === 'learned' ? 'learn' : 'show', 'round', [{ x, y, by }]),
    );
    if (!told) return;
    const off = Math.hypot(told.back[0] - x, told.back[1] - y);
    const place = ([x, y]) => `(${figure(x)}, ${figure(y)})`;
    find('.round', this.#bench.section).textContent =
      `The point ${place([x, y])} has the code ${place(told.code)}, in deviations of the noise. From there it comes back to within ${figure(off)}; ${told.nfe} evaluations in all.`;
    if (this.#isOpen) this.#plane.show({ marks: [{ x, y, text: `code ${place(told.code)}` }] });
  }

  #down(event) {
    if (!this.#isOpen) return;
    const at = this.#plane.place(event);
    if (this.isDrawing) {
      this.#plane.canvas.setPointerCapture(event.pointerId);
      this.#stroke = [at];
      return;
    }
    const modes = this.#bench.arranged.modes;
    const pixel = (2 * this.#plane.half) / this.#plane.canvas.clientWidth;
    const near = modes.findIndex((mode) => Math.hypot(mode.at[0] - at[0], mode.at[1] - at[1]) < REACH * pixel);
    if (near < 0) return this.#probe(at);
    this.#plane.canvas.setPointerCapture(event.pointerId);
    this.chosen = this.#dragged = near;
    this.#bench.panels.refresh();
    this.#marks();
  }

  #move(event) {
    if (!this.#isOpen) return;
    const at = this.#plane.place(event);
    if (this.#stroke) {
      const last = this.#stroke.at(-1);
      if (Math.hypot(at[0] - last[0], at[1] - last[1]) > this.#plane.half / 20) this.#stroke.push(at);
      const points = Float32Array.from(this.#stroke.flat());
      this.#plane.show({ cloud: points, marks: null });
    } else if (this.#dragged !== null) {
      const { modes } = this.#bench.arranged;
      const moved = modes.map((mode, i) =>
        i === this.#dragged ? { ...mode, at: at.map((x) => Number(x.toFixed(3))) } : mode,
      );
      this.#bench.change({ world: { modes: moved } });
    } else if (!this.isDrawing) this.#probe(at);
  }

  #up() {
    if (this.#stroke?.length > 1) {
      const { strokes = [] } = this.#bench.setup.world;
      const old = strokes.filter((stroke) => JSON.stringify(stroke) !== JSON.stringify(START));
      const rounded = this.#stroke.map((at) => at.map((x) => Number(x.toFixed(2))));
      this.#bench.change({ world: { strokes: [...old, rounded] } });
      this.#plane.show({ cloud: null });
    }
    this.#stroke = this.#dragged = null;
  }

  #key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const move = moves[event.key];
    if (!move || !this.#isOpen) return;
    event.preventDefault();
    const step = this.#plane.half / (event.shiftKey ? 4 : 20);
    const at = this.#at ?? [0, 0];
    this.#probe(at.map((x, i) => Math.max(-this.#plane.half, Math.min(this.#plane.half, x + step * move[i]))));
  }

  /** Shows the score of a place, and what a noisy point there may have been; the latest wish waits. */
  async #probe(at) {
    this.#at = at;
    this.#isWanted = true;
    if (this.#isAsking) return;
    this.#isAsking = true;
    while (this.#isWanted) {
      this.#isWanted = false;
      const [x, y] = this.#at;
      const { laboratory, sigma, learner } = this.#bench;
      const request = { sigma, x, y, count: POSSIBLE };
      const told = await this.#bench.attempt(() => laboratory.ask('show', 'posterior', [request]));
      const knows = learner.steps > 0 && learner.isScore;
      const learned =
        told && knows
          ? await this.#bench.attempt(() => laboratory.ask('learn', 'posterior', [{ ...request, count: 1 }]))
          : null;
      if (told && this.#isOpen && this.#at) this.#shown(told, learned?.learned, sigma);
    }
    this.#isAsking = false;
  }

  #shown({ points, mean, score }, learned, sigma) {
    const [x, y] = this.#at;
    const marks = [
      { x, y, vector: [...score], colour: 'accent' },
      ...(learned ? [{ x, y, vector: [...learned], colour: 'second' }] : []),
      { x: mean[0], y: mean[1], colour: 'second' },
    ];
    this.#plane.show({ cloud: points, marks: [...marks, ...this.#modeMarks()] });
    const place = ([x, y]) => `(${figure(x)}, ${figure(y)})`;
    const also = learned ? `, learned ${place(learned)}` : '';
    find('.probe', this.#bench.section).textContent =
      `At ${place(this.#at)} with noise σ = ${figure(sigma)}: score ${place(score)}${also}; before the noise the point was ${place(mean)} in the mean.`;
  }

  #forget() {
    this.#at = null;
    if (!this.#isOpen) return;
    this.#plane.show({ cloud: null });
    this.#marks();
  }

  #marks() {
    this.#plane.show({ marks: this.#modeMarks() });
  }

  /** Circles to take hold of, once somebody edits the world. */
  #modeMarks() {
    const isEditing = find('details.world', this.#bench.section).open;
    if (!isEditing || this.isDrawing) return [];
    return this.#bench.arranged.modes.map(({ at: [x, y] }, i) => ({
      x,
      y,
      kind: i === this.chosen ? 'chosen' : 'mode',
      text: String(i + 1),
    }));
  }
}

/** What a drawing begins with: a world has to have something in it. */
const START = [
  [-1, 0],
  [1, 0],
];
