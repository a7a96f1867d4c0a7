// The fields for a class and its guidance, where the model in use has learned classes or a classifier can guide it.

import { fillSelect, optionField } from './controls.js';
import { make } from './dom.js';

const GUIDANCE = { name: 'guidance', title: 'Guidance', min: 0, max: 5 };
const HELP = {
  learned: '1 is what the model learned; more is clearer and less varied.',
  guided: 'This model knows no classes: a classifier pulls it, best with corrector steps. More pulls harder.',
};

/**
 * How many classes a model's images can be asked for, and where the model has learned none, the name of the
 * classifier that tells them.
 */
export function classesOf({ card }, classifiers) {
  const countOf = ({ architecture }) => architecture?.config?.classes ?? 0;
  const learned = countOf(card);
  const fits = ({ card: other }) =>
    ['dataset', 'channels', 'height', 'width'].every((key) => other[key] === card[key]);
  const guide = learned ? undefined : classifiers.find(fits);
  return { count: guide ? countOf(guide.card) : learned, classifier: guide?.name };
}

/** The part of a request that asks for a class. */
export function classRequest({ state, model, engine }) {
  const { class: chosen, guidance } = state;
  const { classifier } = classesOf(model, engine.classifiers);
  return chosen === null ? {} : { class: chosen, guidance, ...(classifier && { classifier }) };
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
    const { state, model, engine } = this.#app;
    const { count, classifier } = classesOf(model, engine.classifiers);
    this.#holder.hidden = count === 0;
    this.#title.textContent = model.card.dataset === 'mnist' ? 'Digit' : 'Class';
    const classes = Array.from({ length: count }, (_, i) => ({ name: String(i), title: String(i) }));
    fillSelect(this.#select, [{ name: '', title: 'Any' }, ...classes], state.class ?? '');
    const guidance = { ...GUIDANCE, help: classifier ? HELP.guided : HELP.learned };
    const onInput = (guidance) => this.#app.update({ guidance }, false);
    this.#guidance.replaceChildren(
      ...(state.class === null ? [] : [optionField(guidance, state.guidance, onInput, { slider: true })]),
    );
  }
}
