// The test digits that come with the page, as pictures with the `label` of each and its `index` in the test set.

export async function fetchDigits() {
  const response = await fetch('digits.json');
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  const { height, width, index, label, pixels } = await response.json();
  const bytes = Uint8ClampedArray.from(atob(pixels), (char) => char.charCodeAt(0));
  const size = height * width;
  return label.map((digit, i) => ({
    label: digit,
    index: index[i],
    channels: 1,
    height,
    width,
    data: bytes.slice(i * size, (i + 1) * size),
  }));
}
