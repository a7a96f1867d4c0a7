// What has to be found out about a GPU, once for an adapter and a version of the program: whether it computes what the CPU
// does (drivers miscompile, and nothing else tells), and whether it is faster.

import { openCache } from './cache.js';

const CACHE = 'scorefield-devices';

/**
 * Tries the GPU of a session, once for an adapter and a version of the program, and tells the session its pace. Throws where
 * it computes wrongly.
 */
export async function verifyOnce(session, adapter) {
  const key = `/verified?${new URLSearchParams({ adapter, revision: session.revision() })}`;
  const { pace } = await once(key, async () => ({ pace: await session.verify() }));
  session.set_pace(pace ?? Infinity); // which JSON cannot say
}

/**
 * Milliseconds of an evaluation of a model for `count` images, on the GPU and on one thread of the CPU.
 * @returns {Promise<{gpu: number, cpu: number}>}
 */
export function speeds(session, adapter, { name, sha256, card }, count) {
  const what = { adapter, revision: session.revision(), name, sha256, count };
  return once(`/speeds?${new URLSearchParams(what)}`, () => session.race(card, count));
}

/** What `find` returns, or returned when it was called for `key` before. */
async function once(key, find) {
  const cache = await openCache(CACHE);
  const known = await cache?.match(key);
  if (known) return known.json();
  const found = await find();
  await cache?.put(key, new Response(JSON.stringify(found))).catch(() => {}); // a full disk, say: then again next time
  return found;
}
