// A browser of another engine, driven by the W3C WebDriver protocol over plain HTTP: no library speaks to all of them.
import { type ChildProcess, spawn } from "node:child_process";
import { endsWithUs } from "../leftovers.js";
import { freePort } from "../ports.js";
import { Hopeless, until } from "../until.js";

export const engines = ["firefox", "webkit"] as const;
export type Engine = (typeof engines)[number];

/** The key under which WebDriver wraps an element (W3C WebDriver, 12.1). */
const ELEMENT = "element-6066-11e4-a52e-4f735466cecf";

interface Launch {
  program: string;
  capabilities: object;
}

/** What starts each engine: `cargo xtask test` names the drivers, as for the suites in wasm. */
function launch(engine: Engine): Launch {
  if (engine === "webkit") {
    const program = process.env.SAFARIDRIVER ?? "WebKitWebDriver";
    return { program, capabilities: { "webkitgtk:browserOptions": { args: ["--automation"] } } };
  }
  const binary = process.env.GECKODRIVER_ARGS?.replace(/^--binary /, "") ?? "/usr/bin/firefox-esr";
  const program = process.env.GECKODRIVER ?? "geckodriver";
  return { program, capabilities: { "moz:firefoxOptions": { binary, args: ["-headless"] } } };
}

/** The browser ended by itself, under whatever page it showed. */
export class BrowserGone extends Hopeless {}

/** As much of what driver and browser say as a person wants to read. */
const SAID_MAX = 4_000;
/** The longest that a page may keep its driver waiting. */
const ANSWER_MS = 30_000;

export class Driver {
  #address: string;
  #said = "";
  #child: ChildProcess;
  #session = "";

  private constructor(address: string, child: ChildProcess) {
    this.#address = address;
    this.#child = child;
    const hear = (chunk: Buffer): void => {
      this.#said = `${this.#said}${chunk}`.slice(-SAID_MAX);
    };
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
  }

  static async start(engine: Engine): Promise<Driver> {
    const { program, capabilities } = launch(engine);
    const port = await freePort();
    const child = spawn(program, [`--port=${port}`], { detached: true, stdio: ["ignore", "pipe", "pipe"] });
    const failed = new Promise<never>((_, reject) => child.once("error", reject));
    const driver = new Driver(`http://127.0.0.1:${port}`, child);
    child.once(
      "exit",
      endsWithUs(() => driver.#kill()),
    );
    try {
      await Promise.race([failed, until(`the driver of ${engine}`, async () => driver.#isReady())]);
      const begun = await driver.#ask("POST", "/session", { capabilities: { alwaysMatch: capabilities } });
      driver.#session = (begun as { sessionId: string }).sessionId;
    } catch (error) {
      driver.#kill();
      throw error;
    }
    return driver;
  }

  async open(address: string): Promise<void> {
    await this.#do("POST", "/url", { url: address });
  }

  /** To the page before, as it was left if the browser kept it. */
  async back(): Promise<void> {
    await this.#do("POST", "/back", {});
  }

  /** Runs the body of a function in the page. */
  run<T>(body: string, ...args: unknown[]): Promise<T> {
    return this.#do("POST", "/execute/sync", { script: body, args }) as Promise<T>;
  }

  /** Waits until the page has this element. */
  async see(selector: string): Promise<void> {
    await until(selector, () => this.run<boolean>("return document.querySelector(arguments[0]) !== null", selector));
  }

  /** What a finger does: the element is scrolled to and hit where it shows. */
  async click(selector: string): Promise<void> {
    const found = (await this.#do("POST", "/element", { using: "css selector", value: selector })) as {
      [ELEMENT]: string;
    };
    await this.#do("POST", `/element/${found[ELEMENT]}/click`, {});
  }

  /** What a keyboard scanner does: keys for the page, wherever the focus is. */
  async type(text: string): Promise<void> {
    const keys = [...text].flatMap((value) => [
      { type: "keyDown", value },
      { type: "keyUp", value },
    ]);
    await this.#do("POST", "/actions", { actions: [{ type: "key", id: "scanner", actions: keys }] });
  }

  async end(): Promise<void> {
    await this.#do("DELETE", "").catch(() => undefined);
    this.#kill();
  }

  #do(method: string, path: string, body?: object): Promise<unknown> {
    return this.#ask(method, `/session/${this.#session}${path}`, body);
  }

  async #ask(method: string, path: string, body?: object): Promise<unknown> {
    const { ok, value } = await this.#answer(method, path, body);
    if (ok) return value;
    const wrong = `${this.#named(method, path)}: ${JSON.stringify(value).slice(0, 400)}`;
    throw this.#session === "" || (await this.#lives()) ? new Error(wrong) : this.#gone(wrong);
  }

  async #answer(method: string, path: string, body?: object): Promise<{ ok: boolean; value: unknown }> {
    const answer = await fetch(this.#address + path, {
      method,
      headers: { "content-type": "application/json" },
      signal: AbortSignal.timeout(ANSWER_MS),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }).catch((error: Error) => {
      // A driver may wait for ever for a browser that ended.
      if (error.name === "TimeoutError") throw this.#gone(`${this.#named(method, path)}: no answer in ${ANSWER_MS} ms`);
      throw error;
    });
    return { ok: answer.ok, value: ((await answer.json()) as { value: unknown }).value };
  }

  /** A driver ends the session of a browser that ended, and says so of what is asked next. */
  async #lives(): Promise<boolean> {
    const { value } = await this.#answer("GET", `/session/${this.#session}/timeouts`);
    return (value as { error?: string } | null)?.error !== "invalid session id";
  }

  #named(method: string, path: string): string {
    return `${method} ${this.#session === "" ? path : path.replace(this.#session, "…")}`;
  }

  #gone(wrong: string): BrowserGone {
    return new BrowserGone(`${wrong}\n${this.#said}`);
  }

  async #isReady(): Promise<boolean> {
    return ((await this.#ask("GET", "/status")) as { ready: boolean }).ready;
  }

  /** The driver and its browser are one process group. */
  #kill(): void {
    const { pid, exitCode, signalCode } = this.#child;
    if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, "SIGKILL");
  }
}
