import type { InheritedTransfers } from '../../../machines/index.ts';
import type { FailedLoad, FinishedTransfers, LoadIntent, SaveIntent } from '../metadata.ts';

type Kind = 'load' | 'save';

/** One load or save from its beginning. Only this ends it, whatever else goes by its request's id. */
export interface TransferLife {
  /** Once. `error` is set where a load ended badly. */
  end(error?: FailedLoad | null): void;
}

/** A request's transfers under one scheduler. */
interface Entry {
  loadsUnderWay: number;
  savesUnderWay: number;
  hasSaves: boolean;
  isFinished: boolean;
}

/** What is to be told to one scheduler: another one knows other requests, perhaps by the same ids. */
interface Book {
  readonly entries: Map<string, Entry>;
  /** Numbers of the transfers that were begun here, the newest last. Bounded. */
  readonly begun: Set<number>;
  loaded: string[];
  saved: string[];
  errors: FailedLoad[];
}

/** A message that is repeated comes soon after. */
const NUMBERS_KEPT = 4_096;
/** Of schedulers that were replaced. */
const BOOKS_KEPT = 8;

/**
 * What one rank has to tell about each request: the end of its load as it happens, the end of its saves once the
 * request has finished. Each is told once, to the scheduler that began it.
 */
export class WorkerRequests {
  /** By boot id of the scheduler, the one that was followed longest ago first. */
  #books = new Map<string, Book>();
  /** Of the scheduler that is told. */
  #book: Book = newBook();
  #underWay = 0;
  #waiters = new Set<{ readonly requestIds: ReadonlySet<string>; readonly resolve: () => void }>();
  #onChange: () => void;

  /** `onChange` is called whenever there is more to take. */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** No load and no save is under way. */
  get isIdle(): boolean {
    return this.#underWay === 0;
  }

