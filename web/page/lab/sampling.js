// Points on their way: one sampler or two from the same noise, recorded as they come, played as the visitor likes, and
// judged when they have arrived.

import { find, make } from '../dom.js';
import { figure } from './chart.js';
import { Player } from './player.js';
import { seen } from './plane.js';

/** Frames of a run, and numbers that all its frames hold together: what memory there is for them. */
const MOST_FRAMES = 300;
const MOST_NUMBERS = 2e7;
/** Frames of which the distance is measured. */
const JUDGED = 10;

const MARKUP = `
  <button type="button" class="backwards" title="Play backwards"><span aria-hidden="true">◀</span><span class="quiet">Play backwards</span></button>
  <button type="button" class="back" title="One step back"><span aria-hidden="true">−1</span><span class="quiet">One step back</span></button>
  <button type="button" class="forwards" title="Play">Play</button>
  <button type="button" class="on" title="One step on"><span aria-hidden="true">+1</span><span class="quiet">One step on</span></button>
  <input type="range" class="place" min="0" step="1" value="0" aria-label="Step">
  <label class="speed">Speed <select><option value="0.1">1/10</option><option value="0.3">1/3</option><option value="1" selected>1</option><option value="3">3</option></select></label>
  <label class="check"><input type="checkbox" class="estimates"> Denoised</label>
  <button type="button" class="leave">World</button>
  <span class="state hint"></span>`;

export class Sampling {
  #bench;
  #holder;
  #run = 0; // its number: what comes of an older one is dropped
  #isBusy = false;
  #shows = false;

