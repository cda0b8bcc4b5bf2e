import { runWorker, WorkerHost } from './worker-host.ts';

runWorker((channel, start) => new WorkerHost(channel, start));
