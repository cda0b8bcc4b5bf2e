import type { FeedRecord } from '../feed/record.ts';
import type { DemoEvent } from './journal.ts';
import type { Progress } from './progress.ts';

/** Sees a run as it goes. */
export interface DemoObserver {
  event(event: DemoEvent, progress: Progress): void;
  /** One line of the transition log. */
  transition(line: string): void;
  /** Something that the run can do without is missing. */
  warning(text: string): void;
  /** What a machine did, where it was asked for. */
  fed(record: FeedRecord): void;
}
