import { CudaUnavailableError, createCudaDriver } from '../../../native-bindings/index.ts';

/** Why nothing can run on a GPU here, or `null`. Where one is required (`npm run test:gpu`), its absence is an error. */
export function noGpu(): string | null {
  try {
    createCudaDriver();
    return null;
  } catch (error) {
    if (!(error instanceof CudaUnavailableError) || process.env['PEGAFLOW_REQUIRE_GPU']) throw error;
    return error.message;
  }
}
