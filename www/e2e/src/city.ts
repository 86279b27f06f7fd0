// A real city on a free port with an empty database, which a test may kill, restart and look into.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { endsWithUs } from "./leftovers.js";
import { freePort } from "./ports.js";
import { until } from "./until.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const binary = process.env.CONCH_CITY ?? process.env.CITY_BIN ?? join(root, "target/release/city");
const pages = process.env.CONCH_PAGES ?? join(root, "www/dist");

/** Rows in the city's database. */
export interface Counts {
  events: number;
  orders: number;
  captures: number;
  tickets: number;
  admissions: number;
  scans: number;
}

export interface Issued {
  ticket: string;
  code: string;
}

/** A ticket as the city's command shows it. */
export interface Standing {
  state: string;
  scans: number;
  duplicates: object[];
}

/** In development devices enrol at their word and there is weather; an evening's city wants one-time codes. */
export type Mode = "development" | "evening";

export type Weather =
  | { mode: "clear" | "drop-request" | "drop-answer" | "captive-html" | "status-503" | "status-429"; count?: number }
  | { mode: "delay"; delayMs: number; count?: number };

export class City {
  readonly origin: string;
  #mode: Mode;
  /** Further options of `city serve`. */
  #options: readonly string[];
  #home: string;
  #data: string;
  #port: number;
  #child: ChildProcess | null = null;
  #said = "";
  #ops: string | null = null;
  /** Where this city reads the pages from: its own copy, so that a test may publish a new version. */
  readonly pages: string;

  private constructor(home: string, port: number, mode: Mode, options: readonly string[]) {
    this.#mode = mode;
    this.#options = options;
    this.#home = home;
    this.#data = join(home, "data");
    this.pages = join(home, "pages");
    this.#port = port;
    this.origin = `${options.includes("--tls-self-made") ? "https" : "http"}://127.0.0.1:${port}`;
  }

  /** With further options of `city serve`. */
  static async start(mode: Mode, options: readonly string[] = []): Promise<City> {
    if (!existsSync(binary)) throw new Error(`no city at ${binary}: build it, or name it in CONCH_CITY`);
    if (!existsSync(join(pages, "pos/index.html"))) throw new Error(`no pages at ${pages}: run npm run build`);
    const city = new City(await mkdtemp(join(tmpdir(), "conch-city-")), await freePort(), mode, options);
    await cp(pages, city.pages, { recursive: true });
    await city.run();
    return city;
  }

  /** Starts the process, again with the same database after a kill. */
  async run(): Promise<void> {
    const args = ["serve", "--listen", `127.0.0.1:${this.#port}`, "--data", this.#data, "--pages", this.pages];
    if (this.#mode === "development") args.push("--dev");
    args.push(...this.#options);
    const child = spawn(binary, args);
    const hear = (chunk: Buffer): void => {
      this.#said += chunk.toString();
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    this.#child = child;
    child.once(
      "exit",
      endsWithUs(() => child.kill("SIGKILL")),
    );
    await until("the city's health", async () => {
      if (child.exitCode !== null) throw new Error(`the city ended with ${child.exitCode}:\n${this.#said}`);
      // Without TLS a city that speaks it sends elsewhere, which is as good a sign of life.
      const { status } = await fetch(`http://127.0.0.1:${this.#port}/health`, { redirect: "manual" });
      return status === 200 || status === 308;
    });
  }

  /** Publishes a page under another version, as a new build would. */
  async publish(page: string): Promise<void> {
    const worker = join(this.pages, page, "worker.js");
    const source = await readFile(worker, "utf8");
    const next = source.replace(/"version":"[0-9a-f]{16}"/, '"version":"ffffffffffffffff"');
    if (next === source) throw new Error("the worker does not name its version");
    await this.replace(`${page}/worker.js`, next);
  }

  /** Puts another file in the place of one of the pages'. What the build packed of the old one goes with it. */
  async replace(file: string, text: string): Promise<void> {
    const path = join(this.pages, file);
    await writeFile(path, text);
    for (const packed of ["br", "gz"]) await rm(`${path}.${packed}`, { force: true });
  }

  /** No farewell: what a power cut does to the process. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  }

  /** Leaves the database for people to look into. */
  keep(folder: string): Promise<void> {
    return cp(this.#data, folder, { recursive: true });
  }

  async end(): Promise<void> {
    await this.kill();
    await rm(this.#home, { recursive: true, force: true });
  }

  async counts(): Promise<Counts> {
    const { stdout } = await promisify(execFile)(binary, ["inspect", "--data", this.#data]);
    return JSON.parse(stdout) as Counts;
  }

  /** A one-time code for this device. */
  async code(device: string, role: "gate" | "vendor" | "ops"): Promise<string> {
    const asked = ["codes", "new", "--role", role, "--device", device, "--data", this.#data];
    const { stdout } = await promisify(execFile)(binary, asked);
    return stdout.trim();
  }

  /** Runs a command of the city's beside it. */
  async #command(...asked: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(binary, [...asked, "--data", this.#data]);
    return stdout;
  }

  /** Tickets with their signed codes. */
  async issue(count: number, ...options: string[]): Promise<Issued[]> {
    const lines = await this.#command("tickets", "issue", "--count", String(count), "--json", ...options);
    return lines
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Issued);
  }

  async takeBack(ticket: string): Promise<void> {
    await this.#command("tickets", "revoke", ticket, "--reason", "resold");
  }

  /** How a ticket stands. */
  async ticket(ticket: string): Promise<Standing> {
    return JSON.parse(await this.#command("tickets", "show", ticket)) as Standing;
  }

  async enrol(device: string, role: "gate" | "vendor" | "ops"): Promise<string> {
    const answer = await fetch(`${this.origin}/v1/dev/enrol`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ device, role }),
    });
    if (answer.status !== 201) throw new Error(`enrolment of ${device}: ${answer.status} ${await answer.text()}`);
    return ((await answer.json()) as { token: string }).token;
  }

  /** A device that is no page says something. */
  async say(device: string, token: string, event: { type: string; key: string; data: object }): Promise<void> {
    const id = randomUUID();
    const answer = await fetch(`${this.origin}/v1/events`, {
      method: "POST",
      headers: {
        "content-type": "application/cloudevents+json",
        "idempotency-key": `"${id}"`,
        authorization: `Bearer ${token}`,
      },
      body: JSON.stringify({
        specversion: "1.0",
        id,
        source: `conch://device/${device}/life-1`,
        type: event.type,
        time: new Date().toISOString(),
        partitionkey: event.key,
        data: event.data,
      }),
    });
    if (!answer.ok) throw new Error(`${event.type}: ${answer.status} ${await answer.text()}`);
  }

  async weather(device: string, weather: Weather): Promise<void> {
    this.#ops ??= await this.enrol("ops-e2e", "ops");
    const answer = await fetch(`${this.origin}/v1/dev/weather/${device}`, {
      method: "PUT",
      headers: { "content-type": "application/json", authorization: `Bearer ${this.#ops}` },
      body: JSON.stringify(weather),
    });
    if (!answer.ok) throw new Error(`weather: ${answer.status} ${await answer.text()}`);
  }
}
