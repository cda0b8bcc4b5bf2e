/** What a test asks of the other process. Bytes travel as hex; memory and records are named by small numbers. */
export type PeerRequest =
  | { readonly call: 'allocate'; readonly deviceId: number; readonly sizeBytes: number }
  | { readonly call: 'exportHandle'; readonly id: number }
  | { readonly call: 'openHandle'; readonly deviceId: number; readonly handle: string }
  | { readonly call: 'write'; readonly id: number; readonly offset: number; readonly bytes: string }
  | { readonly call: 'read'; readonly id: number; readonly offset: number; readonly lengthBytes: number }
  | {
      readonly call: 'writePattern' | 'countWrongBytes';
      readonly id: number;
      readonly sizeBytes: number;
      readonly seed: number;
    }
  | { readonly call: 'createLoadState' }
  | { readonly call: 'attachLoadState'; readonly name: string }
  | { readonly call: 'signalLoadState'; readonly name: string; readonly outcome: 1 | -1 }
  | { readonly call: 'dispose'; readonly id: number };

export type PeerReply =
  | { readonly id?: number; readonly text?: string; readonly count?: number }
  | { readonly refused: { readonly name: string; readonly code: string; readonly message: string } };
