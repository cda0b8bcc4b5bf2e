/** The invariants of design §8, by number; letters are promises that it makes elsewhere, `D` any other defect. */
export type Invariant =
  | 1
  | 2
  | 3
  | 4
  | 5
  | 6
  | 7
  | 8
  | 9
  | 10
  | 11
  | 'V'
  | 'L'
  | 'P'
  | 'W'
  | 'T'
  | 'F'
  | 'H'
  | 'R'
  | 'A'
  | 'U'
  | 'B'
  | 'D';

const names: Readonly<Record<Invariant, string>> = {
  1: 'a query outside connected is a miss without an RPC',
  2: 'no call hangs',
  3: 'no load and no save under another epoch',
  4: 'every load and every save is reported exactly once',
  5: 'no block is handed back while the server may touch it',
  6: 'connected is published only when sealed and confirmed by every current boot',
  7: 'a lost registration is noticed and replayed',
  8: 'after a recovery a fresh save, query and load work',
  9: 'after faults stop, every machine reaches connected',
  10: 'stopping leaves nothing, or says unconfirmed',
  11: 'what was loaded is, byte for byte, what was saved under that hash',
  V: 'what has arrived is heard before a verdict by time',
  L: 'a lease that nobody will load is given back',
  W: 'what cannot be withdrawn counts against a small limit',
  P: 'what a server that answers may still touch is proved to be over, and given back',
  T: 'a promise is taken back where using it failed',
  F: 'no server is fenced that was heard, and none twice',
  H: 'what is held is bounded by amount: at the limit nothing is saved and queries miss',
  R: 'a refusal is about the work that was refused',
  A: 'roles at different servers dial again until they meet',
  U: 'one Register or Unregister at a time, never cancelled while its link lives',
  B: 'a backoff is forgotten when a connection has lived several times as long as the one before',
  D: 'nothing is thrown that nobody catches',
};

export class Violation extends Error {
  readonly invariant: Invariant;

  constructor(invariant: Invariant, message: string) {
    super(`invariant ${invariant} (${names[invariant]}): ${message}`);
    this.name = 'Violation';
    this.invariant = invariant;
  }
}
