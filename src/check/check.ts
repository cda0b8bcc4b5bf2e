/** Asks a server that is in use by others for what the items of the catalogue say, and leaves it as it was. */
import { randomUUID } from 'node:crypto';
import { Code, ConnectError, type Interceptor } from '@connectrpc/connect';
import { type DeviceDriver, LoadState } from '../../native-bindings/index.ts';
import { errorText } from '../error-text.ts';
import { publicEndpoint } from '../redacted.ts';
import { catalogue } from './catalogue.ts';
import { within } from './eventually.ts';
import { NotKeptError } from './expectation.ts';
import { type CheckedServer, ItemSuite, NotAskedError, type Scene } from './item-suite.ts';
import { type EngineClient, Rank, type RankOptions, ServerConnection } from './rank.ts';

export interface CheckOptions {
  /** `http://127.0.0.1:50055` */
  readonly endpoint: string;
  /** `http://127.0.0.1:9091`, or `null`: the HTTP port is not asked. */
  readonly httpEndpoint: string | null;
  readonly driver: DeviceDriver;
  /** Whether blocks may be saved, which stay until the server evicts them. */
  readonly writes: boolean;
  /** Longest time for one item, and for giving back what it took, in milliseconds. */
  readonly timeoutMs: number;
  /** Ends the check after the item that it interrupts. */
  readonly signal: AbortSignal;
}

export interface ItemResult {
  /** Such as `C07`; several items may have one. */
  readonly id: string;
  readonly title: string;
  readonly outcome: 'kept' | 'not kept' | 'not asked';
  /** What the server did instead, or why it was not asked; `null` where the item is kept. */
  readonly reason: string | null;
}

export interface CheckReport {
  readonly endpoint: string;
  readonly serverVersion: string;
  readonly items: readonly ItemResult[];
  /** Lines with WARN that the server wrote about what it was asked: about refused calls, nearly all. */
  readonly warnings: number;
  /** Blocks that were saved. */
  readonly savedBlocks: number;
  readonly isInterrupted: boolean;
}

/** Nobody answers there as a pegaflow-server does. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';
}

/** Rejects with an {@link UnreachableError} where no server answers. */
export async function check(options: CheckOptions, onItem: (item: ItemResult) => void): Promise<CheckReport> {
  const traffic = new CheckTraffic();
  const facts = await factsOf(options, traffic);
  const suite = new CheckSuite(options, facts, traffic);
  for (const [group, declareItems] of Object.entries(catalogue)) suite.declare(group, declareItems);
  const items: ItemResult[] = [];
  for (const item of suite.items) {
    if (options.signal.aborted) break;
    const result = await suite.ask(item);
    if (result === null) break;
    items.push(result);
    onItem(result);
  }
  const { endpoint } = options;
  const { warnings, savedBlocks } = traffic;
  const isInterrupted = options.signal.aborted;
  return {
    endpoint: publicEndpoint(endpoint),
    serverVersion: facts.serverVersion,
    items,
    warnings,
    savedBlocks,
    isInterrupted,
  };
}

/** What was learned of the server before any item. */
interface ServerFacts {
  readonly serverVersion: string;
  /** Why the server cannot open a load record of ours; `null`: it can. */
  readonly recordComplaint: string | null;
  /** Why it cannot map memory of ours; `null`: it can. */
  readonly memoryComplaint: string | null;
}

const SERVER_VERSION = /version mismatch: client=\S+ server=(\S+)/;

async function factsOf({ endpoint, driver, timeoutMs }: CheckOptions, traffic: CheckTraffic): Promise<ServerFacts> {
  const connection = new ServerConnection(endpoint, [traffic.interceptor]);
  const { client } = connection;
  try {
    await client.health({}, { timeoutMs });
    const refused = await refusalOf(client.registerContextBatch({ clientVersion: '' }, { timeoutMs }));
    const serverVersion = SERVER_VERSION.exec(refused)?.[1];
    if (serverVersion === undefined)
      throw new UnreachableError(`${publicEndpoint(endpoint)} does not tell its version: ${refused}`);
    const recordComplaint = await recordComplaintOf(client, timeoutMs);
    const memoryComplaint = await memoryComplaintOf(client, driver, serverVersion);
    return { serverVersion, recordComplaint, memoryComplaint };
  } catch (error) {
    if (error instanceof UnreachableError) throw error;
    throw new UnreachableError(`no pegaflow-server answers at ${publicEndpoint(endpoint)}: ${errorText(error)}`);
  } finally {
    await traffic.unregisterAll(client, timeoutMs);
    connection[Symbol.dispose]();
  }
}

