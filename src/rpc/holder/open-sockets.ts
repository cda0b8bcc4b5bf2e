/** Which process holds a socket open, searched in /proc in small steps and up to a limit. */
import { readdir, readlink } from 'node:fs/promises';
import { SharedReads } from './shared-reads.ts';

/** Looked at side by side: the host's own calls share the threads of libuv with these. */
const PROCESSES_AT_A_TIME = 8;
const DESCRIPTORS_AT_A_TIME = 32;
/** Beyond this a host is too large to be searched: then nobody is found. */
const MAX_PROCESSES = 16_384;
const MAX_DESCRIPTORS = 262_144;

/** The process that holds the socket, or `null` where none can be seen. `hint` is looked at first. */
export async function holderOf(inode: string, hint: number | null, root = '/proc'): Promise<number | null> {
  const target = `socket:[${inode}]`;
  const search = new Search((link) => link === target, root);
  if (hint !== null && (await search.holds(hint))) return hint;
  for await (const pids of processes(root)) {
    const held = await Promise.all(pids.map((pid) => search.holds(pid)));
    const holder = pids[held.indexOf(true)];
    if (holder !== undefined) return holder;
  }
  return null;
}

/** Whether the process has something open whose link in /proc is wanted. `false` where it cannot be seen. */
export async function holdsOpen(pid: number, isWanted: (link: string) => boolean): Promise<boolean> {
  return new Search(isWanted, '/proc').holds(pid);
}

/** The processes that can be seen, some at a time, the newest first. */
export function processes(root = '/proc'): AsyncGenerator<readonly number[], void> {
  return numbersIn(root, PROCESSES_AT_A_TIME, MAX_PROCESSES);
}

class Search {
  #isWanted: (link: string) => boolean;
  #root: string;
  #descriptorsLeft = MAX_DESCRIPTORS;

  constructor(isWanted: (link: string) => boolean, root: string) {
    this.#isWanted = isWanted;
    this.#root = root;
  }

  async holds(pid: number): Promise<boolean> {
    const question = { search: this, isHeld: false };
    await passes.ask(`${this.#root}/${pid}/fd`, question);
    return question.isHeld;
  }

  get mayGoOn(): boolean {
    return this.#descriptorsLeft > 0;
  }

  isAmong(links: readonly string[]): boolean {
    this.#descriptorsLeft -= links.length;
    return links.some(this.#isWanted);
  }
}

interface Question {
  readonly search: Search;
  isHeld: boolean;
}

const passes = new SharedReads<Question>(async (folder, questions) => {
  for await (const descriptors of numbersIn(folder, DESCRIPTORS_AT_A_TIME, MAX_DESCRIPTORS)) {
    const unanswered = questions.filter(({ isHeld, search }) => !isHeld && search.mayGoOn);
    if (unanswered.length === 0) return;
    const links = await Promise.all(descriptors.map((fd) => readlink(`${folder}/${fd}`).catch(() => '')));
    for (const question of unanswered) question.isHeld = question.search.isAmong(links);
  }
});

/**
 * The names in a folder that are numbers, some at a time, the highest first: a server that was just started is among the
 * newest processes. None where the folder cannot be read.
 */
export async function* numbersIn(
  path: string,
  atATime: number,
  limit: number,
): AsyncGenerator<readonly number[], void> {
  // The process has ended, or is another user's.
  const names = await readdir(path).catch(() => []);
  const numbers = names.map(Number).filter(Number.isInteger).toReversed().slice(0, Math.max(0, limit));
  for (let at = 0; at < numbers.length; at += atATime) yield numbers.slice(at, at + atATime);
}
