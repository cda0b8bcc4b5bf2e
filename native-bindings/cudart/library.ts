import { koffi } from '../foreign-function.ts';
import type { DriverCalls, Out, RuntimeCalls } from './calls.ts';
import { cudartCandidates, type Environment } from './candidates.ts';
import { errorName } from './check.ts';
import { CudaUnavailableError, type CudaUnavailableReason } from './cuda-unavailable-error.ts';
import {
  cudaErrorInsufficientDriver,
  cudaErrorNoDevice,
  cudaErrorStubLibrary,
  cudaSuccess,
  driverPrototypes,
  runtimePrototypes,
  structs,
} from './declarations.ts';

const MAJOR_VERSIONS = [12, 13];

/** The driver's own library; the runtime opens it by this name too. */
const DRIVER_LIBRARY = 'libcuda.so.1';

/** A CUDA runtime that was found, with a driver and at least one device behind it. */
export interface Cudart {
  /** What was given to the loader: a path, or a name for it to find. */
  readonly libraryPath: string;
  /** Of the library, as 1000 × major + 10 × minor. */
  readonly runtimeVersion: number;
  /** The newest CUDA that the driver can serve, in the same form. */
  readonly driverVersion: number;
  readonly deviceCount: number;
  readonly runtime: RuntimeCalls;
  readonly driver: DriverCalls;
}

export interface CudartOptions {
  /** Where libcudart is; default: see {@link cudartCandidates}. Where it is given, nothing else is tried. */
  readonly libraryPath?: string;
  /** Where the driver's library is; default `libcuda.so.1`, found by the loader. */
  readonly driverLibraryPath?: string;
  /** Default `process.env`. */
  readonly environment?: Environment;
}

/**
 * Takes the first library that loads, has every function, is of CUDA 12 or 13, and suits the driver.
 * @throws CudaUnavailableError
 */
export function openCudart(options: CudartOptions = {}): Cudart {
  const { libraryPath, driverLibraryPath = DRIVER_LIBRARY, environment = process.env } = options;
  const refusals: CudaUnavailableError[] = [];
  for (const path of cudartCandidates(libraryPath, environment)) {
    try {
      return open(path, driverLibraryPath);
    } catch (error) {
      if (!(error instanceof CudaUnavailableError)) throw error;
      const isForEveryLibrary = error.reason !== 'noLibrary' && error.reason !== 'driverTooOld';
      if (isForEveryLibrary) throw error;
      refusals.push(error);
    }
  }
  const tooOld = refusals.find(({ reason }) => reason === 'driverTooOld');
  if (tooOld !== undefined) throw tooOld;
  throw new CudaUnavailableError(
    'noLibrary',
    `no usable libcudart of CUDA ${MAJOR_VERSIONS.join(' or ')} (tried ${refusals.map(({ detail }) => detail).join('; ')})`,
  );
}

/** Binds the runtime alone, without asking it anything. @throws Error where the library or a function is missing */
export function bindRuntime(libraryPath: string): RuntimeCalls {
  return bindAll<RuntimeCalls>(libraryPath, runtimePrototypes);
}

function open(libraryPath: string, driverLibraryPath: string): Cudart {
  const runtime = bound('noLibrary', libraryPath, () => bindRuntime(libraryPath));
  const runtimeVersion = versionFrom(runtime.cudaRuntimeGetVersion) ?? 0;
  const major = Math.floor(runtimeVersion / 1000);
  if (!MAJOR_VERSIONS.includes(major)) {
    throw new CudaUnavailableError('noLibrary', `${libraryPath} is of CUDA ${versionText(runtimeVersion)}`);
  }
  const driverVersion = versionFrom(runtime.cudaDriverGetVersion);
  const count: Out<number> = [0];
  const code = runtime.cudaGetDeviceCount(count);
  const deviceCount = code === cudaErrorNoDevice ? 0 : count[0];
  if (code !== cudaSuccess) runtime.cudaGetLastError();
  if (driverVersion === 0 || code === cudaErrorStubLibrary) {
    throw new CudaUnavailableError('noDriver', `${libraryPath} finds no NVIDIA driver (${describe(runtime, code)})`);
  }
  if (code === cudaErrorInsufficientDriver) {
    const [has, needs] = [versionText(driverVersion ?? 0), versionText(runtimeVersion)];
    throw new CudaUnavailableError('driverTooOld', `the driver serves CUDA ${has}, ${libraryPath} needs ${needs}`);
  }
  if (code !== cudaSuccess && code !== cudaErrorNoDevice) {
    throw new CudaUnavailableError('driverFailed', `cudaGetDeviceCount: ${describe(runtime, code)}`);
  }
  if (deviceCount === 0) {
    throw new CudaUnavailableError(
      'noDevice',
      `the driver shows no device to this process (${describe(runtime, code)})`,
    );
  }
  const driver = bound('driverFailed', driverLibraryPath, () =>
    bindAll<DriverCalls>(driverLibraryPath, driverPrototypes),
  );
  return { libraryPath, runtimeVersion, driverVersion: driverVersion ?? 0, deviceCount, runtime, driver };
}

function bound<T>(reason: CudaUnavailableReason, path: string, bind: () => T): T {
  try {
    return bind();
  } catch (error) {
    throw new CudaUnavailableError(reason, `${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** koffi keeps one set of type names for the process, whoever asks for it, and refuses a second declaration. */
export function declareStructs(): void {
  for (const [name, members] of Object.entries(structs)) if (!isDeclared(name)) koffi().struct(name, members);
}

function isDeclared(name: string): boolean {
  try {
    koffi().sizeof(name);
    return true;
  } catch {
    return false;
  }
}

function bindAll<Calls>(path: string, prototypes: Readonly<Record<keyof Calls, string>>): Calls {
  declareStructs();
  const library = koffi().load(path);
  const calls = Object.entries<string>(prototypes).map(([name, prototype]) => [name, library.func(prototype)]);
  return Object.fromEntries(calls) as Calls;
}

function versionFrom(ask: (version: Out<number>) => number): number | null {
  const version: Out<number> = [0];
  return ask(version) === cudaSuccess ? version[0] : null;
}

/** 12080 is 12.8. */
function versionText(version: number): string {
  return `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`;
}

function describe(runtime: RuntimeCalls, code: number): string {
  return `${errorName(runtime, code)}, ${code}`;
}
