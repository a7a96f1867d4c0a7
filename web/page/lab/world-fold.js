// The fold in which a world is chosen and made.

import { make } from '../dom.js';
import { button, choice, quantity, row } from './fields.js';

const WORLDS = {
  two_modes: 'Two modes, 1/5 and 4/5',
  eight_gaussians: 'Eight Gaussians',
  ring: 'Ring',
  two_moons: 'Two moons',
  swiss_roll: 'Swiss roll',
  spiral: 'Spiral',
  checkerboard: 'Checkerboard',
  line: 'A line',
  circle: 'A circle',
};

/** Half the side of the square in which a world is seen well. */
const HALVES = {
  two_modes: 8,
  eight_gaussians: 6,
  ring: 6,
  two_moons: 4,
  swiss_roll: 6,
  spiral: 6,
  checkerboard: 6,
  line: 4,
  circle: 6,
};

const SDES = { ve: 'VE: noise is added', vp: 'VP: and data fade', sub_vp: 'sub-VP', edm: 'EDM' };

/** Where the points come from, and how noise is added. */
export function worldFold(bench) {
  const { world, half, sde } = bench.setup;
  const kind = world.toy ?? Object.keys(world)[0];
  const choose = (value) => {
    if (value === 'strokes') return bench.touch.draw();
    bench.touch.stop();
    if (value === 'letters') return bench.change({ world: { letters: 'SCORE' }, half: 6 });
    if (value === 'modes')
      return bench.change({
        world: {
          modes: bench.arranged.modes.length ? bench.arranged.modes : [{ weight: 1, at: [0, 0], std: 1 }],
        },
      });
    return bench.change({ world: { toy: value }, half: HALVES[value] ?? 6 });
  };
  const entries = [
    ...bench.catalogue.worlds.map((name) => [name, WORLDS[name] ?? name]),
    ['letters', 'A word'],
    ['modes', 'Your own modes'],
    ['strokes', 'Your own drawing'],
  ];
  const of = (kind) => bench.catalogue.sdes.find((sde) => sde.kind === kind);
  const sdes = bench.catalogue.sdes.filter(({ kind }) => kind in SDES);
  return [
    choice('world', 'Where the points come from', entries, bench.touch.isDrawing ? 'strokes' : kind, choose),
    ...(kind === 'letters' ? [wordField(bench, world.letters)] : []),
    ...modeFields(bench),
    ...(bench.touch.isDrawing || kind === 'strokes'
      ? [
          make('p', {
            className: 'hint',
            textContent: 'Draw with the pointer on the plane; each line is added.',
          }),
          row(
            button(bench.touch.isDrawing ? 'Stop drawing' : 'Go on drawing', () =>
              bench.touch.isDrawing ? bench.touch.stop() : bench.touch.draw(),
            ),
            button('Clear the drawing', () => bench.touch.clear()),
          ),
        ]
      : []),
    quantity('half', 'Half the side of the square', { min: 0.5, max: 20 }, half, (half) => bench.change({ half })),
    choice(
      'sde',
      'How noise is added',
      sdes.map(({ kind }) => [kind, SDES[kind]]),
      sde.kind,
      (kind) => bench.change({ sde: kind === 've' ? bench.catalogue.setup.sde : of(kind) }),
    ),
  ];
}

function wordField(bench, word) {
  const input = make('input', {
    id: 'lab-word',
    value: word,
    maxLength: 8,
    pattern: '[A-Za-z]{1,8}',
    required: true,
    autocomplete: 'off',
  });
  input.addEventListener(
    'change',
    () => input.reportValidity() && bench.change({ world: { letters: input.value.toUpperCase() } }),
  );
  return make(
    'div',
    { className: 'field' },
    make('label', { htmlFor: 'lab-word', textContent: 'The word, 1 to 8 letters' }),
    input,
  );
}

/** Weight and width of the chosen mode. */
function modeFields(bench) {
  const { modes } = bench.arranged;
  if (!modes.length || bench.touch.isDrawing) return [];
  const chosen = Math.min(bench.touch.chosen, modes.length - 1);
  const put = (part) =>
    bench.change({ world: { modes: modes.map((mode, i) => (i === chosen ? { ...mode, ...part } : mode)) } });
  const { weight, std } = modes[chosen];
  const others = 1 - weight;
  // The share is what one sees; the others keep theirs among each other.
  const share = (value) => put({ weight: others > 0 ? (others * value) / (1 - value) : 1 });
  return [
    make('p', { className: 'hint', textContent: 'Drag the circles on the plane. A click chooses one.' }),
    ...(modes.length > 1
      ? [
          quantity(
            'weight',
            `Share of mode ${chosen + 1}`,
            { min: 0.01, max: 0.99 },
            Number(weight.toPrecision(3)),
            share,
          ),
        ]
      : []),
    quantity(
      'std',
      `Width of mode ${chosen + 1}`,
      { min: 0.02, max: 4, isLog: true },
      Number(std.toPrecision(3)),
      (std) => put({ std }),
    ),
    row(
      button('Add a mode', () => {
        const at = [0.5, -0.5].map((share) => share * bench.setup.half * Math.cos(modes.length));
        bench.touch.chosen = modes.length;
        bench.change({ world: { modes: [...modes, { weight: 1 / modes.length, at, std }] } });
      }),
      ...(modes.length > 1
        ? [button('Remove it', () => bench.change({ world: { modes: modes.filter((_, i) => i !== chosen) } }))]
        : []),
    ),
  ];
}
