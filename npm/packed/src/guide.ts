// The guide's examples, run as they stand there: a reader pastes them.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";

const GUIDE = new URL("../../../docs/guide.md", import.meta.url);
/** What the guide says to copy for a page without a bundler. */
const COPIED = ["index.js", "face.js", "dist/conch.js", "dist/conch_bg.wasm"];
const STARTS_WITHIN_TRIES = 100;

/** The servers keep their orders in Node's own SQLite, which came with 22.13. */
export const hasSqlite = process.getBuiltinModule?.("node:sqlite") !== undefined;

/** The one block of the guide in that language that begins so. */
async function block(language: string, beginning: string): Promise<string> {
  const blocks = (await readFile(GUIDE, "utf8")).split(`\n\`\`\`${language}\n`).slice(1);
  const found = blocks.filter((block) => block.startsWith(beginning)).map((block) => block.split("\n```\n")[0]);
  if (found.length !== 1 || found[0] === undefined) throw new Error(`the guide has no one block "${beginning}"`);
  return found[0];
}

/** A folder's page as the guide has it, which orders at `orders`. */
export async function placePage(folder: string, orders: string): Promise<string> {
  for (const file of COPIED) {
    await cp(join(folder, "node_modules/conch-edge", file), join(folder, "conch-edge", file));
  }
  const page = await block("html", "<!doctype html>");
  const here = page.replace("http://localhost:3000/orders", orders);
  if (here === page) throw new Error("the guide's page orders elsewhere");
  await mkdir(join(folder, "guide"), { recursive: true });
  await writeFile(join(folder, "guide/index.html"), here);
  return "/guide/";
}

/** A server of the guide, in a folder of its own. */
export class Served {
  readonly address: string;
  readonly #folder: string;
  readonly #process: ChildProcess;

  private constructor(address: string, folder: string, process: ChildProcess) {
    this.address = address;
    this.#folder = folder;
    this.#process = process;
  }

  static async open(name: string, page: string): Promise<Served> {
    const folder = await mkdtemp(join(tmpdir(), "conch-guide-"));
    await writeFile(join(folder, name), await block("js", `// ${name}\n`));
    const port = await freePort();
    const env = { ...process.env, PAGE: page, PORT: String(port) };
    const stdio = ["ignore", "ignore", "inherit"] as const;
    const served = new Served(
      `http://127.0.0.1:${port}`,
      folder,
      spawn(process.execPath, [name], { cwd: folder, env, stdio: [...stdio] }),
    );
    for (let tries = 0; tries < STARTS_WITHIN_TRIES; tries += 1) {
      if (await fetch(served.address).catch(() => null)) return served;
      await setTimeout(100);
    }
    await served.close();
    throw new Error(`${name} does not start`);
  }

  async close(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.kill()) await once(this.#process, "exit");
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  if (address === null || typeof address === "string") throw new Error("no port is free");
  return address.port;
}
