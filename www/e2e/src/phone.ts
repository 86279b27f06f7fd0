// A person's phone: a real Chromium with a profile on disk that survives being killed.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { chromiumFlags, chromiumProgram } from "./chromium.js";
import { endsWithUs } from "./leftovers.js";

// Phones lay their scrollbars over the page.
const flags = [...chromiumFlags, "--remote-debugging-port=0", "--hide-scrollbars"];
const VIEWPORT = { width: 390, height: 844 };
const PATIENCE_MS = 30_000;
/** How long a page that may be stuck is asked what it shows. */
const SEEN_MS = 2_000;

/** Requests that fail are what these tests are about; the browser reports each on the console. */
const EXPECTED_ERROR = /^Failed to load resource/;

export class Phone {
  /** What a page said that it should not have said: errors, exceptions, broken policy. */
  readonly complaints: string[] = [];
  #profile: string;
  #more: readonly string[];
  #child: ChildProcess | null = null;
  #browser: Browser | null = null;

  private constructor(profile: string, more: readonly string[]) {
    this.#profile = profile;
    this.#more = more;
  }

  /** With further flags of the browser's, such as a camera. */
  static async start(more: readonly string[] = []): Promise<Phone> {
    const phone = new Phone(await mkdtemp(join(tmpdir(), "conch-phone-")), more);
    await phone.boot();
    return phone;
  }

  /** Starts the browser, again with the same profile after a kill. */
  async boot(): Promise<void> {
    // Its own process group, so that a kill takes every process of the browser at once.
    const child = spawn(chromiumProgram, [...flags, ...this.#more, `--user-data-dir=${this.#profile}`, "about:blank"], {
      detached: true,
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#child = child;
    child.once(
      "exit",
      endsWithUs(() => killGroup(child)),
    );
    this.#browser = await chromium.connectOverCDP(await addressOf(child));
    this.context.setDefaultTimeout(PATIENCE_MS);
    await this.context.addInitScript(() => {
      addEventListener("securitypolicyviolation", (event) => {
        console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
      });
    });
  }

  get context(): BrowserContext {
    const context = this.#browser?.contexts()[0];
    if (context === undefined) throw new Error("the phone is off");
    return context;
  }

  async open(address: string): Promise<Page> {
    const page = await this.context.newPage();
    page.on("console", (message) => {
      if (message.type() === "error" && !EXPECTED_ERROR.test(message.text())) this.complaints.push(message.text());
    });
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    await page.setViewportSize(VIEWPORT);
    await page.goto(address);
    return page;
  }

  /** What a person would have read on each page, for a failure that nobody saw. */
  async seen(): Promise<string> {
    const pages = this.#browser?.contexts().flatMap((context) => context.pages()) ?? [];
    const texts = pages.map((page) =>
      Promise.race([
        page.evaluate(() => {
          const signs = [...document.querySelectorAll<HTMLElement>("[data-testid]")].flatMap((element) => {
            const { testid, ...more } = element.dataset;
            return Object.keys(more).length === 0 ? [] : [`${testid} ${JSON.stringify(more)}`];
          });
          return [location.href, document.body?.innerText, ...signs].join("\n");
        }),
        delay(SEEN_MS, `${page.url()} does not answer`),
      ]).catch(String),
    );
    return [...(await Promise.all(texts)), ...this.complaints].join("\n---\n");
  }

  /** The system kills the browser in the middle of whatever it does. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    killGroup(child);
    await exit;
    await this.#browser?.close().catch(() => undefined);
  }

  async end(): Promise<void> {
    await this.kill();
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 5 });
    assert.deepEqual(this.complaints, [], "pages complain about nothing");
  }
}

function killGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, "SIGKILL");
}

async function addressOf(child: ChildProcess): Promise<string> {
  let said = "";
  for await (const chunk of child.stderr ?? []) {
    said += String(chunk);
    const address = /DevTools listening on (ws:\S+)/.exec(said)?.[1];
    if (address !== undefined) {
      child.stderr?.resume();
      return address;
    }
  }
  throw new Error(`the browser did not start:\n${said}`);
}
