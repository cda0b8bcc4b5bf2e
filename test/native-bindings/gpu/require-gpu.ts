import { CudaUnavailableError, createCudaDriver } from '../../../native-bindings/index.ts';

/** Whether a GPU is required, as by `npm run test:gpu`: then everything runs; otherwise, what takes seconds. */
export const isGpuRequired = process.env['PEGAFLOW_REQUIRE_GPU'] !== undefined;

/** Why nothing can run on a GPU here, or `null`. Where one is required, its absence is an error. */
export function noGpu(): string | null {
  try {
    createCudaDriver();
    return null;
  } catch (error) {
    if (!(error instanceof CudaUnavailableError) || isGpuRequired) throw error;
    return error.message;
  }
}
