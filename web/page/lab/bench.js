// The bench of the laboratory: one experiment, its pictures, and all that is done with it. The parts around it are the
// lesson, the panels with the settings, and the stages; each tells the bench what to change.

import { Laboratory } from '../../engine/lab.js';
import { elements, find, make, save } from '../dom.js';
import { record } from '../parts/recorder.js';
import { figure } from './chart.js';
import { Charts } from './charts.js';
import { LAYERS, difference, noiseAt } from './experiment.js';
import { Learner } from './learner.js';
import { LESSONS, OWN, WORDS, usualLanguage } from './lessons.js';
import { Lesson, lessonList } from './lesson.js';
import { Painter } from './painter.js';
import { Panels } from './panels.js';
import { Sampling } from './sampling.js';
import { Touch } from './touch.js';

const MARKUP = `
  <div class="lessons" role="group" aria-label="Lessons"></div>
  <div class="two">
    <div class="panel lab-panel">
      <article class="lesson"></article>
      <form class="settings-of-lab" aria-label="The experiment"></form>
    </div>
    <div class="result">
      <div class="lanes">
        <figure><canvas class="plane" tabindex="0" role="application" aria-label="The plane. Arrow keys move the point whose score is shown."></canvas><figcaption></figcaption></figure>
        <figure hidden><canvas class="plane" role="img" aria-label="The second plane"></canvas><figcaption></figcaption></figure>
      </div>
      <div class="transport" hidden></div>
      <div class="see row"></div>
      <div class="field noise">
        <label for="lab-noise">Noise level</label>
        <div class="row"><input id="lab-noise" type="range" min="0" max="1" step="0.002"><output class="sigma"></output></div>
      </div>
      <p class="probe hint" aria-live="off"></p>
      <dl class="figures lab-figures"></dl>
      <div class="charts"></div>
      <div class="tools">
        <button type="button" class="share">Copy link</button>
        <button type="button" class="embed">Copy code to embed</button>
        <button type="button" class="save-png">Save picture</button>
        <button type="button" class="save-video" aria-pressed="false">Record a video</button>
        <span class="shared hint"></span>
      </div>
    </div>
  </div>`;

export class Bench {
  #isWanted = false;
  #refreshing = null;

  static async open(section, app) {
    const laboratory = new Laboratory((error) => app.showError(`The laboratory stopped: ${error.message}`));
    const bench = new Bench(section, app, laboratory, await laboratory.open());
    await lessonList(bench, find('.lessons', section));
    return bench;
  }

  constructor(section, app, laboratory, catalogue) {
    find('.bench', section).append(...elements(MARKUP));
    Object.assign(this, { section, app, laboratory, catalogue });
    this.usual = Object.fromEntries([...catalogue.lessons, ['own', catalogue.setup]]); // the setup of each lesson
    this.loaded = ''; // the JSON of the experiment that is on the desk
    this.arranged = null;
    this.painter = new Painter(this, [...section.querySelectorAll('.lanes figure')]);
    this.charts = new Charts(find('.charts', section));
    this.learner = new Learner(this);
    this.sampling = new Sampling(this, find('.transport', section));
    this.lesson = new Lesson(this, find('.lesson', section));
    this.panels = new Panels(this, find('form', section));
    this.touch = new Touch(this);
    this.#boxes();
    this.#tools();
  }

  get state() {
    return this.app.state;
  }

  get language() {
    return this.state.language ?? usualLanguage();
  }

  get words() {
    return WORDS[this.language];
  }

  get plan() {
    return LESSONS[this.state.lesson] ?? OWN;
  }

  get see() {
    return new Set(this.state.see === null ? this.plan.see : this.state.see.split('.'));
  }

  get by() {
    return this.state.by ?? this.plan.by ?? 'true';
  }

  /** The noise level of the slider. */
  get sigma() {
    return noiseAt(this.state.level ?? this.plan.noise, this.arranged.levels);
  }

  /** Puts the state on the bench: another experiment begins where it asks for one. Of several wishes the latest waits. */
  async refresh() {
    this.#isWanted = true;
    this.#refreshing ??= this.#settle().finally(() => (this.#refreshing = null));
    return this.#refreshing;
  }

