/**
 * Why a test cannot run here, or `null`. Where nothing may be skipped (`PEGAFLOW_SKIP_NOTHING`, as in `.ci/run`), what is
 * missing is an error.
 */
export function missing(what: string, isThere: boolean): string | null {
  if (isThere) return null;
  if (process.env['PEGAFLOW_SKIP_NOTHING']) throw new Error(`${what} is missing, and no test may be skipped`);
  return `${what} is missing`;
}
