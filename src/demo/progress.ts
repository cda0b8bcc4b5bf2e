/** Where a run stands: kept up to date event by event, for those who wait and for those who watch. */

import { stateOf } from '../../machines/index.ts';
import type { DemoEvent } from './journal.ts';

export interface MachineStatus {
  readonly path: string;
  readonly sinceMs: number;
  readonly fault: string | null;
}

export class Progress {
  readonly machines = new Map<string, MachineStatus>();
  readonly loadsInFlight = new Set<string>();
  engine = 'starting';
  arrived = 0;
  finished = 0;
  /** Requests whose blocks are free again. */
  settled = 0;
  restarts = 0;
  hitBlocks = 0;
  wrongBytes = 0;
  verifiedBytes = 0;
  /** Whether the scheduler was ever `connected`. */
  isStarted = false;
  /** Whether a query hit since the scheduler was last `connected` anew. */
  hasHitSinceConnected = false;

  get isConnected(): boolean {
    return stateOf(this.machines.get('scheduler')?.path ?? '') === 'connected';
  }

  get isIncompatible(): boolean {
    return stateOf(this.machines.get('scheduler')?.path ?? '') === 'incompatible';
  }

  /** What some machine lacks, the scheduler first. */
  get fault(): string | null {
    const scheduler = this.machines.get('scheduler')?.fault ?? null;
    return scheduler ?? [...this.machines.values()].find(({ fault }) => fault !== null)?.fault ?? null;
  }

  observe(event: DemoEvent): void {
    switch (event.type) {
      case 'engine.listening':
        this.engine = `listening, pid ${event.pid}`;
        break;
      case 'engine.stopped':
        this.restarts += 1;
        this.engine = `stopped: ${event.kind}, outage ${event.outageMs} ms`;
        break;
      case 'engine.exited':
        this.engine = 'stopped';
        break;
      case 'status.changed':
        this.#observeStatus(event.machine, { path: event.path, sinceMs: event.atMs, fault: event.fault });
        break;
      case 'request.arrived':
        this.arrived += 1;
        break;
      case 'request.finished':
        this.finished += 1;
        break;
      case 'save.ended':
        this.settled += 1;
        break;
      case 'query.answered':
        this.hitBlocks += event.blocks;
        this.hasHitSinceConnected ||= event.result === 'hit';
        break;
      case 'load.scheduled':
        this.loadsInFlight.add(event.requestId);
        break;
      case 'load.ended':
        this.loadsInFlight.delete(event.requestId);
        break;
      case 'blocks.verified':
        this.wrongBytes += event.wrongBytes;
        this.verifiedBytes += event.bytes;
        break;
    }
  }

  #observeStatus(machine: string, status: MachineStatus): void {
    const wasConnected = this.isConnected;
    this.machines.set(machine, status);
    this.isStarted ||= this.isConnected;
    if (!wasConnected && this.isConnected) this.hasHitSinceConnected = false;
  }
}
