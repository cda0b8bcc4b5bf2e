import { describe } from 'vitest';
import { catalogue } from '../../../src/check/catalogue.ts';
import { ConformanceSuite, type Connect } from './conformance/suite.ts';

/** The conformance items C01 to C21 against one kind of server. */
export const describeConformance = (name: string, connect: Connect) => {
  describe(`conformance of ${name}`, () => {
    const suite = new ConformanceSuite(connect);
    for (const [title, declareItems] of Object.entries(catalogue)) describe(title, () => declareItems(suite));
  });
};
