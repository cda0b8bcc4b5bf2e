/** Speaks HTTP/2 on the connections that its parent hands over, and listens nowhere. */
import { createServer } from 'node:http2';
import type { Socket } from 'node:net';

const server = createServer();
process.on('message', (_, socket: Socket) => server.emit('connection', socket));
process.on('disconnect', () => process.exit());
process.send?.('ready');
