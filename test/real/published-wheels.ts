/** The published versions of pegaflow-llm that the tests run, newest first. */
export const publishedVersions = ['0.25.1', '0.24.6', '0.23.12'] as const;

export type PublishedVersion = (typeof publishedVersions)[number];

export const newestPublished: PublishedVersion = publishedVersions[0];

export function isPublished(version: string): version is PublishedVersion {
  return (publishedVersions as readonly string[]).includes(version);
}

/** Of each wheel for x86_64, by version and the CPython that it is for. */
const SHA256: Readonly<Record<PublishedVersion, Readonly<Record<string, string>>>> = {
  '0.25.1': {
    '3.10': '326eb19533511052e928e75064e9980fdb3f7cc315bb49e7013faee7f365f82f',
    '3.11': '4ac2e62bc4fe4f42f41a3e690dbd0c8b38fd8ecc4ffc91b710cebe3d0563372c',
    '3.12': '63377579d217ad0289609f2abafdd5304d88c875862ef8b9f261c88dc863efec',
    '3.13': 'e7dfc9df2bfa8ccf918f536dbe2f2007dc9dc5b5a2d89fc63bcfd9dc84804e3a',
    '3.14': '2c2a1f21f41e50b0ae66ac83322c84c0ad86d3d893e9c658e5173eac476ffd7d',
  },
  '0.24.6': {
    '3.10': '3dc8f8d2aac6e31759fdf881547f2ce9ea47bd2c62121d3ab0ae67d0103a72a4',
    '3.11': 'd55d2dad14cbb842dc8232a346d0530dd093b1f0a23bae6fb3cb58c238e884d7',
    '3.12': '9bc19440e794bf49904921537f81eabe81011572affd6106396c98ece3575f01',
    '3.13': '00ff8669f4df4815cf40a9f75bb93d0da5f22b6c2de184f8183f0e1474dd9d0d',
    '3.14': 'd5a6bbd1c61803b8ef0902c3d61d0c9c7008f9ff048b909f077be03f47c020d6',
  },
  '0.23.12': {
    '3.10': '038ad260c6d3c4e4400807b4091db8e6c56f8bcd32b18e65cdc93582ec7beceb',
    '3.11': 'c873b042296c46c50bb4ae8c8ca7a7be518795eaac0ac6b4c216c4f8a540d998',
    '3.12': '72398c90863c6c3b1a93acc716542861188d845b0f9426c9c7731139bbdb5cf9',
    '3.13': 'e8e91ac3b52599dc1225d6fd871e1439ae02ad445f82a814a23e9c3969494047',
    '3.14': '1eaf289f57b628dc53d7ff5a6f6e0823638586df328e2b80eb7e3195e13d847a',
  },
};

export const supportedPythons = Object.keys(SHA256[newestPublished]);

/** The sha256 of the wheel for CPython `python`, such as `3.11`; `null` where none was published. */
export function wheelSha256(version: PublishedVersion, python: string): string | null {
  return SHA256[version][python] ?? null;
}
