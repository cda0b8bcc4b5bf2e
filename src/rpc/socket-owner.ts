/** Who is at the other end of a connection of this host, read from /proc. Linux only; elsewhere nobody is found. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import type { ConnectionAddresses } from './link.ts';

const ESTABLISHED = '01';
const LISTEN = '0A';

interface SocketRow {
  readonly local: string;
  readonly remote: string;
  readonly state: string;
  readonly inode: string;
}

/** Inode of the accepted end of the connection, or `null` where it is not on this host. */
export async function acceptedInode(ends: ConnectionAddresses): Promise<string | null> {
  const local = endpointKey(ends.remoteAddress, ends.remotePort);
  const remote = endpointKey(ends.localAddress, ends.localPort);
  const row = (await socketRows()).find(
    (row) => row.state === ESTABLISHED && row.local === local && row.remote === remote,
  );
  return row && row.inode !== '0' ? row.inode : null;
}

/** Inodes of the sockets that listen on this port, whatever their address. */
export async function listeningInodes(port: number): Promise<readonly string[]> {
  const suffix = `:${hexPort(port)}`;
  return (await socketRows())
    .filter((row) => row.state === LISTEN && row.local.endsWith(suffix))
    .map((row) => row.inode);
}

/** The process that holds the socket open, or `null` where none can be seen. `hint` is looked at first. */
export async function pidOfSocket(inode: string, hint: number | null): Promise<number | null> {
  if (hint !== null && (await holdsSocket(hint, inode))) return hint;
  for (const name of await readdir('/proc').catch(() => [])) {
    if (/^\d+$/.test(name) && (await holdsSocket(Number(name), inode))) return Number(name);
  }
  return null;
}

async function holdsSocket(pid: number, inode: string): Promise<boolean> {
  const read = openSockets.get(pid) ?? shared(() => readOpenSockets(pid));
  openSockets.set(pid, read);
  const inodes = await read();
  if (inodes.size === 0) openSockets.delete(pid);
  return inodes.has(inode);
}

/** One reader a process that was ever asked for and still has sockets. */
const openSockets = new Map<number, () => Promise<ReadonlySet<string>>>();

async function readOpenSockets(pid: number): Promise<ReadonlySet<string>> {
  const folder = `/proc/${pid}/fd`;
  const fds = await readdir(folder).catch(() => []);
  const targets = await Promise.all(fds.map((fd) => readlink(`${folder}/${fd}`).catch(() => '')));
  return new Set(targets.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []));
}

const socketRows = shared(async (): Promise<readonly SocketRow[]> => {
  const tables = await Promise.all(
    ['/proc/net/tcp', '/proc/net/tcp6'].map((file) => readFile(file, 'utf8').catch(() => '')),
  );
  return tables.flatMap((table) => table.split('\n').slice(1).flatMap(rowFrom));
});

/**
 * Reads for all who ask meanwhile: whoever comes while a pass is under way gets the next one, with everybody else who
 * does, because what they look for may have appeared since it began.
 */
function shared<T>(read: () => Promise<T>): () => Promise<T> {
  let current: Promise<T> | null = null;
  let next: Promise<T> | null = null;
  const start = (): Promise<T> => {
    next = null;
    const pass = read().finally(() => {
      if (current === pass) current = null;
    });
    current = pass;
    return pass;
  };
  return () => {
    if (current === null) return start();
    next ??= current.then(start, start);
    return next;
  };
}

function rowFrom(line: string): SocketRow[] {
  const fields = line.trim().split(/\s+/);
  const [, local, remote, state] = fields;
  const inode = fields[9];
  if (!local || !remote || !state || !inode) return [];
  return [{ local: withoutMapping(local), remote: withoutMapping(remote), state, inode }];
}

/** ::ffff:a.b.c.d as the kernel prints it: three words, then the IPv4 address. */
const MAPPED_PREFIX = '0000000000000000FFFF0000';

function withoutMapping(key: string): string {
  return key.startsWith(MAPPED_PREFIX) ? key.slice(MAPPED_PREFIX.length) : key;
}

/** An address as /proc/net/tcp prints it on a little-endian machine: 32-bit words, each with its bytes reversed. */
function endpointKey(address: string, port: number): string {
  const bytes = address.includes(':') && !address.includes('.') ? ipv6Bytes(address) : ipv4Bytes(address);
  const words = [];
  for (let at = 0; at < bytes.length; at += 4) {
    words.push(
      [...bytes.subarray(at, at + 4)]
        .reverse()
        .map((byte) => byte.toString(16).padStart(2, '0'))
        .join(''),
    );
  }
  return `${words.join('').toUpperCase()}:${hexPort(port)}`;
}

function hexPort(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, '0');
}

function ipv4Bytes(address: string): Uint8Array {
  return Uint8Array.from((address.split(':').at(-1) ?? '').split('.').map(Number));
}

function ipv6Bytes(address: string): Uint8Array {
  const [head = '', tail] = (address.split('%')[0] ?? '').split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const middle = Array.from({ length: 8 - left.length - right.length }, () => 0);
  return Uint8Array.from([...left, ...middle, ...right].flatMap((group) => [group >> 8, group & 0xff]));
}
