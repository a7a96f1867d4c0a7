// The fields for a class and its guidance, where the model in use has learned classes.

import { fillSelect, optionField } from './controls.js';
import { make } from './dom.js';

const GUIDANCE = {
  name: 'guidance',
  title: 'Guidance',
  help: '1 is what the model learned; more is clearer and less varied.',
  min: 0,
  max: 5,
};

/** How many classes a model has learned. */
export function classesOf({ card }) {
  return card.architecture?.config?.classes ?? 0;
}

/** The part of a request that asks for a class. */
export function classRequest({ class: chosen, guidance }) {
  return chosen === null ? {} : { class: chosen, guidance };
}

export class ClassFields {
  #app;
  #holder;
  #title = make('label');
  #select = make('select', { name: 'class' });
  #guidance = make('div');

  /** `id` is that of the field. */
  constructor(holder, id, app) {
    this.#app = app;
    this.#holder = holder;
    this.#select.id = this.#title.htmlFor = id;
    this.#select.addEventListener('change', () =>
      app.update({ class: this.#select.value === '' ? null : Number(this.#select.value) }),
    );
    holder.append(make('div', { className: 'field' }, this.#title, this.#select), this.#guidance);
    holder.hidden = true;
  }

  refresh() {
    const { state, model } = this.#app;
    const count = classesOf(model);
    this.#holder.hidden = count === 0;
    this.#title.textContent = model.card.dataset === 'mnist' ? 'Digit' : 'Class';
    const classes = Array.from({ length: count }, (_, i) => ({ name: String(i), title: String(i) }));
    fillSelect(this.#select, [{ name: '', title: 'Any' }, ...classes], state.class ?? '');
    const onInput = (guidance) => this.#app.update({ guidance }, false);
    this.#guidance.replaceChildren(
      ...(state.class === null ? [] : [optionField(GUIDANCE, state.guidance, onInput, { slider: true })]),
    );
  }
}
