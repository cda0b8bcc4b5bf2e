/** Keeps other sites' web pages from using a port that whoever reaches it may use. */
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';

/**
 * Why the request may be that of a web page from elsewhere; `null` where it is not. Answers to an IP address, to
 * `localhost` and to `listeningHost`: a page of somebody else's may have let its own name point at this address (DNS
 * rebinding), but then its browser asks by that name. Whatever is no browser sends no `Origin`.
 */
export function foreignPage({ host, origin }: IncomingHttpHeaders, listeningHost: string): string | null {
  if (host === undefined) return origin === undefined ? null : NOT_ITS_NAME;
  const asked = URL.parse(`http://${host}`);
  if (asked === null || !isOurName(asked.hostname, listeningHost)) return NOT_ITS_NAME;
  if (origin !== undefined && URL.parse(origin)?.host !== asked.host) return 'not for the pages of other sites';
  return null;
}

const NOT_ITS_NAME = 'this is not its name: ask by its IP address, or by the name it was told to listen on';

function isOurName(name: string, listeningHost: string): boolean {
  return name === 'localhost' || name === listeningHost.toLowerCase() || isIP(name.replace(/^\[|\]$/g, '')) !== 0;
}
