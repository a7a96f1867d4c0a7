// The task "About": what all this is, the cards of the models, the visitor's device, credits.

import { find, make, megabytes } from '../dom.js';

const MARKUP = `
  <section id="about" class="task prose" aria-labelledby="about-title" hidden>
    <h1 id="about-title">About</h1>
    <p>Scorefield samples score-based generative models in your browser. Nothing you choose, draw or open leaves this page; all it fetches are its own files, from where the page itself came.</p>
    <h2>What a score model is</h2>
    <p>The <em>score</em> of a distribution is the gradient of its log density: at any image, the direction of change that makes it more likely. A network learns it by removing noise: given an image with noise of a known strength, the direction back to the clean one is, on average, the score of the noisy distribution (denoising score matching). Sampling starts from noise and follows the learned scores from strong noise down to none.</p>
    <h2>Ways to learn a score</h2>
    <dl class="terms">
      <div><dt>Implicit and sliced</dt><dd>The distance to the true score can be measured, up to a constant, without knowing that score: by the slope of the learned one (Hyvärinen 2005), or by its slope along random directions, which is cheaper (Song et al. 2019).</dd></div>
      <div><dt>Denoising</dt><dd>Learning to remove noise of one strength learns the score of the data with that noise (Vincent 2011); all models here learned it at all strengths.</dd></div>
      <div><dt>Why noise at all</dt><dd>Images fill no volume of their space, so without noise there is no score to be learned. Far from all data none is learned either: on two distant heaps of points a network is 3 % wrong among them and 45 % elsewhere. And even with the exact score, Langevin dynamics gives the heaps the shares of where it starts, 48 % or 11 % in place of 20 %, in ten steps as in ten thousand. With noise that falls slowly it gives 18 ± 2 %. The gallery that comes with the source, docs/GALLERY.md, has the pictures.</dd></div>
    </dl>
    <h2>Ways to add noise</h2>
    <dl class="terms">
      <div><dt>VE, variance exploding</dt><dd>Noise is added on top of the image until the image no longer matters. This is the continuous form of noise-conditional score networks (NCSN).</dd></div>
      <div><dt>VP, variance preserving</dt><dd>The image fades while the noise grows, so the total stays about the same. This is the continuous form of DDPM. <em>Sub-VP</em> is the same with less noise.</dd></div>
      <div><dt>EDM</dt><dd>As VE, with the noise in proportion to time.</dd></div>
    </dl>
    <h2>Ways to sample</h2>
    <dl class="terms">
      <div><dt>Annealed Langevin</dt><dd>At each of a ladder of noise levels, a few noisy steps uphill; then the next lower level.</dd></div>
      <div><dt>Predictor-corrector</dt><dd>A step of the reverse-time stochastic differential equation, then Langevin steps that correct the distribution at that level.</dd></div>
      <div><dt>Probability-flow ODE</dt><dd>A deterministic path with the same distribution at every time. It runs both ways, so an image has one latent: that is what Interpolate uses. Euler, Heun and DPM-Solver++ follow it with fixed steps.</dd></div>
      <div><dt>Euler-Maruyama, reverse diffusion</dt><dd>The reverse-time stochastic differential equation by itself: each step removes some noise and adds less.</dd></div>
      <div><dt>Ancestral, DDIM</dt><dd>Each step goes towards the denoised image and adds as much fresh noise as the forward process leaves open, or a share of it, or none.</dd></div>
      <div><dt>Langevin, one noise level</dt><dd>Without annealing: what the first idea was, and why it does not suffice.</dd></div>
      <div><dt>NFE</dt><dd>Number of function evaluations: how often the network was asked for the score of the batch. It is the cost of a sampler, whatever the machine.</dd></div>
      <div><dt>Seed</dt><dd>Image <em>k</em> of a seed is the same picture in any batch size, in the browser and in the native program.</dd></div>
    </dl>
    <h2>One step instead of many</h2>
    <p>The ODE gives every noise one image at the end of its path, and takes dozens of evaluations to get there. A <em>consistency model</em> learns where the path ends: from any point of it, in one evaluation. It is made of a score model, by training it to say the same of two points of a path that come ever closer together. One step loses some detail; a second one gives the picture a little noise and leaps again. That is quick enough to follow your finger: see Play.</p>
    <figure class="story"><img src="leaps.png" width="894" height="354" loading="lazy" alt="Ten noises and below each the digit of one step, of two steps, and of the whole path, mostly the same digit"><figcaption>Ten noises; one step of a consistency model; two steps; the whole path of a score model.</figcaption></figure>
    <h2>Ways to control it</h2>
    <dl class="terms">
      <div><dt>Class</dt><dd>A model that has learned classes is asked for one, and <em>guidance</em> moves on from what it says of any image to what it says of that class (classifier-free guidance, Ho and Salimans 2021). A model that has learned none is pulled by a classifier of noisy images: the gradient of its verdict is added to the score (Song et al. 2021, appendix I).</dd></div>
      <div><dt>Fill in, colour, sharpen detail</dt><dd>Some pixels are known, or the brightness of each, or the means of small squares. At every step that part of the denoised image is put in place, and the score leads the rest to fit: inpainting and colorization (Song et al. 2021, appendix I), and super-resolution in the same way.</dd></div>
      <div><dt>Redraw</dt><dd>A sketch is noised until its faults are lost but its layout is not, and sampling starts from there (SDEdit, Meng et al. 2022).</dd></div>
      <div><dt>Clean up</dt><dd>A picture with noise of a known strength is a state on the way from noise to image: sampling goes on from it, and each result is a picture that may be behind the noise.</dd></div>
    </dl>
    <h2>The models here</h2>
    <div id="model-cards"></div>
    <h2>Your device</h2>
    <p>Before a GPU draws anything here, it is compared with the CPU. This compares every kind of kernel, measures how fast your device is, and writes a report that you can copy, for a bug report, say. It takes some seconds, and nothing is sent.</p>
    <div class="tools"><button type="button" class="check-device">Check my device</button> <button type="button" class="copy-report" hidden>Copy the report</button> <span class="check-note" role="status"></span></div>
    <pre class="report" tabindex="0" role="region" aria-label="Report on your device" hidden></pre>
    <h2>Credits and licences</h2>
    <p>Scorefield is free software under the MIT or Apache 2.0 licence, at your option. It is built on <a href="https://burn.dev" rel="noreferrer">burn</a> and <a href="https://wgpu.rs" rel="noreferrer">wgpu</a> (both MIT or Apache 2.0).</p>
    <p>The methods are those of Song and Ermon, <a href="https://arxiv.org/abs/1907.05600" rel="noreferrer">Generative Modeling by Estimating Gradients of the Data Distribution</a> (2019) and <a href="https://arxiv.org/abs/2006.09011" rel="noreferrer">Improved Techniques for Training Score-Based Generative Models</a> (2020), and of Song, Sohl-Dickstein, Kingma, Kumar, Ermon and Poole, <a href="https://arxiv.org/abs/2011.13456" rel="noreferrer">Score-Based Generative Modeling through Stochastic Differential Equations</a> (2021); further samplers are those of Ho, Jain and Abbeel, <a href="https://arxiv.org/abs/2006.11239" rel="noreferrer">Denoising Diffusion Probabilistic Models</a> (2020), Song, Meng and Ermon, <a href="https://arxiv.org/abs/2010.02502" rel="noreferrer">Denoising Diffusion Implicit Models</a> (2021), Karras, Aittala, Aila and Laine, <a href="https://arxiv.org/abs/2206.00364" rel="noreferrer">Elucidating the Design Space of Diffusion-Based Generative Models</a> (2022), and Lu et al., <a href="https://arxiv.org/abs/2211.01095" rel="noreferrer">DPM-Solver++</a> (2022). Guidance is that of Ho and Salimans, <a href="https://arxiv.org/abs/2207.12598" rel="noreferrer">Classifier-Free Diffusion Guidance</a> (2021), and redrawing that of Meng et al., <a href="https://arxiv.org/abs/2108.01073" rel="noreferrer">SDEdit: Guided Image Synthesis and Editing with Stochastic Differential Equations</a> (2022). Consistency models are those of Song, Dhariwal, Chen and Sutskever, <a href="https://arxiv.org/abs/2303.01469" rel="noreferrer">Consistency Models</a> (2023), trained as Geng et al., <a href="https://arxiv.org/abs/2406.14548" rel="noreferrer">Consistency Models Made Easy</a> (2024).</p>
    <p>The handwritten digits are from MNIST by Y. LeCun, C. Cortes and C. J. C. Burges: the models learned from its training set, and twenty digits of its test set come with this page. The letters are of a model that learned from pictures of the letters of 995 typefaces, those of the free fonts of Debian 12 (under the SIL Open Font Licence, the GUST Font Licence, Apache 2.0 and others); no font is in it. The model of clothes learned from <a href="https://github.com/zalandoresearch/fashion-mnist" rel="noreferrer">Fashion-MNIST</a> by Zalando SE (MIT licence), that of people and faces from two sets of emoji: <a href="https://github.com/googlefonts/noto-emoji" rel="noreferrer">Noto Emoji</a> by Google (images under the <a href="https://www.apache.org/licenses/LICENSE-2.0" rel="noreferrer">Apache licence 2.0</a>) and <a href="https://github.com/jdecked/twemoji" rel="noreferrer">Twemoji</a> by Twitter, Inc. and other contributors (graphics under <a href="https://creativecommons.org/licenses/by/4.0/" rel="noreferrer">CC-BY 4.0</a>); what it draws are not their pictures, but may resemble them.</p>
  </section>`;

