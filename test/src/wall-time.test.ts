import { afterEach, describe, expect, test, vi } from 'vitest';

describe('wall time', () => {
  afterEach(() => {
    Reflect.deleteProperty(performance, 'timeOrigin');
  });

  test.each([0, 40, -40])('is right where the process was held up for %d ms at its start', async (heldUpMs) => {
    Object.defineProperty(performance, 'timeOrigin', { value: performance.timeOrigin + heldUpMs, configurable: true });
    vi.resetModules();
    const { wallTimeMs } = await import('../../src/wall-time.ts');
    const beforeMs = Date.now();
    const wallMs = wallTimeMs();
    const afterMs = Date.now() + 1;
    expect(wallMs).toBeGreaterThan(beforeMs - 1);
    expect(wallMs).toBeLessThan(afterMs + 1);
  });

  test('never goes back, whatever the wall clock does', async () => {
    vi.resetModules();
    const { wallTimeMs } = await import('../../src/wall-time.ts');
    const beforeMs = wallTimeMs();
    const now = vi.spyOn(Date, 'now').mockReturnValue(0);
    expect(wallTimeMs()).toBeGreaterThanOrEqual(beforeMs);
    now.mockRestore();
  });
});
