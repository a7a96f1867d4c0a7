// How letters stand in a word. A letter is a picture of one channel, its ink bright; all have their baseline in the same
// row. Lengths are in pixels of those pictures.

/** What counts as ink, of 255. */
const INK = 80;
const GAP = 3;
const SPACE = 10;

/** The letters of a text in the order of their first use; spaces are none. */
export function lettersOf(text) {
  return [...new Set(text.replaceAll(' ', ''))];
}

/**
 * Places of the letters of `text`, in lines of at most `most`: `{places: [{letter, left, right, x, line}], width, lines}`,
 * where `left` to `right` are the columns of the picture that have ink, and `x` is where they begin. `pictures` has one
 * for each of `letters`, which has all of the text's.
 */
export function typeset(text, letters, pictures, most) {
  const inks = pictures.map(inkOf);
  const words = text
    .split(' ')
    .filter(Boolean)
    .map((word) => {
      let x = 0;
      const places = [...word].map((character) => {
        const letter = letters.indexOf(character);
        const place = { letter, ...inks[letter], x };
        x += place.right - place.left + GAP;
        return place;
      });
      return { places, width: x - GAP };
    });
  const lines = [{ places: [], width: -SPACE }];
  for (const word of words) {
    let line = lines.at(-1);
    if (line.places.length && line.width + SPACE + word.width > most)
      lines.push((line = { places: [], width: -SPACE }));
    const from = line.width + SPACE;
    line.places.push(...word.places.map((place) => ({ ...place, x: place.x + from })));
    line.width = from + word.width;
  }
  return {
    places: lines.flatMap(({ places }, line) => places.map((place) => ({ ...place, line }))),
    width: Math.max(...lines.map(({ width }) => width)),
    lines: lines.length,
  };
}

/** The columns with ink; the middle, where there is none. */
function inkOf({ width, height, data }) {
  const columns = Array.from({ length: width }, (_, x) => x).filter((x) =>
    Array.from({ length: height }, (_, y) => data[y * width + x]).some((value) => value > INK),
  );
  const [left, last] = columns.length ? [columns[0], columns.at(-1)] : [width / 2, width / 2];
  return { left, right: last + 1 };
}
