// A link's state against what is here: the engine's models and samplers, and the test digits.

import { samplerFor, usualOptions } from './purposes.js';
import { purposeOf } from './state.js';

/**
 * The state with everything filled in that a link may leave open. What does not exist here is replaced, and told in
 * `notes`. Takes what `readHash` returns.
 */
export function checked(schema, { state, sampler: wanted, loose, notes }, { engine, digits }) {
  const { keys, purposes } = schema;
  const next = { ...state, options: {} };
  const tell = (note) => notes.push(note);
  const modelOf = ({ model }) => engine.models.find(({ name }) => name === model);
  for (const [key, { settle }] of Object.entries(keys)) {
    if (settle) next[key] = settle(next[key], { engine, digits, model: modelOf(next), tell });
  }
  for (const [name, purpose] of Object.entries(purposes)) {
    const defaults = engine.samplers.map((sampler) => [sampler.name, usualOptions(purpose, sampler)]);
    next.options[name] = { ...Object.fromEntries(defaults), ...state.options[name] };
  }
  const purpose = purposeOf(schema, next);
  if (!purpose) return { state: next, notes };

  const chosen = wanted ?? state.samplers[purpose];
  const sampler = samplerFor(purposes[purpose], chosen, engine.samplers, modelOf(next));
  if (wanted) next.samplers = { ...state.samplers, [purpose]: sampler.name };
  if (wanted && wanted !== sampler.name) {
    const isHere = engine.samplers.some(({ name }) => name === wanted);
    const problem = isHere ? `does not fit the model ${next.model}` : 'is not here';
    tell(`The link asks for the sampler “${wanted}”, which ${problem}; ${sampler.title} is used instead.`);
  }
  const options = next.options[purpose];
  for (const [name, value] of Object.entries(loose)) {
    const option = sampler.options.find((entry) => entry.name === name);
    if (option && allows(option, value)) {
      options[sampler.name] = { ...options[sampler.name], [name]: value };
    } else tell(`The link's setting ${name}=${value} does not fit the sampler ${sampler.name} and was ignored.`);
  }
  return { state: next, notes };
}

/** Whether an option allows `value`: one of its choices, or a number in its range. */
function allows(option, value) {
  if (option.choices) return option.choices.some(({ name }) => name === value);
  return value >= option.min && value <= option.max && (!option.integer || Number.isInteger(value));
}
