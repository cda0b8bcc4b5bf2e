/** Who is at the other end of a connection of this host, read from /proc. Linux only; elsewhere nobody is found. */
import type { ConnectionAddresses } from '../link.ts';
import { holderOf } from './open-sockets.ts';
import { inodesOfRows } from './socket-table.ts';

const ESTABLISHED = '01';
const LISTEN = '0A';

/** Inode of the accepted end of the connection, or `null` where it is not on this host. */
export async function acceptedInode(ends: ConnectionAddresses): Promise<string | null> {
  const local = addressKey(ends.remoteAddress);
  const remote = addressKey(ends.localAddress);
  const ports = { local: hexPort(ends.remotePort), remote: hexPort(ends.localPort) };
  const row = (prefix: string) =>
    ` ${prefix}${local}:${ports.local} ${prefix}${remote}:${ports.remote} ${ESTABLISHED} `;
  // A socket of both families names an IPv4 address so.
  const prefixes = local.length === IPV4_LETTERS ? ['', MAPPED_PREFIX] : [''];
  return (await inodesOfRows(prefixes.map(row)))[0] ?? null;
}

/** Inodes of the sockets that listen on this port, whatever their address. */
export async function listeningInodes(port: number): Promise<readonly string[]> {
  const row = (anyAddress: string) => `:${hexPort(port)} ${anyAddress}:0000 ${LISTEN} `;
  return inodesOfRows([row('0'.repeat(IPV4_LETTERS)), row('0'.repeat(IPV6_LETTERS))]);
}

/** Whether any process of this network namespace still holds this TCP socket. */
export async function isSocketThere(inode: string): Promise<boolean> {
  return (await inodesOfRows([` ${inode} `])).includes(inode);
}

/** The process that holds the socket open, or `null` where none can be seen. `hint` is looked at first. */
export async function pidOfSocket(inode: string, hint: number | null): Promise<number | null> {
  return holderOf(inode, hint);
}

const IPV4_LETTERS = 8;
const IPV6_LETTERS = 32;

/** ::ffff:a.b.c.d as the kernel prints it: three words, then the IPv4 address. */
const MAPPED_PREFIX = '0000000000000000FFFF0000';

/** An address as /proc/net/tcp prints it on a little-endian machine: 32-bit words, each with its bytes reversed. */
function addressKey(address: string): string {
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
  return words.join('').toUpperCase();
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