  constructor(bench, holder) {
    this.#bench = bench;
    this.#holder = holder;
    holder.innerHTML = MARKUP;
    this.player = new Player((frames, player) => this.#show(frames, player));
    const on = (selector, event, work) => find(selector, holder).addEventListener(event, work);
    on('.forwards', 'click', () => (this.player.isPlaying ? this.player.pause() : this.player.play(1)));
    on('.backwards', 'click', () => this.player.play(-1));
    on('.back', 'click', () => this.#step(-1));
    on('.on', 'click', () => this.#step(1));
    on('.place', 'input', ({ target }) => {
      const wanted = target.valueAsNumber; // a pause moves it to what is shown
      this.player.pause();
      this.player.seek(wanted);
    });
    on('select', 'change', ({ target }) => (this.player.speed = Number(target.value)));
    on('.estimates', 'change', () => this.player.seek(this.player.index));
    on('.leave', 'click', () => {
      this.clear();
      this.#bench.paint();
    });
  }

  /** Whether frames are shown, and not the world. */
  get isShown() {
    return this.#shows;
  }

  get isBusy() {
    return this.#isBusy;
  }

  /** What is drawn: each with a name and a sampler. */
  get #lanes() {
    const { setup, by, plan, panels } = this.#bench;
    const { compare } = panels;
    const second = compare === 'plan' ? plan.compare : compare && { name: compare };
    const lanes = [setup.sampler, second].filter(Boolean);
    return lanes.map(({ name, ...options }, i) => ({
      name,
      options,
      title: this.#bench.titleOf(name, options),
      role: this.#roleOf(i, by),
    }));
  }

  #roleOf(lane, by) {
    if (by === 'learned') return 'learn';
    return lane ? 'second' : 'draw';
  }

  /** Draws anew. */
  async start() {
    const bench = this.#bench;
    if (this.#isBusy) return this.stop();
    const lanes = this.#lanes;
    bench.painter.clear();
    bench.painter.second(lanes.length > 1);
    bench.painter.captions(lanes.length > 1 ? lanes.map(({ title }) => title) : ['', '']);
    this.#begin(lanes);
    const run = ++this.#run;
    this.#isBusy = true;
    bench.lesson.refresh();
    // Who wants no motion is shown where the points arrive, and goes through the steps by hand.
    const isStill = matchMedia('(prefers-reduced-motion: reduce)').matches;
    if (!isStill) this.player.play(1);
    const drawn = await Promise.all(lanes.map((lane, i) => bench.attempt(() => this.#draw(lane, i, run))));
    if (run !== this.#run) return;
    this.#isBusy = false;
    this.player.end();
    if (isStill) this.player.seek(this.player.length - 1);
    bench.lesson.refresh();
    if (drawn.every(Boolean)) await this.#judge(lanes, drawn, run);
  }

  stop() {
    for (const role of ['draw', 'second', 'learn']) this.#bench.laboratory.cancel(role);
  }

  /** Forgets what was drawn. */
  clear() {
    if (this.#isBusy) this.stop();
    this.#run++;
    this.#isBusy = false;
    this.player.begin(0);
    this.#shows = false;
    this.#holder.hidden = true;
    this.#bench.section.classList.remove('away');
    this.#bench.painter.second(false);
    this.#bench.painter.captions(['', '']);
    this.#distances([]);
  }

  /** Shows the world again, if frames are shown. */
  leave() {
    if (this.#shows) this.clear();
  }

  #begin(lanes) {
    this.player.begin(lanes.length);
    this.#shows = true;
    this.#holder.hidden = false;
    this.#bench.section.classList.add('away');
    this.#bench.figures([]);
    this.#distances([]);
  }

  async #draw({ name, options, role }, lane, run) {
    const { laboratory, setup, by } = this.#bench;
    const count = setup.count;
    const frames = Math.max(20, Math.min(MOST_FRAMES, Math.floor(MOST_NUMBERS / (2 * count))));
    const steps = stepsOf(options, this.#bench.samplerOf(name));
    const every = Math.ceil(steps / frames);
    if (lane === 0) this.player.expected = steps / every;
    const request = { sampler: name, options, by, count, every };
    const hooks = {
      onFrame: ({ points, sigma }) =>
        run === this.#run && this.player.add(lane, { seen: points, sigma, nfe: 0, step: 0 }),
      onProgress: ({ nfe, step }) => {
        const last = this.player.lanes[lane]?.at(-1);
        if (run === this.#run && last && !last.step) Object.assign(last, { nfe, step });
      },
    };
    return laboratory.ask(role, 'sample', [request], hooks);
  }

  async #judge(lanes, drawn, run) {
    const { laboratory, setup, arranged, app } = this.#bench;
    const judge = (points, sigma) => laboratory.ask('show', 'judge', [points, sigma]);
    const verdicts = await this.#bench.attempt(() => Promise.all(drawn.map(({ points }) => judge(points, 0))));
    if (!verdicts || run !== this.#run) return;
    const share = ({ mean, error }) => `${mean.toFixed(3)} ± ${error.toFixed(3)}`;
    const each = (value) => drawn.map((_, i) => value(i)).join(' | ');
    const { modes: [first] = [] } = arranged;
    const rows = [
      ['Evaluations (NFE)', each((i) => figure(drawn[i].nfe))],
      ['Distance to the truth', each((i) => verdicts[i].distance.toFixed(3))],
      ['The same of exact points', verdicts[0].floor.toFixed(3)],
      ...(arranged.modes.length === 2
        ? [[`Share of the mode of ${figure(first.weight)}`, each((i) => share(verdicts[i].weights[0]))]]
        : []),
      ['Time', each((i) => `${drawn[i].seconds.toFixed(2)} s`)],
    ];
    this.#bench.figures(rows);
    app.announce(rows.map(([term, value]) => `${term}: ${value}`).join('. '));
    const curves = [];
    for (const [i, lane] of this.player.lanes.entries()) {
      const some = lane.filter((_, k) => k % Math.ceil(lane.length / JUDGED) === 0 || k === lane.length - 1);
      const points = [];
      for (const { seen: shares, sigma, nfe } of some) {
        const half = seen(setup.half, sigma);
        const told = await this.#bench.attempt(() =>
          judge(
            shares.slice(0, 1000).map((share) => half * share),
            sigma,
          ),
        );
        if (!told || run !== this.#run) return;
        // At every noise in units of what is seen, which is as large as the noise.
        points.push([nfe, (told.distance * setup.half) / half]);
      }
      curves.push({ name: lanes[i].title, points });
    }
    this.#distances(curves);
  }

  #distances(curves) {
    const lines = curves.map(({ name, points }, i) => ({ name, points, colour: i ? 'second' : 'accent' }));
    this.#bench.charts.show('distance', lines, 'Distance to the truth of the same noise, by evaluations', {
      x: 'NFE',
    });
  }

  #step(by) {
    this.player.pause();
    this.player.seek(this.player.index + by);
  }

  #show(frames, player) {
    const place = find('.place', this.#holder);
    place.max = Math.max(0, player.length - 1);
    place.value = player.index;
    find('.forwards', this.#holder).textContent = player.isPlaying ? 'Pause' : 'Play';
    const [{ step, nfe, sigma }] = frames;
    find('.state', this.#holder).textContent = `Step ${step}, ${nfe} evaluations, σ = ${figure(sigma)}`;
    if (find('.estimates', this.#holder).checked) this.#estimates(frames, player);
    else this.#bench.painter.frames(frames, player);
  }

  /** What the score believes that the points of a frame are. */
  async #estimates(frames, player) {
    const { laboratory, setup, by } = this.#bench;
    const run = this.#run;
    const shown = await this.#bench.attempt(() =>
      Promise.all(
        frames.map(async (frame) => {
          if (!frame) return null;
          const half = seen(setup.half, frame.sigma);
          const role = by === 'learned' ? 'learn' : 'show';
          const noisy = frame.seen.map((share) => half * share);
          const points = await laboratory.ask(role, 'denoised', [noisy, { sigma: frame.sigma, by }]);
          return { ...frame, seen: points.map((x) => x / setup.half), sigma: 1e-9 };
        }),
      ),
    );
    if (shown && run === this.#run && this.#shows) this.#bench.painter.estimates(shown, player);
  }
}

/** How many steps a sampler takes: what its options say, or as usual. */
function stepsOf({ n_steps, n_steps_each = 1 }, { options }) {
  const usual = options.find(({ name }) => name === 'n_steps')?.default ?? 100;
  return (n_steps ?? usual) * n_steps_each;
}
