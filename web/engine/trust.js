// What has to be found out about a device, once for it and a version of the program: whether a GPU computes what the CPU
// does (drivers miscompile, and nothing else tells), and how fast models are.

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

/** Milliseconds of an evaluation of a model for `count` images, on the session's device; on the CPU of one thread. */
export async function evaluationOnce(session, adapter, { name, sha256, card }, count) {
  const what = { adapter, revision: session.revision(), name, sha256, count };
  const { ms } = await once(`/evaluation?${new URLSearchParams(what)}`, async () => ({
    ms: await session.evaluation(card, count),
  }));
  return ms;
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
