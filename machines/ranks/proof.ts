/** What would prove the death of the server that may touch a rank's memory, or why nothing would. */
export type Proof =
  /** The end of the processes that hold the memory. */
  | 'process'
  /** The end of both sockets: the host declared that nothing stands between. */
  | 'sockets'
  | NoProof;

/**
 * Why the death of the server behind a link cannot be proved.
 * - `proxy`: the process at the other end of our connection does not hold our memory, and none is seen that does
 * - `notVisible`: the other end is a socket of this host, and its process is in another PID namespace, or hidden from us whole
 * - `notHere`: the other end is no socket of this network namespace
 * - `unwatchable`: the process is known, and the kernel or a sandbox lets nobody watch it
 */
export type NoProof = 'proxy' | 'notVisible' | 'notHere' | 'unwatchable';

const IN_WORDS: Record<Proof, string> = {
  process: 'the end of its process',
  sockets: 'the end of its sockets',
  proxy: 'none, a proxy stands between',
  notVisible: 'none, its process is not visible',
  notHere: 'none, it is in another network namespace',
  unwatchable: 'none, its process cannot be watched',
};

/** For people. */
export function proofInWords(proof: Proof): string {
  return IN_WORDS[proof];
}

export function isNoProof(proof: Proof | null): proof is NoProof {
  return proof !== null && proof !== 'process' && proof !== 'sockets';
}

/** What an operator can do where there is no proof. Log lines say the same. */
export const WAYS_TO_PROOF =
  'share the pid namespace of the server, declare `direct: true` where nothing stands between, or set `fencing` to a command';
