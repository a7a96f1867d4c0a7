// The models' cards in the task "About".

import { find, make, megabytes } from './dom.js';

export function showModels(models) {
  find('#model-cards').replaceChildren(
    ...models.map(({ title, name, bytes, card }) =>
      make(
        'details',
        { className: 'card' },
        make('summary', {}, make('strong', { textContent: title }), ` ${name}, ${megabytes(bytes)}`),
        ...quality(card.quality ?? []),
        make('dl', { className: 'facts' }, ...facts({ ...card, quality: null })),
      ),
    ),
  );
}

const COLUMNS = [
  ['Sampler', ({ sampler }) => sampler],
  ['NFE', ({ nfe }) => nfe],
  ['Recognised', ({ recognised }) => `${(100 * recognised).toFixed(1)} %`],
  ['Class entropy', ({ class_entropy }) => `${class_entropy.toFixed(2)} bits`],
  ['Fréchet distance', ({ frechet }) => frechet.toFixed(1)],
];

/** The measured quality, a row per sampler. */
function quality(rows) {
  if (!rows.length) return [];
  const row = (tag, texts) => make('tr', {}, ...texts.map((text) => make(tag, { textContent: text })));
  const head = row(
    'th',
    COLUMNS.map(([title]) => title),
  );
  for (const cell of head.children) cell.scope = 'col';
  const table = make(
    'table',
    {},
    make('thead', {}, head),
    make(
      'tbody',
      {},
      ...rows.map((entry) =>
        row(
          'td',
          COLUMNS.map(([, text]) => text(entry)),
        ),
      ),
    ),
  );
  return [
    make('div', { className: 'scroll', tabIndex: 0, role: 'region', 'aria-label': 'Measured quality' }, table),
  ];
}

/** Whatever else the card says, row by row: `sde.beta_max` becomes "sde, beta max". */
function facts(card, path = '') {
  return Object.entries(card).flatMap(([key, value]) => {
    const label = (path ? `${path}, ` : '') + key.replaceAll('_', ' ');
    if (value === null) return [];
    if (typeof value === 'object' && !Array.isArray(value)) return facts(value, label);
    const text = Array.isArray(value)
      ? value.join(', ')
      : typeof value === 'number'
        ? value.toLocaleString('en', { maximumSignificantDigits: 6 })
        : String(value);
    return [make('div', {}, make('dt', { textContent: label }), make('dd', { textContent: text }))];
  });
}
