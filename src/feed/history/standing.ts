import type { Cache, FeedRecord, MachineId, MachineSeen, ServerSeen } from '../record.ts';

/** Where everything stands after the records so far. */
export class Standing {
  readonly machines = new Map<MachineId, MachineSeen>();
  /** By instance. */
  readonly caches = new Map<string, Cache>();
  server: ServerSeen | null = null;

  apply(record: FeedRecord): void {
    switch (record.type) {
      case 'machine':
        this.machines.set(record.machine, record);
        break;
      case 'transition': {
        const { atMs, machine, to, epoch, evidence } = record;
        const seen = this.machines.get(machine);
        if (seen === undefined) break;
        this.machines.set(machine, { ...seen, atMs, state: to, epoch, evidence: evidence ?? seen.evidence });
        break;
      }
      case 'troubles': {
        const seen = this.machines.get(record.machine);
        if (seen !== undefined) this.machines.set(record.machine, { ...seen, troubles: record.all });
        break;
      }
      case 'cache':
        this.caches.set(record.instance, record);
        break;
      case 'server':
        this.server = record;
        break;
      case 'gone': {
        const instance = this.machines.get(record.machine)?.instance;
        this.machines.delete(record.machine);
        if (instance === undefined) break;
        const isLeft = [...this.machines.values()].some((machine) => machine.instance === instance);
        if (!isLeft) this.caches.delete(instance);
        break;
      }
    }
  }

  /** What tells all of it to a reader who knows nothing. */
  get records(): FeedRecord[] {
    return [...(this.server ? [this.server] : []), ...this.machines.values(), ...this.caches.values()];
  }
}
