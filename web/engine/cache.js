// What the browser keeps between visits.

/** Null where the browser has none (plain http) or denies it (some private modes). */
export async function openCache(name) {
  try {
    return await caches.open(name);
  } catch {
    return null;
  }
}