class AboutView {
  #section;
  #app;
  #models = null; // whose cards are shown

  constructor(section, app) {
    this.#section = section;
    this.#app = app;
    find('.check-device', section).addEventListener('click', () => this.#check());
    find('.copy-report', section).addEventListener('click', () => this.#copy());
  }

  refresh() {
    const models = this.#app.engine?.models;
    if (!models || models === this.#models) return; // or a card that was unfolded would fold
    this.#models = models;
    find('#model-cards', this.#section).replaceChildren(...models.map(modelCard));
  }

  /** In an engine of its own: it tries the GPU also where the CPU does the work. */
  async #check() {
    const [button, note] = ['.check-device', '.check-note'].map((part) => find(part, this.#section));
    const onProgress = ({ step, n_steps }) => (note.textContent = `Part ${step} of ${n_steps} is done.`);
    button.disabled = true;
    note.textContent = 'Starting …';
    let engine = null;
    try {
      engine = await this.#app.engineOn('gpu');
      const { text, good } = await engine.check({ onProgress });
      const verdict = good ? 'The GPU computes as it should.' : 'The GPU computes wrongly, so the CPU is used.';
      note.textContent = engine.device.kind === 'gpu' ? verdict : engine.device.reason;
      this.#show(text);
    } catch (error) {
      note.textContent = error.message;
    } finally {
      engine?.dispose();
      button.disabled = false;
    }
  }

  #show(text) {
    const [report, copy] = ['.report', '.copy-report'].map((part) => find(part, this.#section));
    report.textContent = `${text}\n${navigator.userAgent}`;
    report.hidden = copy.hidden = false;
  }

  async #copy() {
    const report = find('.report', this.#section);
    try {
      await navigator.clipboard.writeText(report.textContent);
      find('.check-note', this.#section).textContent = 'Copied.';
    } catch {
      getSelection().selectAllChildren(report); // plain http denies the clipboard
      find('.check-note', this.#section).textContent = 'It is selected: copy it with the keyboard.';
    }
  }
}

function modelCard({ title, name, bytes, card }) {
  return make(
    'details',
    { className: 'card' },
    make('summary', {}, make('strong', { textContent: title }), ` ${name}, ${megabytes(bytes)}`),
    ...quality(card.quality ?? []),
    make('dl', { className: 'facts' }, ...facts({ ...card, quality: null })),
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

export const about = { name: 'about', title: 'About', markup: MARKUP, View: AboutView };
