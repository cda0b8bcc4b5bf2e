import { runScheduler, SchedulerHost } from './scheduler-host.ts';

runScheduler((channel, start) => new SchedulerHost(channel, start));
