// Files and folders that a visitor gives, as a list of `{path, blob}`. Nothing of a file is read here.

/** How many folders deep files are looked for: those of a model, and the folders in it. */
const DEPTH = 2;

/** Those of a file field. */
export function chosen(files) {
  return [...files].map((blob) => ({ path: blob.webkitRelativePath || blob.name, blob }));
}

/** Those that were dropped. The browser gives them away only during the event, so this begins at once. */
export async function dropped({ items }) {
  const entries = [...items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
  const found = await Promise.all(entries.map((entry) => walk(entry, '', DEPTH)));
  return found.flat();
}

async function walk(entry, folder, depth) {
  const path = folder + entry.name;
  if (entry.isFile) {
    const blob = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ path, blob }];
  }
  if (depth === 0 || entry.name.startsWith('.')) return [];
  const reader = entry.createReader();
  const found = [];
  // A reader gives some entries at a time, none at the end.
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    found.push(...(await Promise.all(some.map((inner) => walk(inner, `${path}/`, depth - 1)))).flat());
  }
}
