// The field for a seed, with dice beside it.

import { elements, find, randomSeed } from '../dom.js';
import { bindNumber } from './controls.js';

const MARKUP = `
  <div class="field">
    <label>Seed</label>
    <div class="row joined">
      <input name="seed" type="number" inputmode="numeric" min="0" max="9007199254740991" step="1" required>
      <button type="button" class="dice" aria-label="Another seed" title="Another seed"><svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true"><rect x="2" y="2" width="16" height="16" rx="4" fill="none" stroke="currentColor" stroke-width="1.6"/><g fill="currentColor"><circle cx="6.5" cy="6.5" r="1.5"/><circle cx="13.5" cy="6.5" r="1.5"/><circle cx="10" cy="10" r="1.5"/><circle cx="6.5" cy="13.5" r="1.5"/><circle cx="13.5" cy="13.5" r="1.5"/></g></svg></button>
    </div>
  </div>`;

/** Builds the field in `holder`, with this id. */
export function createSeedField(holder, id, app) {
  holder.append(...elements(MARKUP));
  const input = find('input', holder);
  input.id = find('label', holder).htmlFor = id;
  bindNumber(input, 'seed', app);
  find('.dice', holder).addEventListener('click', () => app.update({ seed: randomSeed() }));
}
