/** Loaded by the hosts of a demo before anything else (`node --import`): registers the SDK that their environment asks for. */
import { beforeHostEnds } from '../demo/host-end.ts';
import { metricsPortOf, TELEMETRY_ENV } from '../demo/telemetry.ts';
import { serveMetrics, startSdk } from './telemetry-sdk.ts';

const { [TELEMETRY_ENV.otlpUrl]: otlpUrl = null, [TELEMETRY_ENV.metricsPort]: firstPort } = process.env;
const serviceInstance = process.env[TELEMETRY_ENV.processName] ?? 'host';

const sdk = await startSdk({ otlpUrl, serviceName: 'pegaflow-lifecycle-demo', serviceInstance });
beforeHostEnds(sdk.end);
if (firstPort !== undefined) await serveMetrics(sdk.handler, metricsPortOf(Number(firstPort), serviceInstance));
