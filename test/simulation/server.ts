import { create, type Message } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { createNoopMeter } from '@opentelemetry/api';
import { SAVES_IN_FLIGHT_MAX } from '../../src/connector/transfers/saves.ts';
import { Engine } from '../../src/engine/engine.ts';
import { silentLog } from '../../src/engine/engine-log.ts';
import { createEngineMetrics } from '../../src/engine/engine-metrics.ts';
import { FaultBoard, type FaultPatch } from '../../src/engine/faults.ts';
import {
  createUnaryHandlers,
  type UnaryHandlers,
  type UnaryMethod,
  untilFaultAllows,
} from '../../src/engine/grpc/rpc-routes.ts';
import { rpcErrorFrom } from '../../src/engine/grpc/rpc-status.ts';
import type { EngineClock } from '../../src/engine/timing/engine-clock.ts';
import { Engine as EngineService, type SaveRequest, type SessionRequest } from '../../src/gen/pegaflow/engine_pb.ts';
import { PEGAFLOW_VERSION } from '../../src/pegaflow-version.ts';
import type { Connection } from './connection.ts';
import { type CopyTrouble, openTensor } from './device-memory.ts';
import type { SimulatedProcess } from './event-loop.ts';
import type { Kernel, Listener } from './kernel.ts';
import { isSaveOfNothing, type ServedCall, services } from './remote-call.ts';
import { linkOf } from './stand-ins/link.ts';
import { LoadState } from './stand-ins/native-bindings.ts';
import { Violation } from './violation.ts';

export interface ServerOptions {
  readonly port: number;
  readonly version: string;
  readonly poolSizeBytes: number;
  readonly faults: FaultPatch;
  /** Calls that a connection may carry at once. */
  readonly streamsMax: number;
  readonly boots: number;
}

const metrics = createEngineMetrics(createNoopMeter(), PEGAFLOW_VERSION);

/** One incarnation of the server: the engine's own logic in a process of the simulation. */
export class SimulatedServer {
  readonly process: SimulatedProcess;
  readonly engine: Engine;
  readonly faults: FaultBoard;
  readonly copyTrouble: CopyTrouble = { failingWrites: 0 };
  readonly clock: EngineClock;
  isDraining = false;
  #kernel: Kernel;
  #streamsMax: number;
  #listener: Listener;
  /** As the engine serves them; only the HTTP/2 below them is missing. */
  #handlers: UnaryHandlers;
  #connections = new Map<Connection, Set<ServedCall>>();
  #sessionEnds = new Map<Connection, () => void>();
  /** By instance, what lets the loads and saves go on whose copies hang. */
  #hungCopies = new Map<string, Set<() => void>>();

