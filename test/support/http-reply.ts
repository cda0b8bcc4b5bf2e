import http from 'node:http';

/** What came, of the headers only those that say what the body is and what may be asked. */
export interface HttpReply {
  readonly status: number | undefined;
  readonly headers: { readonly type?: string; readonly length?: string; readonly allow?: string };
  readonly body: string;
}

/** One request on a connection of its own, with any method and any headers. */
export const ask = (
  httpAddress: string,
  method: string,
  path: string,
  sent: http.OutgoingHttpHeaders = {},
): Promise<HttpReply> =>
  new Promise((resolve, reject) => {
    const request = http.request(
      `http://${httpAddress}${path}`,
      { method, agent: false, headers: sent },
      async (response) => {
        const chunks: Buffer[] = [];
        for await (const chunk of response) chunks.push(chunk);
        const { 'content-type': type, 'content-length': length, allow } = response.headers;
        const headers = {
          ...(type !== undefined && { type }),
          ...(length !== undefined && { length }),
          ...(allow !== undefined && { allow }),
        };
        resolve({ status: response.statusCode, headers, body: Buffer.concat(chunks).toString() });
      },
    );
    request.once('error', reject);
    request.end();
  });
