/**
 * The loopback address of this test process. Tests that run side by side have one each: where the kernel hands out ports,
 * it may give that of a server which one test has just ended to the server of another, and the connectors that still dial
 * it would register there.
 */
export const LOOPBACK_HOST = `127.0.0.${1 + Number(process.env['VITEST_POOL_ID'] ?? 0)}`;
