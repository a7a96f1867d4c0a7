// Frames of points on their way, {seen, sigma, nfe}, in one or two lanes, and which of them is shown: forwards, backwards,
// one by one. A second lane shows its frame of the same noise as the first one's, so that the two can be compared.

/** Frames a second at the usual speed, and seconds that even a few frames take. */
const RATE = 30;
const SHORTEST = 3;

export class Player {
  #lanes = [];
  #at = 0; // a frame of the first lane
  #direction = 0; // 0 is a pause
  #last = 0;
  #request = 0;
  #show;
  #isGrowing = false;
  speed = 1;
  expected = RATE * SHORTEST; // frames of the first lane, in the end

  /** `show(frames, player)` draws a frame for each lane. */
  constructor(show) {
    this.#show = show;
  }

  /** Begins anew, with so many empty lanes that grow until `end` is called. */
  begin(lanes) {
    this.pause();
    this.#lanes = Array.from({ length: lanes }, () => []);
    this.#at = 0;
    this.#isGrowing = lanes > 0;
  }

  end() {
    this.#isGrowing = false;
  }

  add(lane, frame) {
    this.#lanes[lane].push(frame);
  }

  get lanes() {
    return this.#lanes;
  }

  get length() {
    return this.#lanes[0]?.length ?? 0;
  }

  get index() {
    return Math.min(Math.round(this.#at), Math.max(0, this.length - 1));
  }

  get isPlaying() {
    return this.#direction !== 0;
  }

  /** 1 forwards, -1 backwards; from the other end where it has come to one. */
  play(direction = 1) {
    if (direction > 0 && !this.#isGrowing && this.index >= this.length - 1) this.#at = 0;
    if (direction < 0 && this.index <= 0) this.#at = this.length - 1;
    this.#direction = direction;
    this.#last = performance.now();
    cancelAnimationFrame(this.#request);
    const step = (now) => {
      if (!this.#direction) return;
      const passed = Math.min(0.1, (now - this.#last) / 1000);
      this.#last = now;
      const last = Math.max(0, this.length - 1);
      const rate = Math.min(RATE, this.expected / SHORTEST) * this.speed;
      this.#at = Math.min(Math.max(0, this.#at + this.#direction * rate * passed), last);
      const isAtEnd = this.#direction > 0 ? this.#at >= last && !this.#isGrowing : this.#at <= 0;
      if (isAtEnd) return this.pause();
      this.#draw();
      this.#request = requestAnimationFrame(step);
    };
    this.#request = requestAnimationFrame(step);
  }

  pause() {
    this.#direction = 0;
    cancelAnimationFrame(this.#request);
    this.#draw();
  }

  seek(index) {
    this.#at = Math.min(Math.max(0, index), Math.max(0, this.length - 1));
    this.#draw();
  }

  /** The frame of each lane at a place. */
  #frames() {
    const first = this.#lanes[0][this.index];
    return this.#lanes.map((lane, k) =>
      k === 0 ? first : fellow(lane, first, this.index / (this.length - 1 || 1)),
    );
  }

  #draw() {
    if (this.length) this.#show(this.#frames(), this);
  }
}

/** The frame of a lane whose noise is the nearest to that of `frame`; where the noise stays the same, that at a share. */
function fellow(lane, { sigma }, share) {
  if (!lane.length) return null;
  if (lane[0].sigma === lane.at(-1).sigma) return lane[Math.round(share * (lane.length - 1))];
  const off = (frame) => Math.abs(Math.log(frame.sigma / sigma));
  return lane.reduce((best, frame) => (off(frame) < off(best) ? frame : best));
}
