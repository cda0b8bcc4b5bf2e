/** The run could not go on, through no fault of the command line: reported as one line, exit status 1. */
export class RunError extends Error {
  override readonly name = 'RunError';
}

/** The user ended the run. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
}
