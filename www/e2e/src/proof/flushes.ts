// A kill cannot tell whether a write has reached the disk: the system keeps what a dead process wrote. So here the
// browser's system calls are watched: before an `emit`, a `commit` or a `settled` resolves, a flush of the outbox's files
// must have begun and ended. Every flush is held up on its way, so that nothing can come after one by luck. The same
// with relaxed transactions must fail the same look.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { City } from "../city.js";
import { until } from "../until.js";
import { Browser, type Engine, versionOf } from "./browser.js";
import { Host } from "./host.js";
import type { Durability, Step, Watched } from "./stepping.js";
import { pages } from "./stepping.js";
import { stranger } from "./stranger.js";
import { type Flush, flushesIn } from "./trace.js";

/** How long each flush is held up: longer than anything else a transaction waits for. */
const HELD_UP_MS = 40;
const STEPS = 20;
const PATIENCE_MS = 120_000;

/** How one kind of call did. */
export interface Kept {
  step: Step;
  calls: number;
  /** Calls that resolved only after a flush that began after them had ended. */
  flushed: number;
  /** Transactions for which the outbox asked for strict durability. */
  strict: number;
  medianMs: number;
}

export interface Seen {
  engine: Engine;
  browser: string;
  durability: Durability;
  heldUpMs: number;
  flushes: number;
  steps: Kept[];
}

/** Why nothing can be seen on this machine, or null. */
export async function cannotWatch(): Promise<string | null> {
  const ask = promisify(execFile);
  if (!(await ask("strace", ["-V"]).then(Boolean, () => false))) return "strace is not installed";
  const may = await ask("strace", ["-f", "-o", "/dev/null", "-e", "trace=fsync", "true"]).then(
    () => true,
    () => false,
  );
  return may ? null : "this process may not trace others (ptrace)";
}

/** Watches one browser with the outbox's transactions as they are, or all of them relaxed. */
export async function watch(engine: Engine, durability: Durability): Promise<Seen> {
  const installed = await stranger();
  const city = await City.start("development");
  const host = await Host.open(city.origin, installed.edge);
  const browser = await Browser.make(engine);
  const scratch = await mkdtemp(join(tmpdir(), "conch-trace-"));
  try {
    const trace = join(scratch, "trace");
    const token = await city.enrol("watched", "vendor");
    const watched: Watched[] = [];
    let broken: string | null = null;
    let done = false;
    let began = 0;
    for (const [path, text] of pages({ durability, token, steps: STEPS })) host.files.set(path, text);
    host.ears.set("/heard/begin", () => {
      began = Date.now();
      return {};
    });
    host.ears.set("/heard/end", (body) => {
      const ended = Date.now();
      watched.push({ ...(JSON.parse(body.toString()) as Omit<Watched, "began" | "ended">), began, ended });
      return {};
    });
    host.ears.set("/heard/away", (body) => {
      host.away = body.toString() === "true";
      return {};
    });
    host.ears.set("/heard/done", () => {
      done = true;
      return {};
    });
    host.ears.set("/heard/broken", (body) => {
      broken = body.toString();
      return {};
    });
    // A new profile flushes much that is not ours: the first start is not watched.
    let warm = false;
    host.ears.set("/heard/warm", () => {
      warm = true;
      return {};
    });
    browser.open(`${host.origin}/warm`);
    await until("the first start", async () => warm, PATIENCE_MS);
    await browser.kill();

    const hold = `inject=fsync,fdatasync:delay_exit=${HELD_UP_MS * 1_000}`;
    const calls = [
      "-f",
      "-qq",
      "-y",
      "-ttt",
      "-T",
      "-e",
      "signal=none",
      "-e",
      "trace=fsync,fdatasync",
      "-e",
      hold,
      "-o",
      trace,
    ];
    browser.open(`${host.origin}/`, ["strace", "--seccomp-bpf", ...calls]);
    await until(
      `${STEPS} calls of each kind`,
      async () => {
        if (broken !== null) throw new Error(broken);
        return done;
      },
      PATIENCE_MS,
    );
    await browser.kill();
    const flushes = flushesIn(await readFile(trace, "utf8"), HELD_UP_MS).filter(({ file }) =>
      isOutbox(file, browser.profile),
    );
    const steps = (["emit", "commit", "settle"] as const).map((step) =>
      judged(
        step,
        watched.filter((one) => one.step === step),
        flushes,
      ),
    );
    const version = await versionOf(engine);
    return { engine, browser: version, durability, heldUpMs: HELD_UP_MS, flushes: flushes.length, steps };
  } finally {
    await browser.end();
    await host.close();
    await city.end();
    await installed.leave();
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Chromium and Firefox each keep databases in a folder of this name in the profile. */
function isOutbox(file: string, profile: string): boolean {
  return file.startsWith(profile) && /\/(IndexedDB|idb)\//.test(file);
}

function judged(step: Step, watched: Watched[], flushes: Flush[]): Kept {
  const inTime = ({ began, ended }: Watched): boolean =>
    flushes.some((flush) => flush.began >= began && flush.ended <= ended);
  const took = watched.map(({ began, ended }) => ended - began).sort((one, other) => one - other);
  return {
    step,
    calls: watched.length,
    flushed: watched.filter(inTime).length,
    strict: watched.reduce((sum, { strict }) => sum + strict, 0),
    medianMs: took[Math.floor(took.length / 2)] ?? 0,
  };
}

/** Whether every call was safe when it resolved: the look that strict transactions pass and relaxed ones must not. */
export function allFlushed({ steps }: Seen): boolean {
  return steps.every(({ calls, flushed }) => calls === STEPS && flushed === calls);
}
