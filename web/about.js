// The models' cards in the task "About".

import { find, make, megabytes } from './dom.js';

export function showModels(models) {
  find('#model-cards').replaceChildren(
    ...models.map(({ title, name, bytes, card }) =>
      make(
        'details',
        { className: 'card' },
        make('summary', {}, make('strong', { textContent: title }), ` ${name}, ${megabytes(bytes)}`),
        make('dl', { className: 'facts' }, ...facts(card)),
      ),
    ),
  );
}

/** Whatever the card says, row by row: `sde.beta_max` becomes "sde, beta max". */
function facts(card, path = '') {
  return Object.entries(card).flatMap(([key, value]) => {
    const label = (path ? `${path}, ` : '') + key.replaceAll('_', ' ');
    if (value === null) return [];
    if (typeof value === 'object' && !Array.isArray(value)) return facts(value, label);
    const text = Array.isArray(value) ? value.join(', ') : typeof value === 'number' ? value.toLocaleString('en', { maximumSignificantDigits: 6 }) : String(value);
    return [make('div', {}, make('dt', { textContent: label }), make('dd', { textContent: text }))];
  });
}
