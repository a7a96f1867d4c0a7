// The task "Play": a sheet of latent codes between four corners, and the picture of one point, which follows at once. A
// consistency model makes it in one evaluation.

import { find, make, save } from '../dom.js';
import { fillSelect, optionsOf } from '../parts/controls.js';
import { EndpointView } from '../parts/endpoint.js';
import { record } from '../parts/recorder.js';
import { Runner } from '../parts/runner.js';
import { MAP_POINTS, Sheet } from '../parts/sheet.js';
import { show, toBytes } from '../pixels.js';
import { classTitle, classesOf } from '../state/classes.js';
import { endpointKey } from '../state/endpoint.js';
import { integer, name, number, whole } from '../state/keys.js';
import { MOST, RATE, pointOf, readWalk, writeWalk } from '../state/walk.js';

/** The corners by rows, as the state names them. */
const CORNERS = { nw: 'top left', ne: 'top right', sw: 'bottom left', se: 'bottom right' };

/** Of what is shown and recorded, about. */
const EDGE = 448;

const MARKUP = `
  <section id="play" class="task two" aria-labelledby="play-title" hidden>
    <form class="panel" inert>
      <h1 id="play-title">Play</h1>
      <p class="lede">A consistency model leaps from noise to a picture. Every point of the map is a noise between those of its four corners; move, and the picture follows.</p>
      <div class="field">
        <label for="player">Model</label>
        <select id="player" name="player" aria-describedby="play-refused"></select>
        <p class="hint" id="play-refused"></p>
      </div>
      <div class="pair">
        <div class="field wanted"><label for="wanted"></label><select id="wanted" name="wanted"></select></div>
        <div class="field">
          <label for="leaps">Steps</label>
          <select id="leaps" name="leaps">
            <option value="1">1, quick</option>
            <option value="2">2, clear</option>
            <option value="4">4</option>
          </select>
        </div>
      </div>
      <details class="corners"><summary>The four corners</summary><p class="hint encoder"></p></details>
      <button type="submit" class="primary start">Play</button>
      <div class="run"></div>
    </form>
    <div class="result">
      <div class="live" hidden>
        <canvas class="picture pixels" role="img" aria-label="The picture at the point"></canvas>
        <div class="sheet"></div>
        <p class="pace hint" role="status" aria-live="off"></p>
        <div class="tools">
          <button type="button" class="record" aria-pressed="false">Record a walk</button>
          <button type="button" class="replay" hidden>Replay</button>
          <button type="button" class="save-video" hidden>Save video</button>
          <button type="button" class="save-picture">Save picture</button>
          <button type="button" class="share">Copy link</button>
          <span class="shared hint"></span>
        </div>
      </div>
    </div>
  </section>`;

class PlayView {
  #section;
  #app;
  #form;
  #corners;
  #runner;
  #sheet;
  #codes = null; // of the corners
  #drawn = ''; // what the codes and the map were made for
  #wanted = null; // the point that is to be shown next
  #small = make('canvas');
  #isBusy = false;
  #pace = { frame: 0, between: 0, last: 0 };
  #walk = null; // that is being recorded: {points, timer, video}
  #video = null;
  #replay = 0;

