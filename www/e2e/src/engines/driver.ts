// A browser of another engine, driven by the W3C WebDriver protocol over plain HTTP: no library speaks to all of them.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { endsWithUs } from "../leftovers.js";
import { freePort } from "../ports.js";
import { until } from "../until.js";

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

export class Driver {
  #address: string;
  #child: ChildProcess;
  #session = "";

  private constructor(address: string, child: ChildProcess) {
    this.#address = address;
    this.#child = child;
  }

  static async start(engine: Engine): Promise<Driver> {
    const { program, capabilities } = launch(engine);
    const port = await freePort();
    const child = spawn(program, [`--port=${port}`], { detached: true, stdio: "ignore" });
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
    const answer = await fetch(this.#address + path, {
      method,
      headers: { "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const { value } = (await answer.json()) as { value: unknown };
    assert.ok(answer.ok, `${method} ${path.replace(this.#session, "…")}: ${JSON.stringify(value).slice(0, 400)}`);
    return value;
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
