// The dialog "Your model": takes the files of a model, says what they are, and lists the visitor's own models.

import { elements, find, findAll, make, megabytes } from '../dom.js';
import { chosen, dropped } from './folder.js';
import { useModel } from './model-field.js';

const MARKUP = `
  <dialog id="own-models" aria-labelledby="own-title">
    <div class="own-head">
      <h2 id="own-title">Your model</h2>
      <button type="button" class="close" aria-label="Close">✕</button>
    </div>
    <p>A model file of Scorefield, or a published model with its configuration: a folder of diffusers, or weights of Score-SDE or NCSN as safetensors. It is read here, in your browser, and never uploaded.</p>
    <div class="drop">
      <div class="actions">
        <button type="button" class="choose-files" autofocus>Choose files</button>
        <button type="button" class="choose-folder">Choose a folder</button>
      </div>
      <p class="hint">Choose weights and configuration together, or drop them on this page.</p>
      <input type="file" class="files" aria-label="Files of a model" multiple hidden>
      <input type="file" class="folder" aria-label="The folder of a model" webkitdirectory hidden>
    </div>
    <div class="reading row" hidden>
      <progress aria-label="Reading"></progress>
      <span>Reading …</span>
      <button type="button" class="cancel">Cancel</button>
    </div>
    <p class="refusal" role="alert"></p>
    <div class="own-list"></div>
    <p class="quiet" role="status"></p>
  </dialog>`;

const NETWORKS = { unet: 'U-Net', refinenet: 'RefineNet', mlp: 'Perceptron' };

export class OwnModels {
  #app;
  #dialog;
  #reading = null; // ends the reading that goes on
  #remarks = new Map(); // what is to be said of a model, by its name

  constructor(app) {
    this.#app = app;
    [this.#dialog] = elements(MARKUP);
    document.body.append(this.#dialog);
    this.#wire();
  }

  open() {
    this.#refuse('');
    this.#list();
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  /** Makes a model of `{path, blob}`s; `files` is a promise of them. */
  async #read(files) {
    this.#reading?.abort();
    const reading = (this.#reading = new AbortController());
    this.open();
    this.#busy(true);
    try {
      const model = await this.#app.addModel(await files, reading.signal);
      this.#list(model);
      this.#say(`${model.title} is read.`);
    } catch (error) {
      if (!error.code) console.error(error); // a mistake of the page itself
      if (error.code !== 'cancelled') this.#refuse(error.message);
    }
    if (this.#reading === reading) this.#busy(false);
  }

  #busy(isBusy) {
    find('.reading', this.#dialog).hidden = !isBusy;
    for (const button of findAll('.drop button', this.#dialog)) button.disabled = isBusy;
    const cancel = find('.reading .cancel', this.#dialog);
    if (isBusy) cancel.focus();
    else if ([cancel, document.body].includes(document.activeElement)) find('.choose-files', this.#dialog).focus();
  }

  /** The program's words as a sentence. */
  #refuse(problem) {
    const sentence = problem && problem[0].toUpperCase() + problem.slice(1).replace(/\.?$/, '.');
    find('.refusal', this.#dialog).textContent = sentence;
  }

  #say(sentence) {
    find('[role=status]', this.#dialog).textContent = sentence;
  }

  /** Shows the visitor's models; that which is `fresh` first, and with the focus. */
  #list(fresh) {
    const own = this.#app.engine.models.filter((model) => model.own).reverse();
    const sorted = own.toSorted((a, b) => (b === fresh) - (a === fresh));
    find('.own-list', this.#dialog).replaceChildren(...sorted.map((model) => this.#card(model)));
    if (fresh) find('.own-list .use', this.#dialog).focus();
  }

  #card(model) {
    const { title, name, sha256 } = model;
    const button = (className, textContent, onClick) => {
      const made = make('button', { type: 'button', className, textContent });
      made.setAttribute('aria-label', `${textContent}: ${name}`);
      made.addEventListener('click', onClick);
      return made;
    };
    const use = button('primary use', 'Use it', () => {
      useModel(name, this.#app);
      this.#dialog.close();
    });
    const keep = button('keep', 'Keep it for the next visit', () => this.#keep(model));
    keep.hidden = this.#app.keptModels.has(sha256);
    const forget = button('forget', 'Forget it', () => this.#forget(model));
    const remark = make('p', { className: 'hint', textContent: this.#remarks.get(name) ?? '' });
    if (keep.hidden) remark.textContent ||= 'It is kept for the next visit.';
    return make(
      'section',
      { className: 'own-card', 'aria-label': name },
      make('h3', { textContent: title }),
      make('dl', { className: 'facts' }, ...facts(model)),
      make('div', { className: 'actions' }, use, keep, forget),
      remark,
    );
  }

  async #keep(model) {
    try {
      const isSafe = await this.#app.keepModel(model);
      const remark = isSafe ? 'It is kept for the next visit.' : 'It is kept, unless your browser needs the space.';
      this.#remarks.set(model.name, remark);
    } catch (error) {
      this.#remarks.set(model.name, `There is no room to keep it (${error.message}).`);
    }
    this.#list(model);
    this.#say(this.#remarks.get(model.name));
  }

  async #forget(model) {
    this.#remarks.delete(model.name);
    await this.#app.forgetModel(model);
    this.#list();
    this.#say(`${model.title} is forgotten.`);
    find('.choose-files', this.#dialog).focus();
  }

  #wire() {
    const dialog = this.#dialog;
    find('.close', dialog).addEventListener('click', () => dialog.close());
    find('.reading .cancel', dialog).addEventListener('click', () => this.#reading.abort());
    dialog.addEventListener('close', () => this.#reading?.abort());
    for (const kind of ['files', 'folder']) {
      const input = find(`input.${kind}`, dialog);
      const button = find(`.choose-${kind}`, dialog);
      button.addEventListener('click', () => input.click());
      button.hidden = kind === 'folder' && !('webkitdirectory' in input); // phones know no folders
      input.addEventListener('change', () => {
        if (input.files.length) this.#read(chosen(input.files));
        input.value = ''; // so that the same files can be chosen again
      });
    }
    // Anywhere: a browser would leave the page for a file that is dropped beside a field.
    document.addEventListener('dragover', (event) => event.preventDefault());
    document.addEventListener('drop', (event) => {
      if (event.defaultPrevented) return; // a field has taken it
      event.preventDefault();
      if (this.#app.engine && event.dataTransfer.files.length) this.#read(dropped(event.dataTransfer));
    });
  }
}

/** Test models are tiny. */
const size = (bytes) => (bytes < 1e5 ? `${Math.ceil(bytes / 1e3)} kB` : megabytes(bytes));

/** What a model is, as rows. */
function facts({ bytes, memory, gives, card }) {
  const { kind, config } = card.architecture;
  const classes = config.classes ?? 0;
  const licence = card.published?.licence ?? 'not stated';
  const network = NETWORKS[kind] ?? kind;
  const rows = {
    Network: gives === 'consistency' ? `${network}, a consistency model: it draws in few steps` : network,
    Images: `${card.width} x ${card.height} pixels, ${card.channels === 3 ? 'in colour' : 'grey'}`,
    Classes: classes ? `${classes}${config.style?.class_table ? ', of which one has to be chosen' : ''}` : null,
    Licence: card.published ? licence : null,
    File: size(bytes),
    Memory: `${size(memory.weights)}, and ${size(memory.image)} or more for each image`,
  };
  const said = Object.entries(rows).filter(([, text]) => text !== null);
  return said.map(([term, text]) =>
    make('div', {}, make('dt', { textContent: term }), make('dd', { textContent: text })),
  );
}
