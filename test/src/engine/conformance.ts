import { describe } from 'vitest';
import { disturbances } from './conformance/disturbances.ts';
import { endings } from './conformance/endings.ts';
import { httpPort } from './conformance/http.ts';
import { leases } from './conformance/leases.ts';
import { loadRecords } from './conformance/load-records.ts';
import { refusals } from './conformance/refusals.ts';
import { registration } from './conformance/registration.ts';
import { roundTrips } from './conformance/round-trips.ts';
import { slotsAndGroups } from './conformance/slots-and-groups.ts';
import { ConformanceSuite, type ConformanceTarget } from './conformance/suite.ts';
import { transfersBetweenServers } from './conformance/transfers-between-servers.ts';

export type { ConformanceTarget } from './conformance/suite.ts';

/** The conformance items C01 to C21 against one kind of server; `connect` gives a fresh one, or the only one. */
export const describeConformance = (name: string, connect: () => Promise<ConformanceTarget>) => {
  describe(`conformance of ${name}`, () => {
    const suite = new ConformanceSuite(connect);
    describe('C01 to C05: what was saved is found and loaded', () => roundTrips(suite));
    describe('C06 to C08: refusals by what is registered', () => refusals(suite));
    describe('C09: leases', () => leases(suite));
    describe('C10: the record of a load', () => loadRecords(suite));
    describe('C11: registration', () => registration(suite));
    describe('C12 and C13: the end of an instance', () => endings(suite));
    describe('C14 and C15: slots and groups', () => slotsAndGroups(suite));
    describe('C16 to C19 and C21: with switches and signals', () => disturbances(suite));
    describe('C20: HTTP', () => httpPort(suite));
    describe('transfers between servers', () => transfersBetweenServers(suite));
  });
};