  async #settle() {
    while (this.#isWanted) {
      this.#isWanted = false;
      await this.#put();
    }
  }

  async #put() {
    const { state } = this;
    document.documentElement.classList.toggle('embed', state.embed);
    const setup = { ...this.usual[state.lesson], ...state.experiment };
    const text = JSON.stringify(setup);
    if (text !== this.loaded) await this.#begin(setup, text);
    this.lesson.refresh();
    this.panels.refresh();
    for (const box of this.section.querySelectorAll('.see input')) box.checked = this.see.has(box.name);
    find('#lab-noise', this.section).value = state.level ?? this.plan.noise;
    this.paint();
  }

  /** Another task is in front. */
  rest() {
    this.sampling.player.pause();
    this.learner.pause();
  }

  async #begin(setup, text) {
    const before = this.setup;
    this.sampling.clear();
    try {
      this.arranged = await this.laboratory.arrange(setup);
    } catch (error) {
      // A link may ask for what makes no experiment: the lesson's own does.
      const isOwn = text === JSON.stringify(this.usual[this.state.lesson]);
      if (isOwn) throw error;
      this.app.update({ experiment: before ? difference(before, this.usual[this.state.lesson]) : {} });
      this.app.showError(error.message, { isOver: () => true });
      return;
    }
    [this.setup, this.loaded] = [setup, text];
    this.learner.begin();
    this.lesson.begin();
    this.painter.clear();
  }

  samplerOf(name) {
    return this.catalogue.samplers.find((sampler) => sampler.name === name);
  }

  /** A sampler in few words, told apart from others of its kind by its corrector. */
  titleOf(name, { n_corrector }) {
    const { title } = this.samplerOf(name);
    if (n_corrector === undefined) return title;
    return n_corrector ? `${title}, ${n_corrector} corrector steps` : 'Predictor alone';
  }

  /** Changes parts of the experiment. */
  change(parts) {
    const setup = { ...this.setup, ...parts };
    this.app.update({ experiment: difference(setup, this.usual[this.state.lesson]) });
  }

  /** Chooses a lesson, as it is meant. */
  choose(lesson) {
    this.app.update({ lesson, experiment: {}, see: null, level: null, by: null });
  }

  /** What the lesson's button does. */
  async start() {
    await this.#refreshing;
    const { action } = this.plan;
    // On a phone the picture is below the text.
    const stage = find('.lanes', this.section);
    if (stage.getBoundingClientRect().bottom > innerHeight) {
      const behavior = matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth';
      stage.scrollIntoView({ behavior, block: 'nearest' });
    }
    if (action === 'sample') await this.sampling.start();
    if (action === 'learn') await this.learner.toggle();
    if (action === 'likelihood') await this.painter.likelihood();
    if (action === 'leap') await this.painter.leap();
  }

  paint() {
    if (this.arranged) this.painter.paint();
    find('.sigma', this.section).textContent = this.arranged ? `σ = ${figure(this.sigma)}` : '';
  }

  /** Runs what may fail, and tells the visitor if it does. */
  async attempt(work) {
    try {
      return await work();
    } catch (error) {
      if (error.code !== 'cancelled') {
        this.app.showError(error.message);
        if (!error.code) console.error(error);
      }
      return null;
    }
  }

  figures(rows) {
    const entries = rows.map(([term, value]) =>
      make('div', {}, make('dt', { textContent: term }), make('dd', { textContent: value })),
    );
    find('.lab-figures', this.section).replaceChildren(...entries);
  }

  #boxes() {
    const box = ([name, title]) => {
      const input = make('input', { type: 'checkbox', name });
      input.addEventListener('change', () => {
        const see = this.see;
        if (input.checked) see.add(name);
        else see.delete(name);
        this.app.update({ see: [...see].join('.') || 'none' });
      });
      return make('label', { className: 'check' }, input, title);
    };
    find('.see', this.section).append(...Object.entries(LAYERS).map(box));
    find('#lab-noise', this.section).addEventListener('input', ({ target }) => {
      this.sampling.leave();
      this.app.update({ level: target.valueAsNumber }, false);
      this.paint();
    });
  }

  #tools() {
    const { section, app } = this;
    const on = (selector, work) => find(selector, section).addEventListener('click', work);
    on('.share', () => app.copyLink());
    on('.embed', async () => {
      const source = `${location.href.replace(/#.*/, '')}${location.hash}&embed=1`;
      const code = `<iframe src="${source}" width="720" height="640" style="border:0" title="A score field"></iframe>`;
      try {
        await navigator.clipboard.writeText(code);
        app.tell('Code copied.');
      } catch {
        app.tell(code); // plain http denies the clipboard
      }
    });
    on('.save-png', () => {
      const { canvas } = this.painter.planes[0];
      canvas.toBlob((blob) => save(blob, `lab-${this.state.lesson}.png`));
    });
    let video = null;
    on('.save-video', async ({ target }) => {
      if (!video) {
        video = record(this.painter.planes[0].canvas);
        target.textContent = 'Stop and save';
        target.setAttribute('aria-pressed', 'true');
        return;
      }
      const made = await video.stop();
      video = null;
      target.textContent = 'Record a video';
      target.setAttribute('aria-pressed', 'false');
      if (made) save(made.blob, `lab-${this.state.lesson}.${made.ending}`);
      else app.tell('This browser records no video.');
    });
  }
}
