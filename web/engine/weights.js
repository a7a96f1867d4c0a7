// The list of models and their weight files, and where the bytes of a model are read. The sha256 is not checked here but
// in Rust: pages served over plain http have no crypto.subtle.

import { openCache } from './cache.js';
import { ScorefieldError } from './channel.js';

const CACHE = 'scorefield-weights';

/** Reads models/manifest.json: `{models, classifiers}`. `base` is the folder that holds models/. */
export async function fetchManifest(base) {
  const url = new URL('models/manifest.json', base);
  try {
    // The manifest names the sha256 of the weights, so a stale copy would reject good files.
    const response = await fetch(url, { cache: 'no-cache' });
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    const files = await response.json();
    if (!Array.isArray(files)) throw new Error('it is not a list');
    // A classifier is a model file too, but draws nothing: it guides others.
    const isClassifier = ({ card }) => card.architecture?.kind === 'classifier';
    const models = files.filter((file) => !isClassifier(file));
    if (!models.length) throw new Error('it is empty');
    return { models, classifiers: files.filter(isClassifier) };
  } catch (error) {
    throw new ScorefieldError(
      'network',
      `The list of models (${url.pathname}) could not be read: ${error.message}.`,
    );
  }
}

/**
 * The bytes of a model and whether they came from the cache. `reload` ignores every cached copy.
 * @returns {Promise<{bytes: Uint8Array, cached: boolean}>}
 */
export async function fetchWeights(entry, base, { onProgress, signal, reload = false }) {
  const kept = reload ? null : await (await openCache(CACHE))?.match(cacheKey(entry, base));
  if (kept) return { bytes: new Uint8Array(await kept.arrayBuffer()), cached: true };

  const url = new URL(`models/${entry.file}`, base);
  const failed = (why) =>
    new ScorefieldError('network', `The weights of “${entry.title}” could not be downloaded: ${why}.`);
  try {
    const response = await fetch(url, { signal, cache: reload ? 'reload' : 'default' });
    if (!response.ok) throw failed(`the server answered ${response.status} for ${url.pathname}`);
    const bytes = await readAll(response, entry.bytes, onProgress);
    return { bytes, cached: false };
  } catch (error) {
    if (error.name === 'AbortError') throw new ScorefieldError('cancelled', 'Cancelled.');
    throw error instanceof ScorefieldError ? error : failed(`${error.message}; check the connection`);
  }
}

/** Reads bytes `from` to `to` of fetched weights. */
export const ofBytes = (bytes) => (from, to) => bytes.subarray(from, to);

/** Reads bytes `from` to `to` of a file that lies with the browser, none of which stay in memory. For workers only. */
export const ofBlob = (blob) => (from, to) => new Uint8Array(new FileReaderSync().readAsArrayBuffer(blob.slice(from, to)));

/** Keeps weights that were found good, and forgets older weights of the same model. */
export async function keepWeights(entry, base, bytes) {
  try {
    const cache = await openCache(CACHE);
    if (!cache) return;
    const key = cacheKey(entry, base);
    const old = (await cache.keys()).filter(({ url }) => url.startsWith(key.split('?')[0] + '?') && url !== key);
    await Promise.all(old.map((request) => cache.delete(request)));
    await cache.put(key, new Response(bytes));
  } catch (error) {
    console.warn(`The weights were not kept for the next visit: ${error.message}`); // a full disk, say
  }
}

export async function forgetWeights(entry, base) {
  await (await openCache(CACHE))?.delete(cacheKey(entry, base));
}

function cacheKey(entry, base) {
  return new URL(`models/${encodeURIComponent(entry.name)}?sha256=${entry.sha256}`, base).href;
}

/** Reads a body while reporting progress. `total` is the manifest's: compressed transfers state no usable length. */
async function readAll(response, total, onProgress) {
  const chunks = [];
  let loaded = 0;
  onProgress?.({ loaded, total });
  for (const reader = response.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    loaded += value.length;
    onProgress?.({ loaded, total });
  }
  const bytes = new Uint8Array(loaded);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}
