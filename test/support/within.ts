import * as check from '../../src/check/eventually.ts';

export { within } from '../../src/check/eventually.ts';

/** Asks again every millisecond until the answer is not `null`: for as long as a busy machine may need. */
export const eventually: typeof check.eventually = (what, ask, budgetMs = 15_000) =>
  check.eventually(what, ask, budgetMs);
