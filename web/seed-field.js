// The field for a seed, with dice beside it. It is stamped from a template, since two tasks have one.

import { bindNumber } from './controls.js';
import { find, randomSeed, stamp } from './dom.js';

/** Builds the field in `holder`, with this id. */
export function createSeedField(holder, id, app) {
  holder.append(...stamp('#seed-template'));
  const input = find('input', holder);
  input.id = find('label', holder).htmlFor = id;
  bindNumber(input, 'seed', app);
  find('.dice', holder).addEventListener('click', () => app.update({ seed: randomSeed() }));
}
