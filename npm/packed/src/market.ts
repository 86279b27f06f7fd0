// One server for a scene: it serves the pages with the installed package, and answers as a city unless it is away.
import { EventEmitter, once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { extname, join, normalize } from "node:path";
import { text } from "node:stream/consumers";

/** What the package must do with. `connect-src` is for the wasm and for the city. */
const POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'";
/** Under this path everything is served as elsewhere, but with the policy. */
export const LOCKED = "/locked";

const KINDS: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".wasm": "application/wasm",
};
/** What lets a page of another origin in, as the guide tells those whose server is the city. */
const LETS_IN = {
  "access-control-allow-origin": "*",
  "access-control-allow-headers":
    "authorization, content-type, idempotency-key, conch-sent-at, conch-epoch, conch-owed, conch-tries, conch-tombstones",
  "access-control-expose-headers": "conch-city, date, retry-after",
};
const OFFER = { city: "packed", batch: { maxEvents: 100, maxBytes: 65_536 } };

interface Event {
  id: string;
}

export class Market {
  /** Nobody answers under /v1. */
  away = false;
  /** Who asks under /v1 is told to come back after so many seconds. */
  busyS = 0;
  /** So many requests for the wasm fail. */
  wasmFailures = 0;
  /** Ids of events as they came in, again when one came again. */
  readonly taken: string[] = [];
  readonly #known = new Set<string>();
  readonly #events = new EventEmitter();
  /** Paths of files that were asked for. */
  readonly served: string[] = [];
  #folder: string;
  #server: Server;

  private constructor(folder: string) {
    this.#folder = folder;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
    });
  }

  static async open(folder: string): Promise<Market> {
    const market = new Market(folder);
    market.#server.listen(0, "127.0.0.1");
    await once(market.#server, "listening");
    return market;
  }

  get origin(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the market is closed");
    return `http://127.0.0.1:${address.port}`;
  }

  /** Ends once an event has come in. */
  async delivered(): Promise<void> {
    if (this.taken.length === 0) await once(this.#events, "taken");
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? "/", this.origin);
    if (pathname.startsWith("/v1/")) return this.#answerAsCity(pathname, request, response);
    this.served.push(pathname);
    if (pathname.endsWith(".wasm") && this.wasmFailures > 0) {
      this.wasmFailures -= 1;
      response.writeHead(503).end();
      return;
    }
    const locked = pathname.startsWith(`${LOCKED}/`);
    const path = normalize(locked ? pathname.slice(LOCKED.length) : pathname);
    const file = await readFile(join(this.#folder, path.endsWith("/") ? `${path}index.html` : path)).catch(() => null);
    if (file === null) {
      response.writeHead(404).end();
      return;
    }
    if (locked) response.setHeader("content-security-policy", POLICY);
    response.writeHead(200, { "content-type": KINDS[extname(path)] ?? "text/html; charset=utf-8" }).end(file);
  }

  async #answerAsCity(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.away) {
      request.socket.destroy();
      return;
    }
    response.setHeaders(new Headers({ ...LETS_IN, "conch-city": OFFER.city, "content-type": "application/json" }));
    if (request.method === "OPTIONS") {
      response.writeHead(204).end();
      return;
    }
    if (this.busyS > 0) {
      response.writeHead(503, { "retry-after": String(this.busyS) }).end("{}");
      return;
    }
    if (path !== "/v1/events") {
      response.writeHead(200).end(JSON.stringify(OFFER));
      return;
    }
    const sent = [JSON.parse(await text(request)) as Event | Event[]].flat();
    const verdicts = sent.map(({ id }) => ({ id, verdict: this.#known.has(id) ? "duplicate" : "accepted" }));
    for (const { id } of sent) this.#known.add(id);
    this.taken.push(...sent.map(({ id }) => id));
    this.#events.emit("taken");
    response.writeHead(200).end(JSON.stringify({ verdicts }));
  }
}
