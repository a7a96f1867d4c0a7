// The visitor's own models that are kept for the next visit: with their files, in this browser's IndexedDB. Pages that came
// over plain http have that too.

const STORE = 'models';

/** All of them; none where the browser denies it (some private modes). */
export async function keptModels() {
  try {
    return await inStore('readonly', (store) => store.getAll());
  } catch (error) {
    console.warn(`Models of an earlier visit cannot be read: ${error.message}`);
    return [];
  }
}

/**
 * Keeps a model. Returns whether the browser has promised not to delete it when its disk is full. Rejects where there is
 * no room.
 */
export async function keepModel(model) {
  await inStore('readwrite', (store) => store.put(model));
  // Some browsers ask the visitor, most decide by themselves; plain http has no such promise.
  return (await navigator.storage?.persist?.()) ?? false;
}

export function forgetModel({ sha256 }) {
  return inStore('readwrite', (store) => store.delete(sha256));
}

/** What a request to the store, made by `ask`, answers, once it is on the disk. */
async function inStore(mode, ask) {
  const database = await new Promise((resolve, reject) => {
    const opening = indexedDB.open('scorefield', 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: 'sha256' });
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
  try {
    const transaction = database.transaction(STORE, mode);
    const request = ask(transaction.objectStore(STORE));
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = transaction.onerror = () => reject(transaction.error ?? request.error);
    });
    return request.result;
  } finally {
    database.close();
  }
}
