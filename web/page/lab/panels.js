// The settings of an experiment, in folds. Every field changes the bench's experiment; what there is to choose from is
// Rust's own list.

import { elements, find, make } from '../dom.js';
import { button, choice, quantity, row, settingOf } from './fields.js';
import { worldFold } from './world-fold.js';

const FOLDS = [
  { name: 'world', title: 'World' },
  { name: 'learn', title: 'Learn' },
  { name: 'sample', title: 'Sample' },
  { name: 'density', title: 'Likelihood and one step' },
];

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
    const key = JSON.stringify([
      [setup, state.lesson, bench.by, this.compare],
      [learner.hasTeacher, learner.teacher, bench.touch.chosen, bench.touch.isDrawing],
    ]);
    if (key !== this.#drawn) {
      this.#drawn = key;
      const focus = document.activeElement?.id;
      this.#folds.world.replaceChildren(...worldFold(bench));
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
      choice(
        'objective',
        'Learned by',
        known.map(({ kind }) => [kind, OBJECTIVES[kind]]),
        objective.kind,
        choose,
      ),
      ...(bench.learner.isScore ? [] : [this.#teacher()]),
      ...('sigma' in objective
        ? [
            quantity('sigma', 'Its noise level', { min: 0, max: 5, slider: false }, objective.sigma, (sigma) =>
              bench.change({ objective: { ...objective, sigma } }),
            ),
          ]
        : []),
      make(
        'div',
        { className: 'pair' },
        choice(
          'width',
          'Width',
          [16, 32, 64, 128, 256].map((width) => [width, width]),
          network.width,
          (width) => bench.change({ network: { ...network, width: Number(width) } }),
        ),
        choice(
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
        choice(
          'batch',
          'Points a step',
          [32, 64, 128, 256, 512].map((batch) => [batch, batch]),
          batch,
          (batch) => bench.change({ batch: Number(batch) }),
        ),
        quantity('steps', 'Steps', { min: 10, max: 100000, integer: true, slider: false }, steps, (steps) =>
          bench.change({ steps }),
        ),
      ),
      quantity('rate', 'Learning rate', { min: 1e-5, max: 0.1, isLog: true }, learning_rate, (learning_rate) =>
        bench.change({ learning_rate }),
      ),
      make('label', { className: 'check' }, slow, 'In slow motion'),
      row(
        button('Learn', () => bench.learner.toggle(), 'learning'),
        button('One step', async () => {
          await bench.learner.step(1);
          this.refresh();
        }),
        button('Forget', () => bench.learner.forget(), 'forget'),
        button('Learned already', () => bench.learner.remember(), 'kept'),
      ),
      make('p', { className: 'said hint', textContent: this.said }),
    ];
  }

  /** Whose paths a consistency function is taught. */
  #teacher() {
    const { learner } = this.#bench;
    const before = learner.hasTeacher
      ? 'The score learned before'
      : 'The learned score (learn one of this world first)';
    const entries = [
      ['true', "The world's own score"],
      ['learned', before],
    ];
    const field = choice('teacher', 'Taught by', entries, learner.teacher, (teacher) => {
      learner.teacher = teacher;
      learner.forget();
    });
    find('option[value=learned]', field).disabled = !learner.hasTeacher;
    return field;
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
      const put = (value) => bench.change({ sampler: { ...bench.setup.sampler, [option.name]: value } });
      return settingOf(option, `lab-option-${option.name}`, value, put, { slider: option.name === 'n_steps' });
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
      choice(
        'by',
        'By which score',
        [
          ['true', "The world's own"],
          ['learned', 'The learned one'],
        ],
        bench.by,
        (by) => bench.app.update({ by }),
      ),
      choice('sampler', 'Sampler', isFit ? names : [[sampler.name, entry.title], ...names], sampler.name, (name) =>
        bench.change({ sampler: plain(name) }),
      ),
      make('p', { className: 'hint', textContent: entry.help }),
      ...options.slice(0, 1),
      make('details', {}, make('summary', { textContent: 'More' }), ...options.slice(1)),
      choice('compare', 'Beside it, from the same noise', compares, compare, (name) => {
        this.compare = name;
        this.refresh();
      }),
      make(
        'div',
        { className: 'pair' },
        choice(
          'count',
          'Points',
          [...new Set([200, 1000, 3000, 10000, 30000, 100000, count])]
            .sort((a, b) => a - b)
            .map((n) => [n, n.toLocaleString('en')]),
          count,
          (count) => bench.change({ count: Number(count) }),
        ),
        quantity('seed', 'Seed', { min: 0, max: 1e9, integer: true, slider: false }, seed, (seed) =>
          bench.change({ seed }),
        ),
      ),
      row(button('Let the points walk', () => bench.sampling.start())),
    ];
  }

  #density() {
    const bench = this.#bench;
    return [
      make('p', { className: 'hint', textContent: 'By the score that is chosen under “Sample”.' }),
      row(
        button('Density by the ODE', () => bench.painter.likelihood()),
        button('Where noises are led to', () => bench.painter.leap()),
        button('The world again', () => bench.painter.release()),
      ),
      ...elements('<p class="round hint" role="status"></p>'),
      row(button('A point into the noise and back', () => bench.touch.round())),
    ];
  }
}
