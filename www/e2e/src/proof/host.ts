// The origin a page lives at: its files, the ear for what it reports, and behind both the city, which may be dead.
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { request as ask, createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { extname, join, normalize } from "node:path";
import { buffer } from "node:stream/consumers";

const KINDS: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".wasm": "application/wasm",
};
const PACKAGE = "/conch-edge/";

/** What a report is answered with, as JSON. */
export type Hear = (body: Buffer) => object | Promise<object>;

export class Host {
  /** Texts by their path. */
  readonly files = new Map<string, string>();
  /** Who hears what is posted to a path. */
  readonly ears = new Map<string, Hear>();
  /** Is told every whole body that goes to /v1/events. */
  overhear: ((body: Buffer) => void) | null = null;
  /** Nobody answers under /v1. */
  away = false;
  /** Where everything under /v1 goes. */
  readonly #city: string;
  readonly #edge: string;
  readonly #server: Server;

  private constructor(city: string, edge: string) {
    this.#city = city;
    this.#edge = edge;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        if (response.headersSent) response.destroy();
        else response.writeHead(500).end(String(error));
      });
    });
  }

  /** In front of a city, with the package installed in the folder `edge`. */
  static async open(city: string, edge: string): Promise<Host> {
    const host = new Host(city, edge);
    host.#server.listen(0, "127.0.0.1");
    await once(host.#server, "listening");
    return host;
  }

  get origin(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the host is closed");
    return `http://127.0.0.1:${address.port}`;
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? "/", this.origin);
    if (pathname.startsWith("/v1/")) return this.#pass(request, response);
    const hear = this.ears.get(pathname);
    if (hear !== undefined) {
      // A request that the kill cut off says nothing.
      const body = await buffer(request).catch(() => null);
      if (body === null) return;
      const answer = JSON.stringify(await hear(body));
      response.writeHead(200, { "content-type": "application/json", "cache-control": "no-store" }).end(answer);
      return;
    }
    const file = this.files.get(pathname) ?? (await this.#packaged(pathname));
    if (file === null) response.writeHead(404).end();
    else response.writeHead(200, { "content-type": KINDS[extname(pathname)] ?? "text/html; charset=utf-8" }).end(file);
  }

  async #packaged(path: string): Promise<Buffer | null> {
    if (!path.startsWith(PACKAGE)) return null;
    return readFile(join(this.#edge, normalize(path.slice(PACKAGE.length)))).catch(() => null);
  }

  /** Whatever breaks on the city's side breaks on the page's: it must look like a dead link and not like an answer. */
  #pass(request: IncomingMessage, response: ServerResponse): void {
    const cut = (): void => void response.destroy();
    if (this.away) {
      cut();
      return;
    }
    const { method, headers, url } = request;
    const asked = ask(`${this.#city}${url}`, { ...(method && { method }), headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
      answer.on("error", cut);
      answer.pipe(response);
    });
    asked.on("error", cut);
    request.on("error", () => asked.destroy());
    response.on("close", () => asked.destroy());
    const { overhear } = this;
    if (overhear !== null && method === "POST" && url === "/v1/events") {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.once("end", () => overhear(Buffer.concat(chunks)));
    }
    request.pipe(asked);
  }
}
