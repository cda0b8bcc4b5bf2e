/** A seeded stream of numbers in [0, 1): mulberry32 (Tommy Ettinger, public domain). Equal seeds give equal streams. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A whole number in [`from`, `to`], both included. */
export function drawInteger(random: () => number, from: number, to: number): number {
  return from + Math.floor(random() * (to - from + 1));
}
