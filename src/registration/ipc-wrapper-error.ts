/** Registration bytes that are not a wrapper as we know it, or a wrapper that cannot be written. Nothing was executed. */
export class IpcWrapperError extends Error {
  override readonly name = 'IpcWrapperError';

  constructor(detail: string, options?: ErrorOptions) {
    super(`IPC wrapper: ${detail}`, options);
  }
}
