/** Loaded by the hosts of a demo before anything else (`node --import`): registers the SDK that their environment asks for. */
import { beforeHostEnds } from '../demo/hosts/host-end.ts';
import { parentChannel } from '../demo/hosts/ipc.ts';
import type { FromScheduler } from '../demo/hosts/messages.ts';
import { metricsPortOf, processNames, TELEMETRY_ENV } from '../demo/telemetry.ts';
import { serveMetrics, startSdk } from './telemetry-sdk.ts';

const { [TELEMETRY_ENV.otlpUrl]: otlpUrl = null, [TELEMETRY_ENV.metricsPort]: firstPort } = process.env;
const serviceInstance = process.env[TELEMETRY_ENV.processName] ?? 'host';

// One process of the run complains: the collector is the same for all.
const channel = serviceInstance === processNames.scheduler ? parentChannel<never, FromScheduler>() : null;
const onLost = (warning: string) => channel?.send({ type: 'warned', warning });
const sdk = await startSdk({ otlpUrl, serviceName: 'pegaflow-lifecycle-demo', serviceInstance, onLost });
beforeHostEnds(sdk.end);
if (firstPort !== undefined) await serveMetrics(sdk.handler, metricsPortOf(Number(firstPort), serviceInstance));
