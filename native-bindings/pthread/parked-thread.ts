import { describeErrno, SystemCallError } from '../system-call-error.ts';
import { SIG_SETMASK, SIGSET_SIZE_BYTES, TASK_COMM_LEN } from './declarations.ts';
import { pthread, type ThreadHandle } from './library.ts';
import { Semaphore } from './semaphore.ts';

/** A thread that could not be started: `EAGAIN` at the limit of threads of the user, of the control group or of the system. */
export class ThreadError extends SystemCallError {
  override readonly name = 'ThreadError';
}

/**
 * A thread of this process that waits and does nothing else. What others see of it is its name in the task list
 * (`/proc/<pid>/task/<tid>/comm`), and its end. It does not keep the event loop alive, and takes no signal.
 */
export class ParkedThread implements Disposable {
  readonly #handle: ThreadHandle;
  readonly #wakeUp: Semaphore;
  #joined: Promise<void> | null = null;

  /** @param name the kernel keeps 15 bytes of it. @throws ThreadError */
  static start(name: string): ParkedThread {
    const wakeUp = new Semaphore();
    let handle: ThreadHandle;
    try {
      handle = withoutSignals(() => create(name, wakeUp));
    } catch (error) {
      wakeUp[Symbol.dispose]();
      throw error;
    }
    const thread = new ParkedThread(handle, wakeUp);
    try {
      check(pthread().setName(handle, commFrom(name)), 'pthread_setname_np', name);
    } catch (error) {
      thread[Symbol.dispose]();
      throw error;
    }
    return thread;
  }

  private constructor(handle: ThreadHandle, wakeUp: Semaphore) {
    this.#handle = handle;
    this.#wakeUp = wakeUp;
  }

  /** Lets it end, which takes it a moment. */
  [Symbol.dispose](): void {
    this.#joined ??= this.#end();
  }

  /** Lets it end, and settles when it has and its memory is given back. The kernel may list it some microseconds longer. */
  async [Symbol.asyncDispose](): Promise<void> {
    this[Symbol.dispose]();
    await this.#joined;
  }

  #end(): Promise<void> {
    this.#wakeUp.post();
    return joinNext(this.#handle, this.#wakeUp);
  }
}

/** One join at a time: koffi refuses more than so many calls at once, and none of these waits for long. */
let lastJoin: Promise<unknown> = Promise.resolve();

/** Collects a thread that was woken up. It looks at its semaphore until its very end, so that goes after it. */
function joinNext(handle: ThreadHandle, wakeUp: Semaphore): Promise<void> {
  const joined = lastJoin.then(async () => {
    await pthread().join(handle, null);
    wakeUp[Symbol.dispose]();
  });
  // A join that fails is told to whoever asked for it, and holds up no later one.
  lastJoin = joined.catch(() => {});
  return joined;
}

function create(name: string, wakeUp: Semaphore): ThreadHandle {
  const thread: [ThreadHandle] = [0];
  check(pthread().create(thread, null, pthread().semWait, wakeUp.address), 'pthread_create', name);
  return thread[0];
}

/** A thread takes the signal mask of its creator. A signal that it could take would end its wait, and with it the thread. */
function withoutSignals<T>(action: () => T): T {
  const previous = new Uint8Array(SIGSET_SIZE_BYTES);
  pthread().sigmask(SIG_SETMASK, new Uint8Array(SIGSET_SIZE_BYTES).fill(0xff), previous);
  try {
    return action();
  } finally {
    pthread().sigmask(SIG_SETMASK, previous, null);
  }
}

/** The name as the kernel keeps it, with its zero: what is too long is cut. */
function commFrom(name: string): Uint8Array {
  const comm = new Uint8Array(TASK_COMM_LEN);
  new TextEncoder().encodeInto(name, comm.subarray(0, TASK_COMM_LEN - 1));
  return comm;
}

function check(errno: number, syscall: string, name: string): void {
  if (errno === 0) return;
  const { code, detail } = describeErrno(errno);
  throw new ThreadError(code, syscall, name, detail);
}
