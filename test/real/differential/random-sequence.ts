import { Random } from '../../simulation/random.ts';
import type { PublishedVersion } from '../published-wheels.ts';
import { hash } from './builders.ts';
import { type RandomInstance, type RandomRank, randomInstance } from './random-instance.ts';
import type { LoadStep, RegisterStep, Sequence, Step } from './step.ts';

const WORDS = Array.from({ length: 14 }, (_, index) => hash(`h${index}`));
const ODD_HASHES = ['', '00', 'ab'.repeat(200)];
const STEPS = 60;
const MIB = 2 ** 20;

/** Views with an offset may be wrapped since 0.24. */
const mayUseOffsets = (version: PublishedVersion): boolean => !version.startsWith('0.23.');

/** What one seed does. Nothing in it depends on what a server answers, so that steps can be left out. */
export const randomSequence = (seed: number, version: PublishedVersion): Sequence => {
  const random = new Random(seed, 'differential');
  const poolSizeBytes = random.pick([64 * MIB, 64 * MIB, 64 * MIB, MIB, MIB / 8]);
  return { name: `seed ${seed}`, isRandom: true, poolSizeBytes, steps: new Writer(random, version).write() };
};

interface Lease {
  readonly name: string;
  readonly instance: RandomInstance;
  readonly group: number;
  /** As many blocks as were asked for. */
  readonly length: number;
}

class Writer {
  readonly #random: Random;
  readonly #instances: readonly RandomInstance[];
  readonly #steps: Step[] = [];
  readonly #allocated = new Set<RandomRank>();
  /** Ranks that should be registered. */
  readonly #registered = new Set<RandomRank>();
  /** Slots that Saves have filled, by block. */
  readonly #filled = new Map<string, Set<string>>();
  readonly #leases: Lease[] = [];
  readonly #saved = new Map<string, string[][]>();
  #lastName = 0;

  constructor(random: Random, version: PublishedVersion) {
    this.#random = random;
    this.#instances = ['a', 'b', 'c']
      .slice(0, random.pick([1, 2, 2, 3]))
      .map((name) => randomInstance(random, name, mayUseOffsets(version)));
  }

  write(): readonly Step[] {
    for (const client of ['scheduler', 'worker']) this.#steps.push({ op: 'connect', client });
    const [first] = this.#instances;
    if (this.#random.chance(0.8)) for (const rank of first!.ranks) this.#register(rank);
    while (this.#steps.length < STEPS) this.#step();
    return this.#steps;
  }

  #step(): void {
    const random = this.#random;
    const instance = random.pick(this.#instances);
    const rank = random.pick(instance.ranks);
    if (!this.#registered.has(rank) && random.chance(0.7)) {
      for (const each of random.chance(0.7) ? instance.ranks : [rank]) this.#register(each);
      return;
    }
    const choice = random.next();
    if (choice < 0.34) this.#save(instance, rank);
    else if (choice < 0.58) this.#query(instance);
    else if (choice < 0.79) this.#load(instance, rank);
    else if (choice < 0.83) this.#release();
    else if (choice < 0.86) this.#register(rank);
    else if (choice < 0.89) this.#wrongRegister(rank);
    else if (choice < 0.92) this.#unregister(instance);
    else if (choice < 0.96) this.#session(instance);
    else this.#http(instance);
  }

  #register(rank: RandomRank): void {
    if (!this.#allocated.has(rank)) this.#steps.push(...rank.setup);
    this.#allocated.add(rank);
    this.#registered.add(rank);
    this.#steps.push(rank.register);
  }

  #wrongRegister(rank: RandomRank): void {
    const random = this.#random;
    if (!this.#allocated.has(rank)) this.#steps.push(...rank.setup);
    this.#allocated.add(rank);
    const right = rank.register;
    const changed = random.pick<Partial<RegisterStep>>([
      { tpRank: right.tpSize },
      { tpRank: (right.tpRank + 1) % right.tpSize },
      { tpSize: 0 },
      { tpSize: right.tpSize + 1 },
      { worldSize: 0 },
      { worldSize: right.worldSize + 1 },
      { device: 9 },
      { device: right.device + 1 },
      { ppRank: right.ppRank + 1 },
      { numBlocks: right.numBlocks.map(() => 0) },
      { numBlocks: right.numBlocks.map((count) => Number(count) + 1) },
      { numBlocks: right.numBlocks.slice(1) },
      { bytesPerBlock: right.bytesPerBlock.map((bytes) => Number(bytes) * 2) },
      { bytesPerBlock: right.bytesPerBlock.map(() => '18446744073709551615') },
      { kvStrideBytes: right.kvStrideBytes.map(() => 100) },
      { segments: right.segments.map(() => 3) },
      { segments: right.segments.map(() => 0) },
      { pageFirst: !right.pageFirst },
      { groups: right.layers.map((_, index) => index * 2) },
      { groups: [0] },
      { layers: right.layers.map(() => 'l0') },
      { layers: right.layers.map((name) => `${name}x`) },
      { namespace: 'other' },
      { instance: `${right.instance}:x` },
    ]);
    this.#steps.push({ ...right, ...changed });
    if (random.chance(0.5)) this.#unregister(this.#instances.find(({ name }) => name === right.instance)!);
  }

  #unregister(instance: RandomInstance): void {
    for (const rank of instance.ranks) this.#registered.delete(rank);
    this.#steps.push({ op: 'unregister', client: 'worker', instance: instance.name });
  }

  #hashes(): string[] {
    const random = this.#random;
    const from = random.int(0, WORDS.length - 1);
    const run = WORDS.slice(from, from + random.int(1, 4));
    if (random.chance(0.06)) run.push(random.pick(ODD_HASHES));
    if (random.chance(0.06)) run.push(random.pick(run));
    return run;
  }

