// A GPU draws nothing before it has been seen to compute what the CPU does: drivers miscompile, and nothing else tells.

import { openCache } from './cache.js';

const CACHE = 'scorefield-devices';

/** Tries the GPU of a session, once for an adapter and a version of the program. Throws where it computes wrongly. */
export async function verifyOnce(session, adapter) {
  const key = `/verified?${new URLSearchParams({ adapter, revision: session.revision() })}`;
  const cache = await openCache(CACHE);
  if (await cache?.match(key)) return;
  await session.verify();
  await cache?.put(key, new Response('')).catch(() => {}); // a full disk, say; the next visit tries again
}
