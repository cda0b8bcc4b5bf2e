/** Opens so many descriptors, accepts a connection beyond them, and stays until its channel closes. */
import { openSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';

for (let left = Number(process.argv[2]); left > 0; left -= 1) openSync('/dev/null', 'r');
const server = createServer((socket) => {
  socket.on('error', () => {});
  process.send?.('accepted');
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.once('disconnect', () => process.exit());