  constructor(kernel: Kernel, { port, version, poolSizeBytes, faults, streamsMax, boots }: ServerOptions) {
    this.#kernel = kernel;
    this.#streamsMax = streamsMax;
    const process = kernel.loop.spawn(`server ${boots}`);
    this.process = process;
    kernel.livingPids.add(process.pid);
    process.atExit.push(() => kernel.livingPids.delete(process.pid));
    this.faults = new FaultBoard(faults);
    this.clock = {
      nowMs: () => kernel.loop.nowMs,
      after: (delayMs, callback) => {
        const event = kernel.loop.schedule(process, delayMs, delayMs > 0 ? 'timer' : 'immediate', callback);
        return () => {
          event.isCancelled = true;
        };
      },
    };
    this.engine = new Engine({
      clock: this.clock,
      randomBytes: (sizeBytes) => kernel.random.bytes(sizeBytes),
      openTensor: (wrapper) => openTensor(kernel, process, this.copyTrouble, wrapper),
      startCopyThread: (name) => ({ [Symbol.dispose]: kernel.startThread(process, name) }),
      attachLoadState: (name) => LoadState.attach(name),
      faults: this.faults,
      log: silentLog,
      metrics,
      poolSizeBytes,
      leaseTtlMs: 600_000,
      version,
      isAllocationBlockwise: false,
      insertDelayMs: 0,
      isLoadSizeUnchecked: false,
    });
    const { engine, clock } = this;
    const onShutdown = () => this.drain(60_000);
    this.#handlers = createUnaryHandlers({ engine, clock, faults: this.faults, log: silentLog, metrics, onShutdown });
    const accept = (connection: Connection) => this.#accept(connection);
    this.#listener = { port, inode: kernel.newInode(), process, accept };
    kernel.listen(this.#listener);
  }

  get isAlive(): boolean {
    return !this.process.isDying && !this.process.isDead;
  }

  /** SIGKILL. The kernel closes the sockets first; the device's copies end with the process, so much later. */
  kill(lingerMs: number): void {
    if (!this.isAlive) return;
    this.process.isDying = true;
    this.#kernel.livingPids.delete(this.process.pid);
    this.#kernel.loop.continue(this.process);
    this.engine.silence();
    this.#kernel.unlisten(this.#listener);
    for (const connection of this.#connections.keys()) connection.processEnded(this.process);
    const end = () => this.#kernel.kill(this.process);
    if (lingerMs === 0) end();
    else this.#kernel.loop.schedule(this.process, lingerMs, 'io', end);
  }

  /** SIGINT: says GOAWAY, accepts nobody, ends with its last connection, or by SIGKILL after the grace. */
  drain(graceMs: number): void {
    if (this.isDraining || !this.isAlive) return;
    this.isDraining = true;
    for (const connection of this.#connections.keys()) {
      connection.send('client', () => linkOf.get(connection)?.goAway());
    }
    this.#kernel.loop.schedule(this.process, graceMs, 'timer', () => this.kill(0));
    this.#exitIfDrained();
  }

  /** Ends the session on this connection as a server would that is done with it; the connection lives on. */
  endSession(connection: Connection): void {
    this.#sessionEnds.get(connection)?.();
  }

  /** The copies of this instance's registration hang: of a later one they do not, while those that hang go on doing so. */
  hangCopiesOf(instanceId: string): void {
    if (!this.#hungCopies.has(instanceId)) this.#hungCopies.set(instanceId, new Set());
  }

  /** Another registration is in the place of the one whose copies hang: what is asked of it does not. */
  registered(instanceId: string): void {
    this.#hungCopies.delete(instanceId);
  }

  /** Whether copies hang that nothing ends but another registration, as far as new ones go, or the end of this process. */
  get hasHungCopies(): boolean {
    return this.#hungCopies.size > 0;
  }

  /** Copies that hang go on, or do so for good. */
  endHangs(): void {
    for (const [instanceId, waiting] of this.#hungCopies) {
      if (waiting.size > 0 && this.#kernel.random.chance(0.5)) continue;
      this.#hungCopies.delete(instanceId);
      for (const goOn of waiting) goOn();
    }
  }

  /** Runs something in this process, as an event of its own. */
  post(run: () => void): void {
    this.#kernel.loop.schedule(this.process, 0, 'io', run);
  }

  #accept(connection: Connection): void {
    if (this.isDraining) return;
    const calls = new Set<ServedCall>();
    this.#connections.set(connection, calls);
    connection.serverSide = {
      ended: () => {
        this.#connections.delete(connection);
        for (const call of calls) call.abort();
        this.#exitIfDrained();
      },
    };
    services.set(connection, (call) => {
      calls.add(call);
      const open = [...calls].filter(({ signal }) => !signal.aborted);
      if (open.length > this.#streamsMax) {
        this.#kernel.report(new Violation('W', `more than ${this.#streamsMax} streams are open on one connection`));
      }
      // And one that only asks how far the others are.
      if (open.filter(isSaving).length > SAVES_IN_FLIGHT_MAX + 1) {
        this.#kernel.report(new Violation('W', `more than ${SAVES_IN_FLIGHT_MAX} saves of one rank are under way`));
      }
      void this.#serve(call).finally(() => calls.delete(call));
    });
    connection.send('client', () => linkOf.get(connection)?.settled(this.#streamsMax));
  }

  #exitIfDrained(): void {
    if (this.isDraining && this.#connections.size === 0) this.#kernel.kill(this.process);
  }

  async #serve(call: ServedCall): Promise<void> {
    try {
      if (this.isDraining) {
        throw new ConnectError('http/2 stream closed with error code REFUSED_STREAM (0x7)', Code.Unavailable);
      }
      if (call.method === 'session') await this.#serveSession(call);
      else await this.#serveUnary(call);
    } catch (thrown) {
      const { code, rawMessage } = rpcErrorFrom(thrown);
      const isAnswer = !/REFUSED_STREAM/.test(rawMessage);
      call.refuse(new ConnectError(rawMessage, code, isAnswer ? { 'grpc-status': String(code) } : {}));
    }
  }

  async #serveSession(call: ServedCall): Promise<void> {
    const { promise: closed, resolve: close } = Promise.withResolvers<void>();
    call.signal.addEventListener('abort', () => close(), { once: true });
    const fault = this.faults.take('session');
    await Promise.race([untilFaultAllows(this.faults, this.clock, 'session', fault), closed]);
    if (call.signal.aborted) return;
    const session = this.engine.registrations.openSession(call.request as SessionRequest, fault);
    call.header();
    this.#sessionEnds.set(call.connection, close);
    await closed;
    this.#sessionEnds.delete(call.connection);
    if (!call.signal.aborted) call.answer(undefined);
    await this.engine.registrations.endSession(session);
  }

  async #serveUnary(call: ServedCall): Promise<void> {
    const method = EngineService.methods.find(({ localName }) => localName === call.method)!;
    const { instanceId = '' } = call.request as { instanceId?: string };
    if (call.method === 'registerContextBatch') this.registered(instanceId);
    const hung = this.#hungCopies.get(instanceId);
    if (hung !== undefined && movesBlocks(call)) await new Promise<void>((goOn) => hung.add(goOn));
    const caller = { headers: {}, signal: call.signal, dropConnection: () => call.connection.reset() };
    const answer = await this.#handlers[method.localName as UnaryMethod](call.request as Message, caller);
    if (!call.signal.aborted) call.answer(create(method.output, answer));
  }
}

function isSaving({ method, request }: ServedCall): boolean {
  return method === 'save' && !isSaveOfNothing(request as SaveRequest);
}

function movesBlocks(call: ServedCall): boolean {
  return call.method === 'load' || isSaving(call);
}
