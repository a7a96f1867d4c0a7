// The settings of an experiment, in folds. Every field changes the bench's experiment; what there is to choose from is
// Rust's own list.

import { elements, find, make } from '../dom.js';
import { optionField } from '../parts/controls.js';

const FOLDS = [
  { name: 'world', title: 'World' },
  { name: 'learn', title: 'Learn' },
  { name: 'sample', title: 'Sample' },
  { name: 'density', title: 'Likelihood and one step' },
];

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

const OBJECTIVES = {
  dsm: 'Denoising, all noise levels',
  dsm_annealed: 'Denoising, a ladder of levels',
  dsm_one: 'Denoising, one level',
  ism: 'Exact (implicit)',
  ssm: 'Sliced',
  ssm_vr: 'Sliced, less variance',
  ssm_annealed: 'Sliced, a ladder of levels',
  consistency_distillation: 'Consistency: where paths end',
};

const SDES = { ve: 'VE: noise is added', vp: 'VP: and data fade', sub_vp: 'sub-VP', edm: 'EDM' };

export class Panels {
  #bench;
  #folds;
  #drawn = '';
  said = '';
  compare = 'plan'; // a sampler beside the first: the lesson's own, a name, or ''

  constructor(bench, form) {
    this.#bench = bench;
    form.addEventListener('submit', (event) => event.preventDefault());
    this.#folds = Object.fromEntries(
      FOLDS.map(({ name, title }) => {
        const body = make('div', { className: 'fold' });
        form.append(make('details', { className: name }, make('summary', { textContent: title }), body));
        return [name, body];
      }),
    );
  }

  refresh() {
    const bench = this.#bench;
    const { setup, state, learner } = bench;
    if (!setup) return;
    const key = JSON.stringify([setup, state.lesson, bench.by, this.compare]);
    if (key !== this.#drawn) {
      this.#drawn = key;
      const focus = document.activeElement?.id;
      this.#folds.world.replaceChildren(...this.#world());
      this.#folds.learn.replaceChildren(...this.#learn());
      this.#folds.sample.replaceChildren(...this.#sample());
      this.#folds.density.replaceChildren(...this.#density());
      if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
    }
    find('.learning', this.#folds.learn).textContent = learner.isRunning
      ? 'Pause'
      : learner.ended
        ? 'Learn anew'
        : 'Learn';
    find('.kept', this.#folds.learn).hidden = !learner.isKept;
    find('.forget', this.#folds.learn).disabled = learner.steps === 0;
  }

  /** A line about what is going on in learning. */
  say(sentence) {
    this.said = sentence;
    for (const place of this.#bench.section.querySelectorAll('.said')) place.textContent = sentence;
  }

  #select(name, title, entries, value, onChange) {
    const id = `lab-${name}`;
    const select = make(
      'select',
      { id, name },
      ...entries.map(([value, text]) => make('option', { value, textContent: text })),
    );
    select.value = value;
    select.addEventListener('change', () => onChange(select.value));
    return make('div', { className: 'field' }, make('label', { htmlFor: id, textContent: title }), select);
  }

  #number(name, title, { min, max, integer = false, slider = true, isLog = false }, value, onInput) {
    const option = { name, title, min, max, integer, isLog, step: integer ? 1 : 'any', help: '' };
    let timer = 0;
    const later = (value) => {
      clearTimeout(timer);
      timer = setTimeout(() => onInput(value), 300); // a field is left alone while it is being changed
    };
    const field = optionField(option, value, later, { slider });
    const input = find('input[type=number]', field);
    find('label', field).htmlFor = input.id = `lab-${name}`;
    return field;
  }

  #buttons(...buttons) {
    return make('div', { className: 'actions' }, ...buttons);
  }

  #button(textContent, onClick, className = '') {
    const button = make('button', { type: 'button', textContent, className });
    button.addEventListener('click', onClick);
    return button;
  }

  #world() {
    const bench = this.#bench;
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
      this.#select(
        'world',
        'Where the points come from',
        entries,
        bench.touch.isDrawing ? 'strokes' : kind,
        choose,
      ),
      ...(kind === 'letters' ? [this.#word(world.letters)] : []),
      ...this.#modes(),
      ...(bench.touch.isDrawing || kind === 'strokes'
        ? [
            make('p', {
              className: 'hint',
              textContent: 'Draw with the pointer on the plane; each line is added.',
            }),
            this.#buttons(
              this.#button(bench.touch.isDrawing ? 'Stop drawing' : 'Go on drawing', () =>
                bench.touch.isDrawing ? bench.touch.stop() : bench.touch.draw(),
              ),
              this.#button('Clear the drawing', () => bench.touch.clear()),
            ),
          ]
        : []),
      this.#number('half', 'Half the side of the square', { min: 0.5, max: 20 }, half, (half) =>
        bench.change({ half }),
      ),
      this.#select(
        'sde',
        'How noise is added',
        sdes.map(({ kind }) => [kind, SDES[kind]]),
        sde.kind,
        (kind) => bench.change({ sde: kind === 've' ? bench.catalogue.setup.sde : of(kind) }),
      ),
    ];
  }

  #word(word) {
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
      () => input.reportValidity() && this.#bench.change({ world: { letters: input.value.toUpperCase() } }),
    );
    return make(
      'div',
      { className: 'field' },
      make('label', { htmlFor: 'lab-word', textContent: 'The word, 1 to 8 letters' }),
      input,
    );
  }

  /** Weight and width of the chosen mode. */
  #modes() {
    const bench = this.#bench;
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
            this.#number(
              'weight',
              `Share of mode ${chosen + 1}`,
              { min: 0.01, max: 0.99 },
              Number(weight.toPrecision(3)),
              share,
            ),
          ]
        : []),
      this.#number(
        'std',
        `Width of mode ${chosen + 1}`,
        { min: 0.02, max: 4, isLog: true },
        Number(std.toPrecision(3)),
        (std) => put({ std }),
      ),
      this.#buttons(
        this.#button('Add a mode', () => {
          const at = [0.5, -0.5].map((share) => share * bench.setup.half * Math.cos(modes.length));
          bench.touch.chosen = modes.length;
          bench.change({ world: { modes: [...modes, { weight: 1 / modes.length, at, std }] } });
        }),
        ...(modes.length > 1
          ? [
              this.#button('Remove it', () =>
                bench.change({ world: { modes: modes.filter((_, i) => i !== chosen) } }),
              ),
            ]
          : []),
      ),
    ];
  }

  #learn() {
    const bench = this.#bench;
    const { objective, network, learning_rate, batch, steps } = bench.setup;
    const known = bench.catalogue.objectives.filter(({ kind }) => kind in OBJECTIVES);
    const choose = (kind) => {
      const isLeap = kind.startsWith('consistency');
      const next = known.find((entry) => entry.kind === kind);
      // One level means the one of the slider.
      const one = 'sigma' in next ? { ...next, sigma: Number(Math.max(0.05, bench.sigma).toPrecision(2)) } : next;
      const usual = bench.catalogue.setup;
      bench.change({
        objective: one,
        preconditioning: isLeap ? 'consistency' : usual.preconditioning,
        sampler: isLeap
          ? { name: 'multistep', n_steps: 1 }
          : bench.setup.sampler.name === 'multistep'
            ? usual.sampler
            : bench.setup.sampler,
      });
    };
    const slow = make('input', { type: 'checkbox', checked: bench.learner.isSlow });
    slow.addEventListener('change', () => (bench.learner.isSlow = slow.checked));
    return [
      this.#select(
        'objective',
        'Learned by',
        known.map(({ kind }) => [kind, OBJECTIVES[kind]]),
        objective.kind,
        choose,
      ),
      ...('sigma' in objective
        ? [
            this.#number('sigma', 'Its noise level', { min: 0, max: 5, slider: false }, objective.sigma, (sigma) =>
              bench.change({ objective: { ...objective, sigma } }),
            ),
          ]
        : []),
      make(
        'div',
        { className: 'pair' },
        this.#select(
          'width',
          'Width',
          [16, 32, 64, 128, 256].map((width) => [width, width]),
          network.width,
          (width) => bench.change({ network: { ...network, width: Number(width) } }),
        ),
        this.#select(
          'layers',
          'Layers',
          [1, 2, 3, 4, 6].map((layers) => [layers, layers]),
          network.layers,
          (layers) => bench.change({ network: { ...network, layers: Number(layers) } }),
        ),
      ),
      make(
        'div',
        { className: 'pair' },
        this.#select(
          'batch',
          'Points a step',
          [32, 64, 128, 256, 512].map((batch) => [batch, batch]),
          batch,
          (batch) => bench.change({ batch: Number(batch) }),
        ),
        this.#number('steps', 'Steps', { min: 10, max: 100000, integer: true, slider: false }, steps, (steps) =>
          bench.change({ steps }),
        ),
      ),
      this.#number('rate', 'Learning rate', { min: 1e-5, max: 0.1, isLog: true }, learning_rate, (learning_rate) =>
        bench.change({ learning_rate }),
      ),
      make('label', { className: 'check' }, slow, 'In slow motion'),
      this.#buttons(
        this.#button('Learn', () => bench.learner.toggle(), 'learning'),
        this.#button('One step', async () => {
          await bench.learner.step(1);
          this.refresh();
        }),
        this.#button('Forget', () => bench.learner.forget(), 'forget'),
        this.#button('Learned already', () => bench.learner.remember(), 'kept'),
      ),
      make('p', { className: 'said hint', textContent: this.said }),
    ];
  }

  #sample() {
    const bench = this.#bench;
    const { sampler, count, seed, objective } = bench.setup;
    const needs = bench.by === 'learned' && objective.kind.startsWith('consistency') ? 'consistency' : 'score';
    const fitting = bench.catalogue.samplers.filter((entry) => entry.needs === needs);
    const names = fitting.map(({ name, title }) => [name, title]);
    const entry = bench.samplerOf(sampler.name);
    const isFit = fitting.includes(entry);
    const options = entry.options.map((option) => {
      const value = sampler[option.name] ?? option.default;
      let timer = 0;
      const put = (value) => {
        clearTimeout(timer);
        timer = setTimeout(() => bench.change({ sampler: { ...bench.setup.sampler, [option.name]: value } }), 300);
      };
      const field = optionField(option, value, put, { slider: option.name === 'n_steps' });
      find('input[type=number], select', field).id = `lab-option-${option.name}`;
      find('label', field).htmlFor = `lab-option-${option.name}`;
      return field;
    });
    const plain = (name) => ({
      name,
      ...Object.fromEntries(bench.samplerOf(name).options.map((option) => [option.name, option.default])),
    });
    const compares = [
      ...(bench.plan.compare
        ? [['plan', `As in the lesson: ${bench.titleOf(bench.plan.compare.name, bench.plan.compare)}`]]
        : []),
      ['', 'Nothing'],
      ...names,
    ];
    const compare = bench.plan.compare || this.compare !== 'plan' ? this.compare : '';
    return [
      this.#select(
        'by',
        'By which score',
        [
          ['true', "The world's own"],
          ['learned', 'The learned one'],
        ],
        bench.by,
        (by) => bench.app.update({ by }),
      ),
      this.#select(
        'sampler',
        'Sampler',
        isFit ? names : [[sampler.name, entry.title], ...names],
        sampler.name,
        (name) => bench.change({ sampler: plain(name) }),
      ),
      make('p', { className: 'hint', textContent: entry.help }),
      ...options.slice(0, 1),
      make('details', {}, make('summary', { textContent: 'More' }), ...options.slice(1)),
      this.#select('compare', 'Beside it, from the same noise', compares, compare, (name) => {
        this.compare = name;
        this.refresh();
      }),
      make(
        'div',
        { className: 'pair' },
        this.#select(
          'count',
          'Points',
          [...new Set([200, 1000, 3000, 10000, 30000, 100000, count])]
            .sort((a, b) => a - b)
            .map((n) => [n, n.toLocaleString('en')]),
          count,
          (count) => bench.change({ count: Number(count) }),
        ),
        this.#number('seed', 'Seed', { min: 0, max: 1e9, integer: true, slider: false }, seed, (seed) =>
          bench.change({ seed }),
        ),
      ),
      this.#buttons(this.#button('Let the points walk', () => bench.sampling.start())),
    ];
  }

  #density() {
    const bench = this.#bench;
    return [
      make('p', { className: 'hint', textContent: 'By the score that is chosen under “Sample”.' }),
      this.#buttons(
        this.#button('Density by the ODE', () => bench.painter.likelihood()),
        this.#button('Where noises are led to', () => bench.painter.leap()),
        this.#button('The world again', () => bench.painter.release()),
      ),
      ...elements('<p class="round hint" role="status"></p>'),
      this.#buttons(this.#button('A point into the noise and back', () => bench.touch.round())),
    ];
  }
}

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
