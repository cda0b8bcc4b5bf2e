/** The page's static files, as they lie in `src/page` or its copy in the package. */
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface PageFile {
  readonly contentType: string;
  readonly bytes: Buffer;
}

const FOLDER = new URL('../../page/', import.meta.url);

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.webp': 'image/webp',
  '.ico': 'image/x-icon',
  '.json': 'application/json',
};

/** What the path of a URL names: `/` and `/page/…`; `null` where there is no such file. */
export async function pageFile(path: string): Promise<PageFile | null> {
  const [, name = path === '/' ? 'index.html' : null] = /^\/page\/((?:[\w-][\w.-]*\/)*[\w-][\w.-]*)$/.exec(path) ?? [];
  if (name === null) return null;
  const contentType = CONTENT_TYPES[extname(name)];
  if (contentType === undefined) return null;
  try {
    return { contentType, bytes: await readFile(fileURLToPath(new URL(name, FOLDER))) };
  } catch {
    return null;
  }
}
