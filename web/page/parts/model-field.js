// The field for the model: the models of the page, the visitor's own, and the way to one more.

import { make } from '../dom.js';
import { usualClass } from '../state/classes.js';
import { SHARED } from '../state/keys.js';
import { optionsOf } from './controls.js';

/** What the models of a data set are listed under. */
const GROUPS = { mnist: 'Digits', letters: 'Letters', 'fashion-mnist': 'Clothes', avatars: 'People and faces' };

/** Puts the models into a field, by what they draw, and the one in use. */
export function fillModels(select, app) {
  const { engine, state } = app;
  const groups = new Map();
  const guides = new Set(engine.models.map(({ weaker }) => weaker));
  // What only guides another is listed where a link has asked for it.
  const isListed = ({ own, name }) => !own && (!guides.has(name) || name === state.model);
  for (const model of engine.models.filter(isListed)) {
    const group = GROUPS[model.card.dataset] ?? 'Others';
    groups.set(group, [...(groups.get(group) ?? []), model]);
  }
  groups.set('Yours', [...engine.models.filter(({ own }) => own), { name: '', title: 'Your model…' }]);
  const listed = [...groups].map(([label, models]) => make('optgroup', { label }, ...optionsOf(models)));
  select.replaceChildren(...listed);
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

/** Takes a model; another one has other classes, and another weaker version or none. */
export function useModel(name, app) {
  const { models, classifiers } = app.engine;
  const model = models.find((model) => model.name === name);
  app.update({
    model: name,
    class: usualClass(model, classifiers),
    weaker: SHARED.weaker.settle(null, { model }),
  });
}
