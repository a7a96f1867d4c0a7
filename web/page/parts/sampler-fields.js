// The fields for a sampler and its options, made from the engine's registry. A model is offered the samplers that fit it.

import { find } from '../dom.js';
import { fillSelect, optionField } from './controls.js';

/**
 * Puts the sampler for a purpose into a form that has a field for it, and returns fields for its options. Where the purpose
 * takes samplers as they come, and each time asks `evaluations` networks, their costs stand beside their names.
 */
export function showSampler(form, app, purpose, costs) {
  fillSamplers(form, app, purpose, costs);
  find('.sampler-help', form).textContent = app.sampler(purpose).help;
  return optionFields(app, purpose);
}

/** The samplers alone, with their costs. */
export function fillSamplers(form, app, purpose, { evaluations = 0 } = {}) {
  const cost = ({ nfe }) => (evaluations && nfe ? ` · ${evaluations * nfe} NFE` : '');
  const offered = app.samplers.map((entry) => ({ name: entry.name, title: entry.title + cost(entry) }));
  fillSelect(form.elements.sampler, offered, app.sampler(purpose).name);
}

/** A field for each option; first the one that matters most, with a slider: the number of steps, where there is one. */
export function optionFields(app, purpose) {
  const { options } = app.sampler(purpose);
  const main = options.find(({ name }) => name === 'n_steps') ?? options[0];
  const values = app.optionsFor(purpose);
  return options
    .toSorted((a, b) => (b === main) - (a === main))
    .map((option) =>
      optionField(option, values[option.name], (value) => app.setOption(purpose, option.name, value), {
        slider: option === main,
      }),
    );
}
