// Models of the visitor's own: made of files that stay where they are, in the browser.

import { Channel, ScorefieldError } from './channel.js';

/** Names that say nothing of the model. */
const COMMON = /^(diffusion_pytorch_)?model$|^pytorch_model$/;

/**
 * The model that `files`, `{path, blob}`, hold: an entry of the list of models, and its file as `blob`. It is made in a
 * worker of its own, at `url`: wasm never gives memory back, so what reading takes has to go with its worker.
 */
export async function importModel(url, program, files, { name, signal }) {
  const chosen = inTheirFolder(files);
  const request = { type: 'import', name: plain(name || chosen.name), files: chosen.files, program };
  const worker = new Channel(url, () => {});
  const cancel = () => worker.close(new ScorefieldError('cancelled', 'Cancelled.'));
  signal?.addEventListener('abort', cancel);
  if (signal?.aborted) cancel();
  try {
    const model = await worker.call(request);
    await model.blob.slice(-1).arrayBuffer(); // it is all with the browser before its worker goes
    return { ...model, own: true };
  } catch (error) {
    if (!error.isBreakdown) throw error;
    throw new ScorefieldError(
      'weights',
      `The files could not be read (${error.phrase}); they may be larger than this browser can hold.`,
    );
  } finally {
    signal?.removeEventListener('abort', cancel);
    worker.close(new ScorefieldError('crash', 'the import is over'));
  }
}

/** `name`, or the first like it that none of `models` has. */
export function freeName(name, models) {
  const isTaken = (wanted) => models.some((model) => model.name === wanted);
  let free = name;
  for (let i = 2; isTaken(free); i++) free = `${name}-${i}`;
  return free;
}

/**
 * Files as seen from the folder that they all lie in, and a name for the model. Hidden files, and those deeper than in a
 * folder of the model's, belong to other programs.
 */
function inTheirFolder(files) {
  const paths = files.map(({ path }) => path.split('/').filter(Boolean));
  const [folder] = paths[0] ?? [];
  const isShared = paths.length > 0 && paths.every((parts) => parts.length > 1 && parts[0] === folder);
  const seen = files.map(({ blob }, i) => ({ blob, parts: isShared ? paths[i].slice(1) : paths[i] }));
  const ours = seen.filter(({ parts }) => parts.length <= 2 && !parts.some((part) => part.startsWith('.')));
  const stems = ours
    .filter(({ parts }) => parts.length === 1 && parts[0].endsWith('.safetensors'))
    .map(({ parts }) => parts[0].replace(/\.safetensors$/, ''));
  const said = stems.find((stem) => !COMMON.test(stem)) ?? 'own-model';
  return {
    name: isShared ? folder : said,
    files: ours.map(({ blob, parts }) => ({ path: parts.join('/'), blob })),
  };
}

/** A name that links and file names can have. */
function plain(name) {
  return name.normalize('NFKD').replace(/[^\w.-]+/g, '-').replace(/^-+|-+$/g, '') || 'own-model';
}
