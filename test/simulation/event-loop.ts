/**
 * The one event loop of all simulated processes. Every event belongs to one process and runs alone, with all its
 * microtasks, so whatever is armed meanwhile belongs to the same process: it can be stopped, continued and killed.
 */

const realSetImmediate = setImmediate;

/** Immediates of the platform that are queued at once: between two of them it drains its microtasks. */
const EVENTS_PER_TURN = 64;
const EVENTS_AT_ONE_INSTANT_MAX = 50_000;

/** What a process does first after it stood still: its timers, then what arrived, then its immediates. */
export type Phase = 'timer' | 'io' | 'immediate';
const phaseOrder = { timer: 0, io: 1, immediate: 2 } as const;

const FIRST_PID = 1_001;

export class ScheduledEvent {
  readonly owner: SimulatedProcess;
  readonly phase: Phase;
  readonly run: () => void;
  atMs: number;
  sequence: number;
  isCancelled = false;

  constructor(owner: SimulatedProcess, phase: Phase, atMs: number, sequence: number, run: () => void) {
    this.owner = owner;
    this.phase = phase;
    this.atMs = atMs;
    this.sequence = sequence;
    this.run = run;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}

export class SimulatedProcess {
  readonly pid: number;
  readonly name: string;
  isDead = false;
  /** Killed, while its last copies may still run: nothing stops it any more. */
  isDying = false;
  isStopped = false;
  /** Events that came due while it stood still. */
  readonly deferred: ScheduledEvent[] = [];
  /** Called at the end of the process, when it has already ceased to run. */
  readonly atExit: (() => void)[] = [];

  constructor(pid: number, name: string) {
    this.pid = pid;
    this.name = name;
  }
}

export class EventLoop {
  /** Monotonic milliseconds, the same for everybody. */
  nowMs = 0;
  /** Milliseconds by which wall time was set forward or back. */
  wallClockOffsetMs = 0;
  current: SimulatedProcess;
  eventsRun = 0;
  #heap: ScheduledEvent[] = [];
  #sequence = 0;
  #processes: SimulatedProcess[] = [];
  #instantMs = -1;
  #eventsAtInstant = 0;

  constructor() {
    this.current = this.spawn('world');
  }

  spawn(name: string): SimulatedProcess {
    const process = new SimulatedProcess(FIRST_PID + this.#processes.length, name);
    this.#processes.push(process);
    return process;
  }

  /** `null` for a pid that no process ever had. */
  processOf(pid: number): SimulatedProcess | null {
    return this.#processes[pid - FIRST_PID] ?? null;
  }

  schedule(owner: SimulatedProcess, delayMs: number, phase: Phase, run: () => void): ScheduledEvent {
    const event = new ScheduledEvent(owner, phase, this.nowMs + Math.max(0, delayMs), ++this.#sequence, run);
    if (!owner.isDead) this.#push(event);
    return event;
  }

  /** How many timers this process has still armed. */
  pendingTimers(owner: SimulatedProcess): number {
    return this.#heap.filter((event) => event.owner === owner && event.phase === 'timer' && !event.isCancelled).length;
  }

  /** SIGSTOP, or an event loop that is busy with something else. */
  stop(process: SimulatedProcess): void {
    if (!process.isDying) process.isStopped = true;
  }

  /** What came due meanwhile runs now, in the order of Node's event loop. */
  continue(process: SimulatedProcess): void {
    if (!process.isStopped) return;
    process.isStopped = false;
    const deferred = process.deferred.splice(0);
    deferred.sort((a, b) => phaseOrder[a.phase] - phaseOrder[b.phase] || a.atMs - b.atMs || a.sequence - b.sequence);
    for (const event of deferred) {
      event.atMs = this.nowMs;
      event.sequence = ++this.#sequence;
      this.#push(event);
    }
  }

  kill(process: SimulatedProcess): void {
    if (process.isDead) return;
    process.isDead = true;
    process.deferred.length = 0;
    for (const callback of process.atExit.splice(0)) callback();
  }

  /** Runs events in the order in which they are due until `isDone`. Rejects with whatever one of them throws. */
  run(isDone: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      let isOver = false;
      const turn = () => {
        if (isOver) return;
        try {
          if (!isDone() && this.#runNext()) return;
          isOver = true;
          resolve();
        } catch (error) {
          isOver = true;
          reject(error);
        }
      };
      const refill = () => {
        if (isOver) return;
        for (let i = 0; i < EVENTS_PER_TURN; i++) realSetImmediate(turn);
        realSetImmediate(refill);
      };
      refill();
    });
  }

  #runNext(): boolean {
    for (let event = this.#pop(); event !== undefined; event = this.#pop()) {
      if (event.isCancelled || event.owner.isDead) continue;
      if (event.owner.isStopped) {
        event.owner.deferred.push(event);
        continue;
      }
      this.#advance(event.atMs);
      this.current = event.owner;
      this.eventsRun += 1;
      event.isCancelled = true;
      event.run();
      return true;
    }
    return false;
  }

  #advance(toMs: number): void {
    this.nowMs = Math.max(this.nowMs, toMs);
    this.#eventsAtInstant = this.nowMs === this.#instantMs ? this.#eventsAtInstant + 1 : 0;
    this.#instantMs = this.nowMs;
    if (this.#eventsAtInstant > EVENTS_AT_ONE_INSTANT_MAX) throw new Error('time stands still: a loop without a wait');
  }

  #push(event: ScheduledEvent): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (isBefore(heap[parent]!, event)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): ScheduledEvent | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (isBefore(last, heap[child]!)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(a: ScheduledEvent, b: ScheduledEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}
