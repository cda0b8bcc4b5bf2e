/** A range of addresses, in units. */
interface Range {
  offset: number;
  size: number;
  isUsed: boolean;
  /** The ranges beside it. */
  below: Range | null;
  above: Range | null;
  /** Its neighbours in the list of its bin, where it is free. */
  previous: Range | null;
  next: Range | null;
}

/** Addresses that somebody uses. */
export type UsedRange = Readonly<Pick<Range, 'offset' | 'size'>>;

/** Bins are three bits of a size behind its highest one, so eight for each power of two. */
const MANTISSA_BITS = 3;
const BINS_PER_POWER = 1 << MANTISSA_BITS;
const POWERS = 32;
const NONE = -1;

/**
 * Hands out ranges of addresses as pegaflow-server's pool does, to the unit: of the smallest bin in which every range is
 * large enough, the range that was freed last. A range that is as large as asked for may lie in the bin below, and is
 * not found there. Every call takes constant time.
 */
export class AddressSpace {
  readonly #isSizeClassed: boolean;
  /** First free range of each bin. */
  readonly #free = new Array<Range | null>(POWERS * BINS_PER_POWER).fill(null);
  /** Which bins of a power have ranges, and which powers have bins with ranges. */
  readonly #bins = new Uint8Array(POWERS);
  #powers = 0;
  #usedUnits = 0;

  /** With `isSizeClassed` every size is rounded up to the smallest of its bin, and no room between bins is lost. */
  constructor(sizeUnits: number, isSizeClassed: boolean) {
    this.#isSizeClassed = isSizeClassed;
    if (sizeUnits > 0) this.#putFree(rangeOf(0, sizeUnits));
  }

  get usedUnits(): number {
    return this.#usedUnits;
  }

  /** `null` where no bin has a range that is surely large enough. */
  allocate(units: number): UsedRange | null {
    const bin = binAbove(units);
    const size = this.#isSizeClassed ? smallestOf(bin) : units;
    const found = this.#lowestFrom(bin);
    if (found === NONE) return null;
    const range = this.#free[found]!;
    this.#takeFree(range);
    range.isUsed = true;
    this.#usedUnits += size;
    if (range.size > size) this.#split(range, size);
    return range;
  }

  /** Joins the range with free ones beside it. */
  free(used: UsedRange): void {
    const range = used as Range;
    this.#usedUnits -= range.size;
    range.isUsed = false;
    const { below, above } = range;
    if (below !== null && !below.isUsed) {
      this.#takeFree(below);
      range.offset = below.offset;
      range.size += below.size;
      range.below = below.below;
      if (range.below !== null) range.below.above = range;
    }
    if (above !== null && !above.isUsed) {
      this.#takeFree(above);
      range.size += above.size;
      range.above = above.above;
      if (range.above !== null) range.above.below = range;
    }
    this.#putFree(range);
  }

  #split(range: Range, size: number): void {
    const rest = rangeOf(range.offset + size, range.size - size);
    rest.below = range;
    rest.above = range.above;
    if (rest.above !== null) rest.above.below = rest;
    range.above = rest;
    range.size = size;
    this.#putFree(rest);
  }

  #lowestFrom(bin: number): number {
    const power = bin >> MANTISSA_BITS;
    if (power >= POWERS) return NONE;
    const here = this.#bins[power]! & -(1 << (bin % BINS_PER_POWER));
    if (here !== 0) return power * BINS_PER_POWER + lowestBit(here);
    const above = power + 1 < POWERS ? this.#powers & -(1 << (power + 1)) : 0;
    if (above === 0) return NONE;
    const next = lowestBit(above);
    return next * BINS_PER_POWER + lowestBit(this.#bins[next]!);
  }

  #putFree(range: Range): void {
    const bin = binBelow(range.size);
    const first = this.#free[bin]!;
    range.previous = null;
    range.next = first;
    if (first !== null) first.previous = range;
    this.#free[bin] = range;
    const power = bin >> MANTISSA_BITS;
    this.#bins[power] = this.#bins[power]! | (1 << (bin % BINS_PER_POWER));
    this.#powers |= 1 << power;
  }

  #takeFree(range: Range): void {
    const bin = binBelow(range.size);
    if (range.next !== null) range.next.previous = range.previous;
    if (range.previous !== null) range.previous.next = range.next;
    else this.#free[bin] = range.next;
    if (this.#free[bin] !== null) return;
    const power = bin >> MANTISSA_BITS;
    this.#bins[power] = this.#bins[power]! & ~(1 << (bin % BINS_PER_POWER));
    if (this.#bins[power] === 0) this.#powers &= ~(1 << power);
  }
}

const rangeOf = (offset: number, size: number): Range => ({
  offset,
  size,
  isUsed: false,
  below: null,
  above: null,
  previous: null,
  next: null,
});

const lowestBit = (bits: number): number => 31 - Math.clz32(bits & -bits);

/** The bin that a free range of this size lies in. */
const binBelow = (size: number): number => {
  if (size < BINS_PER_POWER) return size;
  const shift = 31 - Math.clz32(size) - MANTISSA_BITS;
  return ((shift + 1) << MANTISSA_BITS) + ((size >>> shift) % BINS_PER_POWER);
};

/** The first bin whose ranges are all at least of this size. */
const binAbove = (size: number): number => {
  const bin = binBelow(size);
  return smallestOf(bin) === size ? bin : bin + 1;
};

/** The size with which a bin begins. */
const smallestOf = (bin: number): number => {
  const power = bin >> MANTISSA_BITS;
  const mantissa = bin % BINS_PER_POWER;
  return power === 0 ? mantissa : (BINS_PER_POWER + mantissa) * 2 ** (power - 1);
};
