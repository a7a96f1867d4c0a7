// The task "Word": a text in the letters of a face that nobody has drawn. All its letters begin in the same noise, which
// gives them much in common; between two noises there are faces between two faces.

import { find, randomSeed, save } from '../dom.js';
import { bindNumber, fillSelect, isValid, optionField } from '../parts/controls.js';
import { Runner } from '../parts/runner.js';
import { Lettering } from '../parts/lettering.js';
import { name, number, whole } from '../state/keys.js';
import { lettersOf } from '../state/lettering.js';

const MOST = 24;

/** Letters and spaces, at least one letter. */
const TEXT = '[A-Za-z ]*[A-Za-z][A-Za-z ]*';

const MARKUP = `
  <section id="word" class="task two" aria-labelledby="word-title" hidden>
    <form class="panel" inert>
      <h1 id="word-title">Word</h1>
      <p class="lede">Letters of a face that nobody has drawn. All of them begin in the same noise, which gives them much in common, though less than a typeface has.</p>
      <div class="field">
        <label for="text">Text</label>
        <input id="text" name="text" autocomplete="off" autocapitalize="off" spellcheck="false" required
          maxlength="${MOST}" pattern="${TEXT}" aria-describedby="text-help">
        <p class="hint" id="text-help">Up to ${MOST} letters, A to Z and a to z.</p>
      </div>
      <div class="field writers">
        <label for="writer">Model</label>
        <select id="writer" name="writer" aria-describedby="word-refused"></select>
        <p class="hint" id="word-refused"></p>
      </div>
      <div class="pair">
        <div class="field"><label for="face">Face</label><input id="face" name="face" type="number" inputmode="numeric" min="0" max="9007199254740991" step="1" required></div>
        <div class="field"><label for="other">Another</label><input id="other" name="other" type="number" inputmode="numeric" min="0" max="9007199254740991" step="1" required></div>
      </div>
      <div class="between"></div>
      <button type="submit" class="primary start">Write</button>
    </form>
    <div class="result">
      <div class="run"></div>
      <div class="lettering"></div>
      <div class="tools" hidden>
        <button type="button" class="dice">Another face</button>
        <button type="button" class="save-png">Save PNG</button>
        <button type="button" class="save-svg">Save SVG</button>
        <button type="button" class="share">Copy link</button>
        <span class="shared hint"></span>
      </div>
    </div>
  </section>`;

const BETWEEN = {
  name: 'between',
  title: 'Between them',
  help: 'From the face to the other one, along the sphere of their noises.',
  min: 0,
  max: 1,
  isLog: false,
};

class WordView {
  #section;
  #app;
  #form;
  #runner;
  #lettering;
  #drawn = null; // the letters on show, and what they were drawn for: {letters, face}

  constructor(section, app) {
    this.#section = section;
    this.#app = app;
    this.#form = find('form', section);
    this.#runner = new Runner(section, app, () => this.start());
    this.#lettering = new Lettering(find('.lettering', section));
    this.#wire();
  }

