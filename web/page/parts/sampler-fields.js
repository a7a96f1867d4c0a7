// The fields for a sampler and its options, made from the engine's registry. A model is offered the samplers that fit it.

import { find } from '../dom.js';
import { fillSelect, optionField } from './controls.js';

/**
 * Puts the sampler for a purpose into a form that has a field for it, and returns fields for its options. `withCosts`
 * says what each takes as it comes, where that is how the purpose takes it.
 */
export function showSampler(form, app, purpose, { withCosts = false } = {}) {
  const sampler = app.sampler(purpose);
  const cost = ({ nfe }) => (withCosts && nfe ? ` · ${nfe} NFE` : '');
  const offered = app.samplers.map((entry) => ({ name: entry.name, title: entry.title + cost(entry) }));
  fillSelect(form.elements.sampler, offered, sampler.name);
  find('.sampler-help', form).textContent = sampler.help;
  return optionFields(app, purpose);
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
