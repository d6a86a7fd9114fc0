import { createServer } from 'node:net';

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/**
 * The first port from `from` on that nobody listens at. Somebody may still take it before it is used.
 * @throws Error when none of the next hundred is free
 */
export async function freePort(from: number): Promise<number> {
  for (let port = from; port < from + 100 && port <= 65535; port++) if (await isFree(port)) return port;
  throw new Error(
    `Expected a free port from ${from} on but the next hundred are in use; give another with --master_port`,
  );
}