/** The words of a refusal; rejects where the call fails otherwise or succeeds. */
async function refusalOf(work: Promise<unknown>): Promise<string> {
  const error = ConnectError.from(
    await work.then(
      () => new UnreachableError('accepts a registration without a version'),
      (reason: unknown) => reason,
    ),
  );
  if (!isRefusal(error)) throw error;
  return error.rawMessage;
}

/** An unknown instance is looked for once the record is open. */
async function recordComplaintOf(client: EngineClient, timeoutMs: number): Promise<string | null> {
  const state = LoadState.create();
  try {
    const words = await refusalOf(client.load({ instanceId: checkId(), loadStateShm: state.name }, { timeoutMs }));
    return words.endsWith('not found') ? null : `shares no memory with the server: ${words}`;
  } finally {
    state[Symbol.dispose]();
  }
}

async function memoryComplaintOf(client: EngineClient, driver: DeviceDriver, clientVersion: string) {
  const instanceId = checkId();
  const rank = new Rank(client, driver, { instanceId, clientVersion });
  try {
    await rank.register();
    await client.unregisterContext({ instanceId });
    return null;
  } catch (error) {
    const refusal = ConnectError.from(error);
    if (!isRefusal(refusal)) throw error;
    return `the server cannot map memory of ours: ${refusal.rawMessage}`;
  } finally {
    rank[Symbol.dispose]();
  }
}

function checkId(): string {
  return `check-${randomUUID()}`;
}

/** Codes of answers; the rest are losses of the connection and deadlines. */
const REFUSALS: readonly Code[] = [
  Code.InvalidArgument,
  Code.FailedPrecondition,
  Code.Internal,
  Code.NotFound,
  Code.OutOfRange,
  Code.Unimplemented,
];

function isRefusal(error: unknown): error is ConnectError {
  return error instanceof ConnectError && REFUSALS.includes(error.code);
}

/** Refusals of a registration whose memory was mapped already: giving it back is a warning of its own. */
const ROLLED_BACK = /^(invalid argument: |topology mismatch: )/;

/** Calls whose refusals the server does not log. */
const REFUSED_SILENTLY = ['Session', 'QueryBlocksForTransfer', 'RdmaHandshake'];

/** Sees every call of a check: what was refused, saved, and may be registered now. */
class CheckTraffic {
  warnings = 0;
  savedBlocks = 0;
  readonly #registered = new Set<string>();

  readonly interceptor: Interceptor = (next) => async (request) => {
    const message = request.stream ? null : request.message;
    const { name } = request.method;
    const instanceId = stringField(message, 'instanceId') ?? '';
    // One that is refused can leave the instance behind, without any rank.
    if (name === 'RegisterContextBatch' && instanceId !== '') this.#registered.add(instanceId);
    try {
      const answer = await next(request);
      if (name === 'UnregisterContext') this.#registered.delete(instanceId);
      if (name === 'Save') this.savedBlocks += blocksOf(message);
      if (name === 'ReleaseTransferLock') this.warnings += 1;
      return answer;
    } catch (error) {
      const { rawMessage } = ConnectError.from(error);
      if (isRefusal(error) && !REFUSED_SILENTLY.includes(name)) {
        this.warnings += name === 'RegisterContextBatch' && ROLLED_BACK.test(rawMessage) ? 2 : 1;
      }
      // Somebody else has dropped it: its session's end, or a call to the HTTP port.
      const lost = /^instance (\S+) not found$/.exec(rawMessage)?.[1];
      if (lost !== undefined) this.#registered.delete(lost);
      throw error;
    }
  };

  /** A call to the HTTP port that was answered with `status`. */
  observeHttp(path: string, status: number): void {
    if (path.startsWith('/instances/cleanup') && status === 200) this.warnings += 1;
  }

  /** Drops every instance that is still registered. */
  async unregisterAll(client: EngineClient, timeoutMs: number): Promise<void> {
    const ids = [...this.#registered];
    const work = Promise.allSettled(ids.map((instanceId) => client.unregisterContext({ instanceId })));
    await within(timeoutMs, 'the instances to be dropped', work).catch(() => {});
    this.#registered.clear();
  }
}

function stringField(message: object | null, name: string): string | null {
  const value = message === null ? undefined : (message as Readonly<Record<string, unknown>>)[name];
  return typeof value === 'string' ? value : null;
}

/** The blocks of one Save, however many layers they have. */
function blocksOf(message: object | null): number {
  const { saves = [] } = (message ?? {}) as {
    readonly saves?: readonly { readonly blockHashes: readonly unknown[] }[];
  };
  return Math.max(0, ...saves.map(({ blockHashes }) => blockHashes.length));
}

interface Item {
  readonly id: string;
  readonly title: string;
  /** `null`: it can be asked. */
  readonly notAsked: string | null;
  readonly body: () => Promise<void>;
}

class CheckSuite extends ItemSuite {
  readonly items: Item[] = [];
  readonly #options: CheckOptions;
  readonly #facts: ServerFacts;
  readonly #traffic: CheckTraffic;
  #group = '';

