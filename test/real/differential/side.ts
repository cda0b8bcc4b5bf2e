import { readFileSync } from 'node:fs';
import type { ClientAnswer, ClientRequest, PythonClient } from '../../support/python-client.ts';
import type { ServerProcess } from '../../support/server-process.ts';
import { eventually, within } from '../../support/within.ts';
import type { IdleClients } from './idle-clients.ts';
import { exceptionText, normalized, type Outcome } from './outcome.ts';
import type { LoadStep, SaveStep, Step } from './step.ts';

const LOAD_BUDGET_MS = 5000;
const VISIBLE_BUDGET_MS = 500;
const CLEANUP_BUDGET_MS = 2000;
/** The driver does not know the lease that an earlier step did not get. */
const NEVER_MADE = /^KeyError: 'q\d+'$/;
const NOT_CALLS: ReadonlySet<string> = new Set([
  'connect',
  'allocate',
  'fill',
  'free',
  'drop',
  'record',
  'killClient',
  'begin',
  'signal',
]);

/** One server with the client of its version. Names of instances and namespaces are unlike those of other runs. */
export class Side implements AsyncDisposable {
  readonly #server: ServerProcess;
  readonly #kind: string;
  readonly #clients: IdleClients;
  readonly #prefix: string;
  readonly #begun = new Map<string, Promise<Outcome[]>>();
  /** The instance whose Session a client holds. */
  readonly #sessions = new Map<string, string>();
  readonly #records = new Set<string>();
  #python: PythonClient | null = null;
  #lastNumber = 0;

  constructor(kind: 'real' | 'engine', server: ServerProcess, clients: IdleClients, prefix: string) {
    this.#kind = kind;
    this.#server = server;
    this.#clients = clients;
    this.#prefix = prefix;
  }