  constructor(section, app) {
    this.#section = section;
    const view = this;
    // The parts ask for the app's model; here it is the player.
    this.#app = Object.create(app, { model: { get: () => view.#model } });
    this.#form = find('form', section);
    const holder = find('.corners', section);
    this.#corners = Object.entries(CORNERS).map(([key, place]) => {
      const field = make('fieldset', { className: 'end' }, make('legend', { textContent: place }));
      holder.append(field);
      return new EndpointView(field, key, this.#app, { name: `the corner at the ${place}` });
    });
    this.#runner = new Runner(section, app, () => this.start());
    this.#sheet = new Sheet(find('.sheet', section), (point) => this.#move(point));
    this.#wire();
  }

  get #models() {
    return this.#app.engine.models.filter(({ gives }) => gives === 'consistency');
  }

  get #model() {
    return this.#app.engine?.models.find((model) => model.name === this.#app.state.player);
  }

  /** A score model of the same images, which finds the codes of pictures. */
  get #encoder() {
    const fits = ({ gives, card }) =>
      (gives ?? 'score') === 'score' &&
      !card.architecture?.config?.style?.class_table &&
      ['dataset', 'channels', 'height', 'width'].every((key) => card[key] === this.#model.card[key]);
    return this.#app.engine.models.find(fits);
  }

  /** What the codes and pictures depend on. */
  get #subject() {
    const { state, engine } = this.#app;
    const corners = Object.keys(CORNERS).map((key) => state[key]);
    return JSON.stringify([engine?.device, state.player, state.wanted, state.leaps, corners]);
  }

  refresh() {
    const { engine, state } = this.#app;
    if (!engine) return;
    const form = this.#form.elements;
    const models = this.#models;
    form.player.replaceChildren(...optionsOf(models));
    form.player.value = state.player ?? '';
    find('#play-refused').textContent = models.length
      ? ''
      : 'There is no consistency model here; give one of yours under “Your model…” in another task.';
    find('.start', this.#form).disabled = !models.length;
    this.#form.inert = false;
    if (!this.#model) return;
    for (const corner of this.#corners) corner.refresh();
    const { count, names } = classesOf(this.#model, []);
    find('.wanted', this.#form).hidden = count === 0;
    find('.wanted label', this.#form).textContent = classTitle(this.#model);
    const classes = Array.from({ length: count }, (_, i) => ({ name: String(i), title: names[i] ?? String(i) }));
    fillSelect(form.wanted, [{ name: '', title: 'Any' }, ...classes], state.wanted ?? '');
    form.leaps.value = state.leaps;
    find('.encoder', this.#form).textContent = this.#encoder
      ? `Seeds are noise already. Pictures are encoded by ${this.#encoder.name}, along its probability-flow ODE.`
      : 'Seeds are noise already. There is no score model of such images here that could encode pictures.';
    find('.replay', this.#section).hidden = !state.walk;
    if (this.#codes && this.#drawn !== this.#subject && !this.#app.isRunning && !this.#section.hidden) this.start();
  }

  /** Finds the codes of the corners, draws the map, and is ready to move. */
  async start() {
    const app = this.#app;
    if (!this.#model) return;
    const missing = this.#missing;
    if (missing) return app.showError(missing, { isOver: () => this.#missing !== missing });
    const subject = this.#subject;
    // A link's walk begins at once, unless the visitor wants few things to move.
    const isCalm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    const replays = app.state.walk && app.state.run && !isCalm;
    this.#stopReplay();
    const ends = this.#corners.map((corner) => corner.request(this.#model));
    const encoder = ends.some(({ pixels }) => pixels) ? this.#encoder.name : undefined;
    const { player: model } = app.state;
    await app.run({
      runner: this.#runner,
      work: async (hooks) => {
        const { images } = await app.engine.encode({ model, encoder, ends }, hooks);
        const map = await app.engine.play({ ...this.#request(images), points: MAP_POINTS }, hooks);
        return { ...map, codes: images };
      },
      onResult: ({ codes, ...map }) => {
        this.#codes = codes;
        this.#drawn = subject;
        find('.live', this.#section).hidden = false;
        const batch = { ...map, data: toBytes(map.images) };
        this.#sheet.show(batch);
        this.#reveal(batch);
      },
      retry: () => this.start(),
    });
    if (this.#drawn !== subject) return;
    if (this.#drawn !== this.#subject) return this.refresh(); // it was changed meanwhile
    this.#move(app.state.at);
    this.#sheet.moveTo(app.state.at);
    if (replays) this.#play();
  }

  /** Why nothing can be drawn yet, as a sentence. */
  get #missing() {
    const missing = this.#corners.find((corner) => corner.missing)?.missing;
    const isPicture = Object.keys(CORNERS).some((key) => this.#app.state[key].kind !== 'seed');
    return missing ?? (isPicture && !this.#encoder ? 'No model here can encode a picture for this one; use seeds.' : '');
  }

  #request(corners) {
    const { player: model, wanted, leaps } = this.#app.state;
    return { model, corners, options: { n_steps: leaps }, ...(wanted !== null && { class: wanted }) };
  }

  /** The corners are seen on the map: their fields show them too. */
  #reveal({ width, height, channels, data, count }) {
    const size = width * height * channels;
    const side = Math.sqrt(count);
    [0, side - 1, count - side, count - 1].forEach((index, i) =>
      this.#corners[i].reveal({ width, height, channels, data: data.slice(index * size, (index + 1) * size) }),
    );
  }

  #move(point) {
    this.#app.update({ at: point }, false);
    this.#wanted = point;
    if (!this.#isBusy) this.#follow();
  }

  /** Draws the latest point until there is no newer one; at most one picture for each of the display's. */
  async #follow() {
    this.#isBusy = true;
    this.#pace.last = 0;
    try {
      while (this.#wanted && this.#codes) {
        const points = [this.#wanted];
        this.#wanted = null;
        const began = performance.now();
        const result = await this.#app.engine.play({ ...this.#request(this.#codes), points });
        this.#show(result);
        this.#count(performance.now() - began, result.nfe);
        await new Promise(requestAnimationFrame);
      }
    } catch (error) {
      // Another task computes, or the worker was replaced: the next start draws again.
      if (!['busy', 'cancelled', 'disposed'].includes(error.code)) this.#app.showError(error.message);
    } finally {
      this.#isBusy = false;
    }
  }

  #show({ width, height, channels, images }) {
    const small = this.#small;
    show(small, { width, height, channels, data: toBytes(images) });
    const canvas = find('.picture', this.#section);
    const scale = Math.max(1, Math.round(EDGE / width));
    if (canvas.width !== scale * width) [canvas.width, canvas.height] = [scale * width, scale * height];
    const context = canvas.getContext('2d');
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, canvas.width, canvas.height);
  }

  /** Says how long a picture takes, and how many come in a second while it moves. */
  #count(took, nfe) {
    const now = performance.now();
    const smooth = (old, value) => (old ? 0.9 * old + 0.1 * value : value);
    this.#pace.frame = smooth(this.#pace.frame, took);
    if (this.#pace.last) this.#pace.between = smooth(this.#pace.between, now - this.#pace.last);
    this.#pace.last = now;
    const rate = this.#pace.between ? `, ${Math.round(1000 / this.#pace.between)} pictures a second` : '';
    find('.pace', this.#section).textContent =
      `${this.#pace.frame.toFixed(1)} ms a picture, ${nfe} NFE${rate}`;
  }

  /** Records the point ten times a second, and the picture as a video. */
  async #record() {
    const button = find('.record', this.#section);
    if (!this.#walk) {
      this.#stopReplay();
      const points = [this.#app.state.at];
      const timer = setInterval(() => {
        points.push(this.#app.state.at);
        if (points.length === MOST) this.#record();
      }, 1000 / RATE);
      this.#walk = { points, timer, video: record(find('.picture', this.#section)) };
      button.textContent = 'Stop recording';
      button.setAttribute('aria-pressed', 'true');
      return;
    }
    const { points, timer, video } = this.#walk;
    this.#walk = null;
    clearInterval(timer);
    button.textContent = 'Record a walk';
    button.setAttribute('aria-pressed', 'false');
    this.#video = await video.stop();
    find('.save-video', this.#section).hidden = !this.#video;
    if (points.length > 1) this.#app.update({ walk: points });
    this.#app.tell(`A walk of ${(points.length / RATE).toFixed(1)} seconds; Copy link has it.`);
  }

  #play() {
    this.#stopReplay();
    const { walk } = this.#app.state;
    const began = performance.now();
    find('.replay', this.#section).textContent = 'Stop';
    const tick = (now) => {
      const point = pointOf(walk, Math.max(0, now - began) / 1000);
      this.#sheet.moveTo(point ?? walk.at(-1));
      this.#move(point ?? walk.at(-1));
      if (point) this.#replay = requestAnimationFrame(tick);
      else this.#stopReplay();
    };
    this.#replay = requestAnimationFrame(tick);
  }

  #stopReplay() {
    cancelAnimationFrame(this.#replay);
    this.#replay = 0;
    find('.replay', this.#section).textContent = 'Replay';
  }

  #wire() {
    const app = this.#app;
    const form = this.#form.elements;
    form.player.addEventListener('change', () => app.update({ player: form.player.value, wanted: null }));
    form.wanted.addEventListener('change', () =>
      app.update({ wanted: form.wanted.value === '' ? null : Number(form.wanted.value) }),
    );
    form.leaps.addEventListener('change', () => app.update({ leaps: Number(form.leaps.value) }));
    const on = (selector, handler) => find(selector, this.#section).addEventListener('click', handler);
    on('.record', () => this.#record());
    on('.replay', () => (this.#replay ? this.#stopReplay() : this.#play()));
    on('.save-video', () => save(this.#video.blob, `${app.state.player}-walk.${this.#video.ending}`));
    on('.save-picture', () =>
      find('.picture', this.#section).toBlob((blob) => save(blob, `${app.state.player}-play.png`)),
    );
    on('.share', () => app.copyLink());
  }
}

const seed = (digit, seed) => {
  const initial = { kind: 'seed', seed, index: 0 };
  return { ...endpointKey(digit, initial), initial };
};

export const play = {
  name: 'play',
  title: 'Play',
  markup: MARKUP,
  View: PlayView,
  keys: {
    player: {
      initial: null, // the first that there is
      read: name,
      settle(wanted, { engine, tell }) {
        const models = engine.models.filter(({ gives }) => gives === 'consistency');
        if (models.some((model) => model.name === wanted)) return wanted;
        if (wanted) tell(`The link asks for the consistency model “${wanted}”, which is not here.`);
        return models[0]?.name ?? null;
      },
    },
    nw: seed(0, 1),
    ne: seed(1, 2),
    sw: seed(2, 3),
    se: seed(3, 4),
    wanted: {
      initial: null, // any class
      read: whole,
      settle(value, { engine, tell }) {
        const most = Math.max(0, ...engine.models.map((model) => classesOf(model, []).count));
        if (value === null || value < most) return value;
        tell(`The link asks for class ${value}, which no model here has.`);
        return null;
      },
    },
    leaps: { initial: 1, read: integer(1, 4) },
    at: {
      initial: [0.5, 0.5],
      read(text) {
        const point = text.split(':').map(number(0, 1));
        return point.length === 2 && !point.includes(undefined) ? point : undefined;
      },
      write: (point) => point.map((share) => share.toFixed(3)).join(':'),
    },
    walk: { initial: null, read: readWalk, write: writeWalk },
  },
  link: () => ['player', ...Object.keys(CORNERS), 'wanted', 'leaps', 'at', 'walk'],
};
