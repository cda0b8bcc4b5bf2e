/** What connectors rely on of a server, as items that can be asked of one. */
import type { ItemGroup } from './item-suite.ts';
import { disturbances } from './items/disturbances.ts';
import { endings } from './items/endings.ts';
import { httpPort } from './items/http.ts';
import { leases } from './items/leases.ts';
import { loadRecords } from './items/load-records.ts';
import { refusals } from './items/refusals.ts';
import { registration } from './items/registration.ts';
import { roundTrips } from './items/round-trips.ts';
import { slotsAndGroups } from './items/slots-and-groups.ts';
import { transfersBetweenServers } from './items/transfers-between-servers.ts';

/** The items by what they are about. */
export const catalogue: Readonly<Record<string, ItemGroup>> = {
  'C01 to C05: what was saved is found and loaded': roundTrips,
  'C06 to C08: refusals by what is registered': refusals,
  'C09: leases': leases,
  'C10: the record of a load': loadRecords,
  'C11: registration': registration,
  'C12 and C13: the end of an instance': endings,
  'C14 and C15: slots and groups': slotsAndGroups,
  'C16 to C19 and C21: with switches and signals': disturbances,
  'C20: HTTP': httpPort,
  'transfers between servers': transfersBetweenServers,
};