  constructor(options: CheckOptions, facts: ServerFacts, traffic: CheckTraffic) {
    super();
    this.#options = options;
    this.#facts = facts;
    this.#traffic = traffic;
  }

  get target(): CheckedServer {
    return this.#options;
  }

  declare(group: string, declareItems: (suite: ItemSuite) => void): void {
    this.#group = group;
    declareItems(this);
  }

  /** `null`: it was interrupted. */
  async ask({ id, title, notAsked, body }: Item): Promise<ItemResult | null> {
    if (notAsked !== null) return { id, title, outcome: 'not asked', reason: notAsked };
    const { timeoutMs, signal } = this.#options;
    const interrupted = Promise.withResolvers<null>();
    const interrupt = () => interrupted.resolve(null);
    signal.addEventListener('abort', interrupt, { once: true });
    if (signal.aborted) interrupt();
    const asked = within(timeoutMs, 'the end of it', body()).then(
      (): ItemResult => ({ id, title, outcome: 'kept', reason: null }),
      (error: unknown): ItemResult => {
        if (error instanceof NotAskedError) return { id, title, outcome: 'not asked', reason: error.message };
        const reason = error instanceof NotKeptError ? error.message : `failed: ${errorText(error)}`;
        return { id, title, outcome: 'not kept', reason };
      },
    );
    try {
      return await Promise.race([asked, interrupted.promise]);
    } finally {
      signal.removeEventListener('abort', interrupt);
      await this.#traffic.unregisterAll(this.open().client, timeoutMs);
      await this.endItem();
    }
  }

  override open(endpoint = this.#options.endpoint): ServerConnection {
    return this.keep(new ServerConnection(endpoint, [this.#traffic.interceptor]));
  }

  override rankOf(driver: DeviceDriver, options: RankOptions = {}, client = this.client): Rank {
    const deviceId = options.deviceId ?? 0;
    const devices = driver.deviceCount();
    if (deviceId >= devices) throw new NotAskedError(`needs ${deviceId + 1} devices, there are ${devices}`);
    const instanceId = options.instanceId ?? checkId();
    const clientVersion = this.#facts.serverVersion;
    return super.rankOf(driver, { clientVersion, ...options, instanceId }, client);
  }

  override async http(method: string, path: string, endpoint = this.#options.httpEndpoint) {
    if (endpoint === null) throw new NotAskedError('needs the HTTP port (--http-url)');
    const answer = await super.http(method, path, endpoint);
    this.#traffic.observeHttp(path, answer.status);
    return answer;
  }

  wireTest(title: string, body: () => Promise<void>): void {
    this.#add(title, null, body);
  }

  recordTest(title: string, body: () => Promise<void>): void {
    this.#add(title, this.#facts.recordComplaint, body);
  }

  httpTest(title: string, body: () => Promise<void>): void {
    this.#add(title, this.#options.httpEndpoint === null ? 'needs the HTTP port (--http-url)' : null, body);
  }

  memoryTest(title: string, body: (scene: Scene) => Promise<void>, options: RankOptions = {}): void {
    const { recordComplaint, memoryComplaint } = this.#facts;
    const { driver } = this.#options;
    this.#add(title, memoryComplaint ?? recordComplaint, () => body({ driver, rank: this.rankOf(driver, options) }));
  }

  savingTest(title: string, body: (scene: Scene) => Promise<void>, options: RankOptions = {}): void {
    if (this.#options.writes) this.memoryTest(title, body, options);
    else this.#add(title, 'saves blocks, which stay until they are evicted (--write)', async () => {});
  }

  controlTest(title: string): void {
    this.#add(title, 'stops the server, or gives it faults', async () => {});
  }

  #add(text: string, notAsked: string | null, body: () => Promise<void>): void {
    const [, id, title] = /^(C\d+) (.*)$/.exec(text) ?? [];
    this.items.push({ id: id ?? this.#group, title: title ?? text, notAsked, body });
  }
}
