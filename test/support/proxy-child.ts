/** A TCP proxy in a process of its own, as docker-proxy, nginx or `ssh -L` are one: argv is `host:port` of the server. */
import { TcpProxy } from './tcp-proxy.ts';

const proxy = await TcpProxy.start(process.argv[2]!);
process.send?.({ endpoint: proxy.endpoint });
// Ends with whoever started it.
process.on('disconnect', () => process.exit());
