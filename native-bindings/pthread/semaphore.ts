import { koffi } from '../foreign-function.ts';
import { SEM_SIZE_BYTES } from './declarations.ts';
import { pthread } from './library.ts';

/** An unnamed semaphore of this process, at 0. Outside the heap of JavaScript, as a thread that waits for it may outlive every reference. */
export class Semaphore implements Disposable {
  readonly address: bigint = koffi().alloc('uint8_t', SEM_SIZE_BYTES);

  constructor() {
    pthread().semInit(this.address, 0, 0);
  }

  post(): void {
    pthread().semPost(this.address);
  }

  /** Nobody may wait for it any more. */
  [Symbol.dispose](): void {
    pthread().semDestroy(this.address);
    koffi().free(this.address);
  }
}