  get requestsUnderWay(): string[] {
    const entries = [...this.#books.values()].flatMap((book) => [...book.entries]);
    const underWay = entries.filter(([, entry]) => isUnderWay(entry));
    return [...new Set(underWay.map(([requestId]) => requestId))];
  }

  /** From now on this scheduler is told, and only of what it began. */
  follow(schedulerBootId: string): void {
    const book = this.#books.get(schedulerBootId) ?? newBook();
    if (book === this.#book) return;
    this.#book = book;
    this.#books.delete(schedulerBootId);
    this.#books.set(schedulerBootId, book);
    for (const [bootId, { entries }] of this.#books) {
      if (this.#books.size > BOOKS_KEPT && ![...entries.values()].some(isUnderWay)) this.#books.delete(bootId);
    }
  }

  /** `null`: this very transfer was begun before, and its message came again. */
  begin(kind: Kind, { requestId, epoch: { schedulerBootId }, transfer }: LoadIntent | SaveIntent): TransferLife | null {
    const book = this.#bookOf(schedulerBootId);
    if (transfer !== undefined && !isFirst(book, transfer)) return null;
    return this.#begin(kind, requestId, book);
  }

  /** What a worker that this one took the place of had under way: over, and nobody else will tell it. */
  inherit(schedulerBootId: string, { loads, saves }: Pick<InheritedTransfers, 'loads' | 'saves'>): void {
    const book = this.#bookOf(schedulerBootId);
    for (const { transfer, ...load } of loads) {
      if (!isFirst(book, transfer)) continue;
      this.#begin('load', load.requestId, book).end({ ...load, reason: 'the worker that had begun it was replaced' });
    }
    for (const { requestId, transfers, isFinished } of saves) {
      const isKnown = transfers.some((transfer) => book.begun.has(transfer));
      for (const transfer of transfers) isFirst(book, transfer);
      if (isKnown) {
        // This very process began them, for other memory: the step that told it of the end may be lost.
        if (isFinished) this.#finish(book, requestId);
        continue;
      }
      const life = this.#begin('save', requestId, book);
      if (isFinished) entryIn(book, requestId).isFinished = true;
      life.end();
    }
  }

  /** vLLM: `get_finished`. What this scheduler began, by default the one that is followed. */
  take(finishedRequestIds: readonly string[], schedulerBootId?: string): FinishedTransfers {
    const book = this.#heldBookOf(schedulerBootId);
    if (book === undefined) return { loaded: [], saved: [] };
    for (const requestId of finishedRequestIds) this.#finish(book, requestId);
    const { loaded, saved } = book;
    book.loaded = [];
    book.saved = [];
    return { loaded, saved };
  }

  /** vLLM: `get_block_ids_with_load_errors`. Of this scheduler, as {@link take}. */
  takeErrors(schedulerBootId?: string): FailedLoad[] {
    const book = this.#heldBookOf(schedulerBootId);
    if (book === undefined) return [];
    const { errors } = book;
    book.errors = [];
    return errors;
  }

  /** Resolves when no transfer of these requests, or with no list of any request, is under way. */
  async settled(requestIds?: readonly string[]): Promise<void> {
    const wanted = new Set(requestIds ?? this.requestsUnderWay);
    if (!this.#isUnderWay(wanted)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiters.add({ requestIds: wanted, resolve });
    await promise;
  }

  #heldBookOf(schedulerBootId: string | undefined): Book | undefined {
    return schedulerBootId === undefined ? this.#book : this.#books.get(schedulerBootId);
  }

  /** One of whom nothing was heard before is followed. */
  #bookOf(schedulerBootId: string): Book {
    if (!this.#books.has(schedulerBootId)) this.follow(schedulerBootId);
    return this.#books.get(schedulerBootId)!;
  }

  #begin(kind: Kind, requestId: string, book: Book): TransferLife {
    const entry = entryIn(book, requestId);
    const underWay = kind === 'load' ? 'loadsUnderWay' : 'savesUnderWay';
    let isOver = false;
    this.#underWay += 1;
    entry[underWay] += 1;
    if (kind === 'save') entry.hasSaves = true;
    return {
      end: (error = null) => {
        if (isOver) return;
        isOver = true;
        this.#underWay -= 1;
        entry[underWay] -= 1;
        if (error) book.errors.push(error);
        if (kind === 'load') book.loaded.push(requestId);
        else if (entry.isFinished) tellSavesIfEnded(book, requestId, entry);
        this.#ended(book, requestId, entry);
      },
    };
  }

  #finish(book: Book, requestId: string): void {
    const entry = book.entries.get(requestId);
    if (!entry || entry.isFinished) return;
    entry.isFinished = true;
    tellSavesIfEnded(book, requestId, entry);
    this.#ended(book, requestId, entry);
  }

  #isUnderWay(requestIds: ReadonlySet<string>): boolean {
    return this.requestsUnderWay.some((requestId) => requestIds.has(requestId));
  }

  #ended(book: Book, requestId: string, entry: Entry): void {
    const isOver = !isUnderWay(entry) && (entry.isFinished || !entry.hasSaves);
    if (isOver && book.entries.get(requestId) === entry) book.entries.delete(requestId);
    for (const waiter of this.#waiters) {
      if (this.#isUnderWay(waiter.requestIds)) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
    this.#onChange();
  }
}

function newBook(): Book {
  return { entries: new Map(), begun: new Set(), loaded: [], saved: [], errors: [] };
}

function isUnderWay({ loadsUnderWay, savesUnderWay }: Entry): boolean {
  return loadsUnderWay + savesUnderWay > 0;
}

/** Notes the number. */
function isFirst({ begun }: Book, transfer: number): boolean {
  if (begun.has(transfer)) return false;
  begun.add(transfer);
  if (begun.size > NUMBERS_KEPT) begun.delete(begun.values().next().value!);
  return true;
}

function tellSavesIfEnded(book: Book, requestId: string, entry: Entry): void {
  if (!entry.hasSaves || entry.savesUnderWay > 0) return;
  entry.hasSaves = false;
  book.saved.push(requestId);
}

function entryIn({ entries }: Book, requestId: string): Entry {
  const held = entries.get(requestId);
  if (held) return held;
  const entry = { loadsUnderWay: 0, savesUnderWay: 0, hasSaves: false, isFinished: false };
  entries.set(requestId, entry);
  return entry;
}