  get #models() {
    return this.#app.engine.models.filter(writes);
  }

  get #model() {
    return this.#app.engine?.models.find((model) => model.name === this.#app.state.writer);
  }

  /** What letters depend on. */
  get #face() {
    const { writer, face, other, between } = this.#app.state;
    return JSON.stringify([writer, face, other, between]);
  }

  refresh() {
    const { engine, state } = this.#app;
    if (!engine) return;
    const form = this.#form.elements;
    const models = this.#models;
    fillSelect(form.writer, models, state.writer ?? '');
    find('.writers', this.#form).hidden = models.length === 1;
    const isQuick = models.some(({ gives }) => gives === 'consistency');
    const pace = isQuick ? 'A consistency model follows at once; the other draws cleaner letters.' : '';
    find('#word-refused').textContent = models.length
      ? pace
      : 'There is no model here that has learned the letters A to Z and a to z.';
    find('.start', this.#form).disabled = !models.length;
    this.#form.inert = false;
    form.text.value = state.word;
    form.face.value = state.face;
    form.other.value = state.other;
    const onInput = (between) => {
      this.#app.update({ between }, false);
      this.#follow();
    };
    find('.between', this.#form).replaceChildren(optionField(BETWEEN, state.between, onInput, { slider: true }));
    this.#follow();
  }

  async start() {
    const app = this.#app;
    if (!this.#model || !isValid(this.#form)) return;
    const { word, writer: model, face, other, between: share } = app.state;
    const drawn = { letters: lettersOf(word), face: this.#face };
    const { letters } = drawn;
    const names = this.#model.card.class_names;
    const request = {
      model,
      ...QUICK[this.#model.gives ?? 'score'],
      count: letters.length,
      classes: letters.map((letter) => names.indexOf(letter)),
      latent: { a: { seed: face }, b: { seed: other }, share },
      preview_every: 1,
    };
    await app.run({
      runner: this.#runner,
      work: (hooks) => app.engine.sample(request, hooks),
      onPreview: (preview) =>
        this.#lettering.show(word, letters, { ...preview, images: preview.denoised ?? preview.images }),
      onResult: (result) => {
        this.#drawn = drawn;
        this.#lettering.show(word, letters, result);
        this.#lettering.label = `“${word}” in face ${face}`;
        find('.tools', this.#section).hidden = false;
      },
      retry: () => this.start(),
    });
    if (this.#drawn === drawn) this.#follow(); // it was changed meanwhile
  }

  /** Once there are letters they follow what is asked for: at once, where there are all that it takes. */
  #follow() {
    const { isRunning, state } = this.#app;
    if (!this.#drawn || isRunning || this.#section.hidden) return;
    const { letters, face } = this.#drawn;
    const isThere = face === this.#face && lettersOf(state.word).every((letter) => letters.includes(letter));
    if (isThere) this.#lettering.set(state.word);
    else this.start();
  }

  #wire() {
    const app = this.#app;
    const form = this.#form.elements;
    form.text.addEventListener('change', () => form.text.checkValidity() && app.update({ word: form.text.value }));
    form.writer.addEventListener('change', () => app.update({ writer: form.writer.value }));
    for (const key of ['face', 'other']) bindNumber(form[key], key, app);
    for (const key of ['face', 'other']) form[key].addEventListener('change', () => this.#follow());
    const on = (selector, handler) => find(selector, this.#section).addEventListener('click', handler);
    on('.dice', () => app.update({ face: randomSeed(), between: 0 }));
    const file = (ending) => `${app.state.word.replaceAll(' ', '-')}-face${app.state.face}.${ending}`;
    on('.save-png', async () => save(await this.#lettering.png(), file('png')));
    on('.save-svg', async () =>
      save(await this.#lettering.svg((letters) => app.engine.outline(letters)), file('svg')),
    );
    on('.share', () => app.copyLink());
  }
}

/** Whether a model has learned all letters. */
function writes({ card }) {
  return card.channels === 1 && LETTERS.every((letter) => card.class_names?.includes(letter));
}

const LETTERS = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'];

/** Without fresh noise on the way: only the beginning may make letters differ. */
const QUICK = {
  score: { sampler: 'heun', options: { n_steps: 10 } },
  consistency: { sampler: 'multistep', options: { n_steps: 1 } },
};

export const word = {
  name: 'word',
  title: 'Word',
  markup: MARKUP,
  View: WordView,
  keys: {
    writer: {
      initial: null, // the first that there is
      read: name,
      settle(wanted, { engine, tell }) {
        const models = engine.models.filter(writes);
        if (models.some((model) => model.name === wanted)) return wanted;
        if (wanted) tell(`The link asks for letters of the model “${wanted}”, which is not here or knows none.`);
        return models[0]?.name ?? null;
      },
    },
    word: {
      initial: 'Scorefield',
      read: (text) => (new RegExp(`^${TEXT}$`).test(text) && text.length <= MOST ? text : undefined),
    },
    face: { initial: 7, read: whole },
    other: { initial: 8, read: whole },
    between: { initial: 0, read: number(0, 1) },
  },
  link: () => ['writer', 'word', 'face', 'other', 'between'],
};
