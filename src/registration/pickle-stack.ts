import { IpcWrapperError } from './ipc-wrapper-error.ts';
import type { PickleValue } from './pickle-values.ts';

/** The stack of a pickle machine with its marks, and its memo. Every method throws {@link IpcWrapperError} on what is not there. */
export class PickleStack {
  #values: PickleValue[] = [];
  readonly #belowMarks: PickleValue[][] = [];
  readonly #memo = new Map<number, PickleValue>();

  push(value: PickleValue): void {
    this.#values.push(value);
  }

  pop(): PickleValue {
    const value = this.#values.pop();
    if (value === undefined) throw new IpcWrapperError('takes more from its stack than it put there');
    return value;
  }

  /** Drops the last value, or the mark that nothing follows. */
  discard(): void {
    if (this.#values.length === 0 && this.#belowMarks.length > 0) this.popToMark();
    else this.pop();
  }

  top(): PickleValue {
    const value = this.#values.at(-1);
    if (value === undefined) throw new IpcWrapperError('looks at an empty stack');
    return value;
  }

  /** The last two values, in the order in which they were pushed. */
  popPair(): readonly [PickleValue, PickleValue] {
    const second = this.pop();
    return [this.pop(), second];
  }

  mark(): void {
    this.#belowMarks.push(this.#values);
    this.#values = [];
  }

  /** Everything since the last mark, and the mark itself. */
  popToMark(): PickleValue[] {
    const below = this.#belowMarks.pop();
    if (below === undefined) throw new IpcWrapperError('returns to a mark that it did not set');
    const values = this.#values;
    this.#values = below;
    return values;
  }

  memoize(index = this.#memo.size): void {
    this.#memo.set(index, this.top());
  }

  recall(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) throw new IpcWrapperError(`recalls entry ${index}, which its memo does not have`);
    this.push(value);
  }
}
