import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { cudartCandidates } from '../../native-bindings/cudart/candidates.ts';

const SONAMES = ['libcudart.so.13', 'libcudart.so.12'];

describe('where libcudart is looked for', () => {
  let root: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'pegaflow-cudart-'));
    onTestFinished(() => rmSync(root, { recursive: true }));
  });

  const file = (path: string): string => {
    const whole = join(root, path);
    mkdirSync(dirname(whole), { recursive: true });
    writeFileSync(whole, '');
    return whole;
  };

  test('a path that was given is the only one', () => {
    expect(cudartCandidates('/some/libcudart.so', { PEGAFLOW_CUDART: '/other.so' })).toEqual(['/some/libcudart.so']);
  });

  test('PEGAFLOW_CUDART is the only one where no path was given', () => {
    expect(cudartCandidates(undefined, { PEGAFLOW_CUDART: '/other.so', CUDA_HOME: root })).toEqual(['/other.so']);
  });

  test('CUDA_HOME and CUDA_PATH come before the loader, and of each the newer library first', () => {
    const old = file('home/lib64/libcudart.so.12');
    const recent = file('path/targets/x86_64-linux/lib/libcudart.so.13');
    const environment = { CUDA_HOME: join(root, 'home'), CUDA_PATH: join(root, 'path') };
    expect(cudartCandidates(undefined, environment).slice(0, 4)).toEqual([recent, old, ...SONAMES]);
  });

  test("the folders of NVIDIA's wheels come after the loader", () => {
    const thirteen = file('venv/lib/python3.12/site-packages/nvidia/cu13/lib/libcudart.so.13');
    const twelve = file('conda/lib/python3.9/site-packages/nvidia/cuda_runtime/lib/libcudart.so.12');
    const found = cudartCandidates(undefined, {
      VIRTUAL_ENV: join(root, 'venv'),
      CONDA_PREFIX: join(root, 'conda'),
    });
    expect(found.slice(0, 2)).toEqual(SONAMES);
    expect(found.filter((path) => path.startsWith(root))).toEqual([thirteen, twelve]);
  });

  test('a folder of the user comes from HOME, and the newest Python first', () => {
    const nine = file('.local/lib/python3.9/site-packages/nvidia/cu13/lib/libcudart.so.13');
    const twelve = file('.local/lib/python3.12/site-packages/nvidia/cu13/lib/libcudart.so.13');
    const found = cudartCandidates(undefined, { HOME: root });
    expect(found.filter((path) => path.startsWith(root))).toEqual([twelve, nine]);
  });

  test('a hint that leads to a file is passed over', () => {
    file('venv/lib');
    expect(cudartCandidates(undefined, { VIRTUAL_ENV: join(root, 'venv') }).slice(0, 2)).toEqual(SONAMES);
  });

  test('without any hint the loader is asked first, and no path is named that does not exist', () => {
    expect(cudartCandidates(undefined, { CUDA_HOME: join(root, 'missing') }).slice(0, 2)).toEqual(SONAMES);
  });
});