  /** Mostly what has been saved, sometimes more or less of it. */
  #askedFor(instance: RandomInstance): string[] {
    const random = this.#random;
    const saved = this.#saved.get(instance.namespace) ?? [];
    if (saved.length === 0 || random.chance(0.15)) return this.#hashes();
    const run = random.chance(0.7) ? saved.at(-1)! : random.pick(saved);
    const from = random.chance(0.2) ? random.int(0, run.length - 1) : 0;
    const more = random.chance(0.2) ? [random.pick(WORDS)] : [];
    return random.chance(0.1) ? [...more, ...run] : [...run.slice(from), ...more];
  }

  #save(instance: RandomInstance, rank: RandomRank): void {
    const random = this.#random;
    const hashes = this.#hashes();
    const ranks = random.chance(0.85) ? instance.ranks : [rank];
    this.#saved.set(instance.namespace, [...(this.#saved.get(instance.namespace) ?? []), hashes]);
    for (const each of ranks) {
      const ids = hashes.map(() => random.int(0, instance.numBlocks - 1));
      const layers = instance.pageFirst || random.chance(0.85) ? each.layers : [random.pick(each.layers)];
      const right: Step = {
        op: 'save',
        client: 'worker',
        instance: instance.name,
        tpRank: each.tpRank,
        ppRank: each.ppRank,
        device: each.device,
        saves: layers.map((layer) => [layer, ids, hashes] as const),
        visible: this.#fill(instance, each, layers, hashes),
      };
      const wrong = random.chance(0.1)
        ? random.pick<Partial<typeof right>>([
            { device: 7 },
            { tpRank: right.tpRank + 1 },
            { ppRank: right.ppRank + 1 },
            { instance: 'nobody' },
            { saves: [] },
            { saves: right.saves.map(([layer, , words]) => [layer, [], words] as const) },
            { saves: right.saves.map(([layer, blocks, words]) => [layer, blocks.map((id) => id + 8), words] as const) },
            { saves: [...right.saves, ['zz', [0], [WORDS[0]!]] as const] },
            { saves: [...right.saves, right.saves[0]!] },
            { saves: right.saves.toReversed() },
            {
              saves: right.saves.map(([layer], index) =>
                index === 0 ? ([layer, [], []] as const) : right.saves[index]!,
              ),
            },
          ])
        : {};
      this.#steps.push({ ...right, ...wrong, ...(Object.keys(wrong).length > 0 && { visible: [] }) });
    }
  }

  /** Which blocks have all their slots with this Save. */
  #fill(instance: RandomInstance, rank: RandomRank, layers: readonly string[], hashes: readonly string[]) {
    return instance.groups.flatMap((groupLayers, group) => {
      const here = layers.filter((layer) => groupLayers.includes(layer));
      if (here.length === 0) return [];
      const complete = hashes.filter((word) => {
        const key = `${instance.name} ${group} ${word}`;
        const filled = this.#filled.get(key) ?? new Set();
        this.#filled.set(key, filled);
        for (const layer of here) filled.add(`${layer} ${rank.tpRank}`);
        if (filled.size < groupLayers.length * instance.tpSize) return false;
        // It may be evicted and saved again.
        this.#filled.delete(key);
        return true;
      });
      return complete.length === 0 ? [] : [{ group, hashes: complete }];
    });
  }

  #query(instance: RandomInstance): void {
    const random = this.#random;
    const group = random.chance(0.05) ? random.int(0, 3) : random.int(0, instance.groups.length - 1);
    const hashes = random.chance(0.05) ? [] : this.#askedFor(instance);
    const name = `q${++this.#lastName}`;
    this.#leases.push({ name, instance, group, length: hashes.length });
    this.#steps.push({
      op: 'query',
      client: 'scheduler',
      instance: random.chance(0.03) ? 'nobody' : instance.name,
      hashes,
      group,
      wait: random.chance(0.25),
      as: name,
      ...(random.chance(0.03) && { req: '' }),
    });
  }

  #load(given: RandomInstance, givenRank: RandomRank): void {
    const random = this.#random;
    // A lease is most often loaded at once, by every rank.
    if (this.#leases.length === 0 || random.chance(0.75)) this.#query(given);
    const lease = random.chance(0.85) ? this.#leases.at(-1)! : random.pick(this.#leases);
    const instance = random.chance(0.93) ? lease.instance : given;
    const ranks = instance === lease.instance && random.chance(0.7) ? instance.ranks : [random.pick(instance.ranks)];
    for (const rank of ranks.length > 0 ? ranks : [givenRank]) this.#loadOf(instance, rank, lease);
  }

  #loadOf(instance: RandomInstance, rank: RandomRank, lease: Lease): void {
    const random = this.#random;
    const layers = (instance.groups[lease.group] ?? []).filter((layer) => rank.layers.includes(layer));
    {
      const fits = random.chance(0.93);
      const length = fits ? 8 : random.int(0, 5);
      const targets = Array.from({ length }, () =>
        random.chance(0.15) ? null : random.int(0, instance.numBlocks - 1),
      );
      const right: LoadStep = {
        op: 'load',
        client: 'worker',
        instance: instance.name,
        tpRank: rank.tpRank,
        device: rank.device,
        groups: [layers],
        loads: [[`$${lease.name}`, [targets]]],
        fits,
        lands: rank.memories.map((memory) => ({ memory, pieceSize: instance.bytesPerSegment })),
      };
      const wrong = random.chance(0.12)
        ? random.pick<Partial<LoadStep>>([
            { tpRank: right.tpRank + 1 },
            { device: 7 },
            { device: (right.device + 1) % instance.worldSize },
            { instance: 'nobody' },
            { groups: [] },
            { groups: [layers.slice(1)] },
            { groups: [[...layers, 'zz']] },
            { groups: [layers, []] },
            { groups: [[...layers, ...layers]] },
            { groups: instance.groups.map((group) => group.filter((layer) => rank.layers.includes(layer))) },
            { loads: [] },
            { fits: false, loads: [['00'.repeat(16), [targets]]] },
            { fits: false, loads: [['00'.repeat(15), [targets]]] },
            { loads: [...right.loads, ...right.loads] },
            { loads: right.loads.map(([name]) => [name, [targets.map(() => 99)]] as const) },
            { loads: right.loads.map(([name]) => [name, [targets.map(() => null)]] as const) },
            { shm: 'nobody-made-this' },
          ])
        : {};
      this.#steps.push({ ...right, ...wrong });
    }
  }

  #release(): void {
    const random = this.#random;
    const [lease] = this.#leases.length > 0 ? [random.pick(this.#leases)] : [];
    const known = lease === undefined ? 'ff'.repeat(16) : `$${lease.name}`;
    this.#steps.push({
      op: 'release',
      client: 'worker',
      lease: random.chance(0.1) ? random.pick(['', '00', '11'.repeat(16)]) : known,
    });
  }

  #session(instance: RandomInstance): void {
    const random = this.#random;
    const client = random.pick(['s1', 's2']);
    if (random.chance(0.5)) this.#steps.push({ op: 'drop', client });
    else {
      const { name, namespace, tpSize, worldSize } = instance;
      this.#steps.push(
        { op: 'connect', client },
        { op: 'session', client, instance: name, namespace, tpSize, worldSize },
      );
    }
  }

  #http(instance: RandomInstance): void {
    const [method, path, name] = this.#random.pick<readonly [string, string, string?]>([
      ['GET', '/instances'],
      ['POST', '/cache/memory/cleanup'],
      ['POST', '/instances/cleanup', instance.name],
      ['POST', '/instances/cleanup', 'nobody'],
      ['POST', '/instances/cleanup'],
    ]);
    if (path === '/instances/cleanup') {
      for (const each of this.#instances)
        if (name === undefined || each.name === name) for (const rank of each.ranks) this.#registered.delete(rank);
    }
    this.#steps.push({ op: 'http', method, path, ...(name !== undefined && { instance: name }) });
  }
}
