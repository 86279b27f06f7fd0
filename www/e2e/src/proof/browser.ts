// A browser as the system starts it: no driver holds it, so nothing hears of its end but the system.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { chromiumFlags, chromiumProgram } from "../chromium.js";
import { endsWithUs } from "../leftovers.js";

export const engines = ["chromium", "firefox"] as const;
export type Engine = (typeof engines)[number];

const programs: Record<Engine, string> = {
  chromium: chromiumProgram,
  firefox: process.env.FIREFOX ?? "/usr/bin/firefox-esr",
};

const flags = [
  ...chromiumFlags,
  "--disable-extensions",
  // What it finds broken in a profile it tells, and only here.
  "--enable-logging=stderr",
];

/** No first steps, no calls home, and no question after an end that was no end. */
const firefoxPreferences: Record<string, string | number | boolean> = {
  "app.normandy.enabled": false,
  "app.update.enabled": false,
  "browser.aboutwelcome.enabled": false,
  // It would open the page a second time, in a container with storage of its own.
  "browser.pagethumbnails.capturing_disabled": true,
  "browser.sessionstore.resume_from_crash": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.homepage_override.mstone": "ignore",
  "browser.startup.page": 0,
  "datareporting.policy.dataSubmissionEnabled": false,
  "extensions.getAddons.cache.enabled": false,
  "extensions.systemAddon.update.enabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "services.settings.server": "data:,#remote-settings-dummy/v1",
  "toolkit.startup.max_resumed_crashes": -1,
  "toolkit.telemetry.enabled": false,
  "toolkit.telemetry.server": "",
};

export async function versionOf(engine: Engine): Promise<string> {
  const { stdout } = await promisify(execFile)(programs[engine], ["--version"]);
  return stdout.trim();
}

export class Browser {
  readonly engine: Engine;
  /** The profile, which outlives every process. */
  readonly profile: string;
  #child: ChildProcess | null = null;
  #said = "";

  private constructor(engine: Engine, profile: string) {
    this.engine = engine;
    this.profile = profile;
  }

  static async make(engine: Engine): Promise<Browser> {
    const browser = new Browser(engine, await mkdtemp(join(tmpdir(), `conch-${engine}-`)));
    if (engine === "firefox") {
      const lines = Object.entries(firefoxPreferences).map(
        ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`,
      );
      await writeFile(join(browser.profile, "user.js"), lines.join(""));
    }
    return browser;
  }

  /** What to type to open a page on this profile. */
  command(address: string): [string, string[]] {
    const own =
      this.engine === "chromium"
        ? [...flags, `--user-data-dir=${this.profile}`]
        : ["--headless", "--no-remote", "--profile", this.profile];
    return [programs[this.engine], [...own, address]];
  }

  /** Starts it at a page, behind `wrapper` if there is one, again with the same profile after a kill. */
  open(address: string, wrapper: string[] = []): void {
    const [program, args] = this.command(address);
    const [first = program, ...rest] = [...wrapper, program, ...args];
    // Its own process group, so that a kill takes every process of the browser at once.
    const child = spawn(first, rest, { detached: true, stdio: ["ignore", "pipe", "pipe"] });
    this.#said = "";
    const hear = (chunk: Buffer): void => {
      this.#said = (this.#said + chunk.toString()).slice(-16_384);
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    this.#child = child;
    child.once(
      "exit",
      endsWithUs(() => killGroup(child)),
    );
  }

  /** Where its databases lie. */
  get databases(): string {
    return join(this.profile, this.engine === "chromium" ? "Default/IndexedDB" : "storage/default");
  }

  /** What it said last, for whoever wonders why it does nothing. */
  get said(): string {
    return this.#said;
  }

  /** SIGKILL for all its processes, in the middle of whatever they do. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    killGroup(child);
    await exit;
  }

  /** SIGTERM for the one that the others follow, which ends in order. */
  async close(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill("SIGTERM");
    await exit;
  }

  async end(): Promise<void> {
    await this.kill();
    await rm(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

function killGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, "SIGKILL");
}
