// The field for the model: the models of the page, the visitor's own, and the way to one more.

import { make } from '../dom.js';
import { usualClass } from '../state/classes.js';
import { optionsOf } from './controls.js';

/** Puts the models into a field, and the one in use. */
export function fillModels(select, app) {
  const { engine, state } = app;
  const own = make('optgroup', { label: 'Yours' });
  own.append(...optionsOf([...engine.models.filter(({ own }) => own), { name: '', title: 'Your model…' }]));
  select.replaceChildren(...optionsOf(engine.models.filter(({ own }) => !own)), own);
  select.value = state.model;
}

/** Keeps the state in step with the field. */
export function bindModel(select, app) {
  select.addEventListener('change', () => {
    if (select.value) return useModel(select.value, app);
    select.value = app.state.model;
    app.openOwnModels();
  });
}

/** Takes a model; another one has other classes. */
export function useModel(name, app) {
  const { models, classifiers } = app.engine;
  const model = models.find((model) => model.name === name);
  app.update({ model: name, class: usualClass(model, classifiers) });
}
