// The fields for a class and its guidance, where the model in use has learned classes or a classifier can guide it.

import { make } from '../dom.js';
import { EACH, classTitle, classesOf, hasTurns } from '../state/classes.js';
import { fillSelect, optionField } from './controls.js';

const GUIDANCE = { name: 'guidance', title: 'Guidance', min: 0, max: 5 };
const HELP = {
  learned: '1 is what the model learned; more is clearer and less varied.',
  guided: 'This model knows no classes: a classifier pulls it, best with corrector steps. More pulls harder.',
};

export class ClassFields {
  #app;
  #holder;
  #hasTurns;
  #title = make('label');
  #select = make('select', { name: 'class' });
  #guidance = make('div');

  /** `id` is that of the field. With `turns` each image may be of another class. */
  constructor(holder, id, app, { turns = false } = {}) {
    this.#app = app;
    this.#holder = holder;
    this.#hasTurns = turns;
    this.#select.id = this.#title.htmlFor = id;
    this.#select.addEventListener('change', () => app.update({ class: chosen(this.#select.value) }));
    holder.append(make('div', { className: 'field' }, this.#title, this.#select), this.#guidance);
    holder.hidden = true;
  }

  refresh() {
    const { state, model, engine } = this.#app;
    const { count, names, classifier, isNeeded } = classesOf(model, engine.classifiers);
    this.#holder.hidden = count === 0;
    this.#title.textContent = classTitle(model);
    const classes = Array.from({ length: count }, (_, i) => ({ name: String(i), title: names[i] ?? String(i) }));
    const any = isNeeded ? [] : [{ name: '', title: 'Any' }];
    const turns =
      this.#hasTurns && hasTurns(model, engine.classifiers) ? [{ name: EACH, title: 'Each in turn' }] : [];
    const isOne = Number.isInteger(state.class);
    const value = isOne || turns.length ? (state.class ?? '') : isNeeded ? 0 : '';
    fillSelect(this.#select, [...turns, ...any, ...classes], value);
    const guidance = { ...GUIDANCE, help: classifier ? HELP.guided : HELP.learned };
    const onInput = (guidance) => this.#app.update({ guidance }, false);
    this.#guidance.replaceChildren(
      ...(value === '' || isNeeded ? [] : [optionField(guidance, state.guidance, onInput, { slider: true })]),
    );
  }
}

/** The state's word for a choice. */
function chosen(value) {
  if (value === '') return null;
  return value === EACH ? EACH : Number(value);
}