  /** Does one step and returns what can be compared. */
  async play(step: Step): Promise<readonly Outcome[]> {
    const outcomes = (await this.#play(step)).filter(({ text }) => !NEVER_MADE.test(text));
    const compared = NOT_CALLS.has(step.op) ? outcomes.filter(({ text }) => text !== 'null') : outcomes;
    return compared.map(({ what, text }) => ({ what, text: normalized(text) }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of this.#records) await this.#call({ op: 'unlink', name: this.#recordName(name) });
    if (this.#python === null) return;
    // A call may still block in a thread of it.
    if (this.#begun.size > 0) await this.#python[Symbol.asyncDispose]();
    else await this.#clients.giveBack(this.#python);
  }

  async #play(step: Step): Promise<Outcome[]> {
    switch (step.op) {
      case 'connect':
        return await this.#connect(step.client);
      case 'drop':
        return await this.#drop(step.client);
      case 'killClient':
        return await this.#killClient();
      case 'session':
        return await this.#session(step);
      case 'save':
        return await this.#save(step);
      case 'query':
        return await this.#answer({ ...step, req: step.req ?? `request-${++this.#lastNumber}` });
      case 'present':
        return await this.#answer({ ...step, req: `present-${++this.#lastNumber}` });
      case 'fault':
        await this.#server.fault(step.patch);
        return [];
      case 'load':
        return await this.#load(step);
      case 'record':
        this.#records.add(step.name);
        return await this.#answer({ ...step, name: this.#recordName(step.name) });
      case 'http':
        return await this.#http(step.method, step.path, step.instance);
      case 'metrics':
        return await this.#metrics(step.names);
      case 'signal':
        await this.#signal(step.signal);
        return [];
      case 'exit':
        return [{ what: 'exit', text: await this.#exit(step.withinMs) }];
      case 'begin':
        this.#begun.set(step.as, this.#play(step.step));
        return [];
      case 'end':
        return await this.#end(step.as, step.withinMs);
      default:
        return await this.#answer({ ...step });
    }
  }

  async #answer(request: ClientRequest): Promise<Outcome[]> {
    return [{ what: 'answer', text: answerText(await this.#call(request)) }];
  }

  async #call(request: ClientRequest): Promise<ClientAnswer> {
    this.#python ??= await this.#clients.take();
    return await this.#python.call({ ...request, ...this.#prefixed(request) });
  }

  #prefixed(request: ClientRequest): { [argument: string]: unknown } {
    const renamed: { [argument: string]: unknown } = {};
    for (const name of ['instance', 'namespace']) {
      const value = request[name];
      if (typeof value === 'string' && value !== '') renamed[name] = `${this.#prefix}${value}`;
    }
    return renamed;
  }

  async #session(step: Step & { op: 'session' }): Promise<Outcome[]> {
    const before = this.#sessions.get(step.client);
    const outcomes = await this.#answer(step);
    for (const [client, instance] of this.#sessions) if (instance === step.instance) this.#sessions.delete(client);
    this.#sessions.set(step.client, step.instance);
    if (before !== undefined && before !== step.instance) await this.#gone(before);
    return outcomes;
  }

  /** A client that had this name is dropped with its Session. */
  async #connect(client: string): Promise<Outcome[]> {
    const endpoint = `http://${this.#server.grpcAddress}`;
    const outcomes = await this.#answer({ op: 'client', client, endpoint });
    await this.#endSession(client);
    return outcomes;
  }

  async #drop(client: string): Promise<Outcome[]> {
    const outcomes = await this.#answer({ op: 'drop', client });
    await this.#endSession(client);
    return outcomes;
  }

  async #endSession(client: string): Promise<void> {
    const instance = this.#sessions.get(client);
    this.#sessions.delete(client);
    if (instance !== undefined) await this.#gone(instance);
  }

  async #killClient(): Promise<Outcome[]> {
    await this.#python?.kill();
    this.#python = null;
    const instances = [...this.#sessions.values()];
    this.#sessions.clear();
    for (const instance of instances) await this.#gone(instance);
    return [];
  }

  /** The cleanup after a Session's end is nobody's answer: it is awaited where everyone can see it. */
  async #gone(instance: string): Promise<void> {
    const giveUpMs = performance.now() + CLEANUP_BUDGET_MS;
    while (performance.now() < giveUpMs) {
      try {
        const { text } = await this.#request('GET', '/instances');
        if (!text.includes(`"${this.#prefix}${instance}"`)) return;
      } catch {
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async #save({ visible = [], ...step }: SaveStep): Promise<Outcome[]> {
    const answer = await this.#call(step);
    const outcomes: Outcome[] = [{ what: 'answer', text: answerText(answer) }];
    if ('error' in answer) return outcomes;
    for (const { group, hashes } of visible) {
      const settle = { op: 'settle', client: step.client, instance: step.instance, hashes, group };
      const hits = await this.#call({ ...settle, req: `settle-${++this.#lastNumber}`, timeoutMs: VISIBLE_BUDGET_MS });
      outcomes.push({ what: 'visible', text: answerText(hits) });
    }
    return outcomes;
  }

  async #load({ lands = [], ...step }: LoadStep): Promise<Outcome[]> {
    const name = step.state ?? `load-${++this.#lastNumber}`;
    const shm = step.shm === undefined ? {} : { shm: this.#recordName(step.shm) };
    const answer = await this.#call({ ...step, ...shm, state: name });
    const outcomes: Outcome[] = [{ what: 'answer', text: answerText(answer) }];
    if (NEVER_MADE.test(answerText(answer))) return outcomes;
    if (step.shm === undefined) {
      const timeoutMs = 'value' in answer ? LOAD_BUDGET_MS : 0;
      outcomes.push({ what: 'state', text: answerText(await this.#call({ op: 'state', state: name, timeoutMs })) });
    }
    for (const { memory, pieceSize } of 'value' in answer ? lands : []) {
      outcomes.push({ what: 'landed', text: answerText(await this.#call({ op: 'read', memory, pieceSize })) });
    }
    return outcomes;
  }

  /** Both clients make records in one folder. */
  #recordName(name: string): string {
    return this.#records.has(name) ? `${this.#prefix}${this.#kind}-${name}` : name;
  }

  async #http(method: string, path: string, instance?: string): Promise<Outcome[]> {
    const id = instance === undefined ? '' : `?id=${encodeURIComponent(instance && this.#prefix + instance)}`;
    try {
      const { status, type, allow, text } = await this.#request(method, path + id);
      return [{ what: 'http', text: `${status} ${type} ${allow} ${sortedLists(text)}` }];
    } catch {
      return [{ what: 'http', text: 'no answer' }];
    }
  }

  async #metrics(names: readonly string[]): Promise<Outcome[]> {
    const { text } = await this.#request('GET', '/metrics');
    return [{ what: 'metrics', text: seriesOf(text, names).join('\n') }];
  }

  async #request(method: string, path: string) {
    const response = await fetch(`http://${this.#server.httpAddress}${path}`, {
      method,
      signal: AbortSignal.timeout(5000),
    });
    const type = response.headers.get('content-type') ?? '-';
    const allow = response.headers.get('allow') ?? '-';
    return { status: response.status, type, allow, text: await response.text() };
  }

  /** Settles when a process that is stopped stands still. */
  async #signal(signal: NodeJS.Signals): Promise<void> {
    this.#server.signal(signal);
    if (signal !== 'SIGSTOP') return;
    const state = () => /^State:\s+(\w)/m.exec(readFileSync(`/proc/${this.#server.pid}/status`, 'utf8'))?.[1];
    await eventually('the server to stand still', () => (state() === 'T' ? true : null));
  }

  async #exit(withinMs: number): Promise<string> {
    try {
      return String(await within(withinMs, 'the server to end', this.#server.exited));
    } catch {
      return 'still running';
    }
  }

  async #end(name: string, withinMs: number): Promise<Outcome[]> {
    const begun = this.#begun.get(name);
    if (begun === undefined) return [{ what: 'answer', text: 'never begun' }];
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<Outcome[]>((resolve) => {
      timer = setTimeout(() => resolve([{ what: 'answer', text: 'still blocks' }]), withinMs);
    });
    const outcomes = await Promise.race([begun, late]);
    clearTimeout(timer);
    return outcomes;
  }
}

/** How often is asked until a saved block is visible is nobody's answer. */
const OF_THOSE_THAT_WAIT = /method="(?:query_prefetch|release)"|^pegaflow_cache_(?:block_hits|block_misses|tier)/;

/** One that is absent until it is used first, and one that is 0, say the same. */
const seriesOf = (exposition: string, names: readonly string[]): readonly string[] => {
  const isAskedFor = (line: string) => names.some((name) => new RegExp(`^${name}[{ ]`).test(line));
  return exposition
    .split('\n')
    .filter((line) => isAskedFor(line) && !/ 0(?:\.0)?$/.test(line) && !OF_THOSE_THAT_WAIT.test(line))
    .map((line) =>
      line
        .replace(/otel_scope_[a-z_]+="[^"]*",?/g, '')
        .replace(/,}/, '}')
        .replace('{}', '')
        .replace(/\.0$/, ''),
    )
    .sort();
};

const answerText = (answer: ClientAnswer): string =>
  'error' in answer ? exceptionText(answer.error) : JSON.stringify(answer.value);

/** Lists in the server's answers have no order. */
const sortedLists = (text: string): string => {
  try {
    return JSON.stringify(JSON.parse(text), (_, value) => (Array.isArray(value) ? value.toSorted() : value));
  } catch {
    return text;
  }
};
