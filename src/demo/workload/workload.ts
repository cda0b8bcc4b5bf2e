/** Requests to replay: where they come from does not matter to the rest of the demo. */
import { chainHashes } from './hashing.ts';
import { createRandom, drawInteger } from './random.ts';

export interface DemoRequest {
  readonly requestId: string;
  /** When it arrives, in milliseconds from the first request's arrival. */
  readonly arrivalMs: number;
  /** Its full prompt blocks, in prefix order: one 32-byte hash each. */
  readonly blockHashes: readonly Uint8Array[];
}

/** An endless source: it is asked for the next request as long as the run wants one. */
export type Workload = Iterator<DemoRequest, never>;

export interface ChatWorkloadOptions {
  readonly seed: number;
  readonly blockSizeTokens: number;
  /** Mean time between arrivals, in milliseconds; the gaps are exponential. */
  readonly meanGapMs: number;
}

interface Chat {
  tokens: number[];
  turnsLeft: number;
}

const SYSTEM_PROMPTS = 4;
const SYSTEM_PROMPT_TOKENS = [64, 128] as const;
const TURN_TOKENS = [24, 72] as const;
const TURNS = [2, 6] as const;
/** They take turns in order, so that a chat's next turn comes when the blocks of its last one have long been saved. */
const OPEN_CHATS = 16;
const VOCABULARY = 150_000;

/**
 * Chats that take turns: each opens with one of a few system prompts, and every turn's prompt is the whole
 * conversation so far, so that requests share prefixes across chats and within one.
 */
export function* chatWorkload(options: ChatWorkloadOptions): Generator<DemoRequest, never> {
  const random = createRandom(options.seed);
  const tokens = (count: number) => Array.from({ length: count }, () => drawInteger(random, 0, VOCABULARY - 1));
  const systemPrompts = Array.from({ length: SYSTEM_PROMPTS }, () =>
    tokens(drawInteger(random, ...SYSTEM_PROMPT_TOKENS)),
  );
  const openChat = (): Chat => ({
    tokens: [...(systemPrompts[drawInteger(random, 0, SYSTEM_PROMPTS - 1)] ?? [])],
    turnsLeft: drawInteger(random, ...TURNS),
  });
  const chats = Array.from({ length: OPEN_CHATS }, openChat);
  let arrivalMs = 0;
  for (let number = 0; ; number += 1) {
    const slot = number % OPEN_CHATS;
    const chat = chats[slot] ?? openChat();
    chat.tokens.push(...tokens(drawInteger(random, ...TURN_TOKENS)));
    chat.turnsLeft -= 1;
    yield { requestId: `chat-${number}`, arrivalMs, blockHashes: chainHashes(chat.tokens, options.blockSizeTokens) };
    if (chat.turnsLeft === 0) chats[slot] = openChat();
    arrivalMs += -Math.log(1 - random()) * options.meanGapMs;
  }
}
