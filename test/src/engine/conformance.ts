import { describe } from 'vitest';
import { catalogue } from '../../../src/check/catalogue.ts';
import { ConformanceSuite, type ConformanceTarget } from './conformance/suite.ts';

export type { ConformanceTarget } from './conformance/suite.ts';

/** The conformance items C01 to C21 against one kind of server; `connect` gives a fresh one, or the only one. */
export const describeConformance = (name: string, connect: () => Promise<ConformanceTarget>) => {
  describe(`conformance of ${name}`, () => {
    const suite = new ConformanceSuite(connect);
    for (const [title, declareItems] of Object.entries(catalogue)) describe(title, () => declareItems(suite));
  });
};
