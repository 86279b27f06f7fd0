// A kill in the middle of a write leaves Chromium's log with a record that has a head and no more. Here that end is made
// by hand, so that what comes of it is seen every time: with the new log that the package has Chromium begin nothing may
// be lost, and without it something must be, or the look could not see what it is for.
import { appendFile, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { until } from "../until.js";
import { Browser, versionOf } from "./browser.js";
import { Host } from "./host.js";
import { type Opened, type Orders, page } from "./opening.js";
import { stranger } from "./stranger.js";

/** Whether the record whose head is all that came was to be shorter than what is written behind it, or longer. */
export const records = ["short", "long"] as const;
export const ends = ["killed", "told to end"] as const;

export interface Plan {
  record: (typeof records)[number];
  /** How the opening after the torn one ends. */
  end: (typeof ends)[number];
  heals: boolean;
}

export interface Seen extends Plan {
  browser: string;
  acknowledged: number;
  lost: number;
  /** Whether Chromium went on with the torn log. */
  reused: boolean;
  /** From that until the log was gone: so long another end would still have cost everything. */
  tornMs: number | null;
  /** How long it had been gone when the first event of that opening was called safe; below 0 it went later. */
  aheadMs: number | null;
  /** What Chromium and the outbox said of the damage. */
  corruption: string | null;
  alarm: Opened["alarm"];
}

/** In the first opening and in the second. */
const EMITS = [20, 3] as const;
const SHORT_BYTES = 128;
/** LevelDB's log comes in blocks, and no record goes beyond one. */
const BLOCK_BYTES = 32_768;
const HEAD_BYTES = 7;
const PATIENCE_MS = 60_000;
const NEW_LOG_PATIENCE_MS = 10_000;
/** No server listens there, so nothing is ever delivered. */
const NOWHERE = "http://127.0.0.1:9";

/** Opens the outbox, tears its log, opens it twice more, and compares. */
export async function tear({ record, end, heals }: Plan): Promise<Seen> {
  const installed = await stranger();
  const host = await Host.open(NOWHERE, installed.edge);
  const browser = await Browser.make("chromium");
  try {
    host.away = true;
    const run = opener(host, browser, heals);
    const first = await run(EMITS[0]);
    await browser.kill();
    const log = await newestLog(browser);
    await appendHead(join(log.folder, log.file), record);

    const second = await run(EMITS[1]);
    const gone = new RegExp(`Delete type=0 #${Number.parseInt(log.file, 10)}$`);
    if (heals) await until("a new log", () => said(browser, gone), NEW_LOG_PATIENCE_MS);
    const reused = await said(browser, /Reusing old log/);
    const deleted = await said(browser, gone);
    if (end === "killed") await browser.kill();
    else await browser.close();

    const third = await run(0);
    const corruption = browser.said.split("\n").find((line) => /corrupt/i.test(line)) ?? null;
    const safe = [...first.safe, ...second.safe];
    return {
      ...{ record, end, heals, browser: await versionOf("chromium") },
      acknowledged: safe.length,
      lost: safe.filter((id) => !third.found.includes(id)).length,
      reused: reused !== null,
      tornMs: reused === null || deleted === null ? null : deleted - reused,
      aheadMs: second.safeAt === null || deleted === null ? null : second.safeAt - deleted,
      corruption,
      alarm: third.alarm,
    };
  } finally {
    await browser.end();
    await host.close();
    await installed.leave();
  }
}

/** What opens the page on the profile and waits for what it found and called safe. */
function opener(host: Host, browser: Browser, heals: boolean): (emits: number) => Promise<Opened> {
  for (const [path, text] of page) host.files.set(path, text);
  let orders: Orders = { emits: 0, heals };
  let opened: Opened | null = null;
  let broken: string | null = null;
  host.ears.set("/heard/begun", () => orders);
  host.ears.set("/heard/opened", (body) => {
    opened = JSON.parse(body.toString()) as Opened;
    return {};
  });
  host.ears.set("/heard/broken", (body) => {
    broken = body.toString();
    return {};
  });
  const heard = async (): Promise<Opened | null> => {
    if (broken !== null) throw new Error(broken);
    return opened;
  };
  return async (emits) => {
    orders = { emits, heals };
    opened = null;
    browser.open(`${host.origin}/`);
    return until("an open outbox", heard, PATIENCE_MS);
  };
}

/** The head of a record in one piece. Its checksum is one of a payload that never came, so any will do. */
async function appendHead(log: string, record: Plan["record"]): Promise<void> {
  const { size } = await stat(log);
  const head = Buffer.from([0xc0, 0x9c, 0x4e, 0xad, 0, 0, 1]);
  head.writeUInt16LE(record === "short" ? SHORT_BYTES : BLOCK_BYTES - (size % BLOCK_BYTES) - HEAD_BYTES, 4);
  await appendFile(log, head);
}

async function newestLog(browser: Browser): Promise<{ folder: string; file: string }> {
  const folders = await readdir(browser.databases);
  const own = folders.find((name) => name.endsWith(".indexeddb.leveldb"));
  if (own === undefined) throw new Error(`Chromium keeps its databases as something else: ${folders.join(", ")}`);
  const folder = join(browser.databases, own);
  const file = (await readdir(folder))
    .filter((name) => name.endsWith(".log"))
    .sort()
    .at(-1);
  if (file === undefined) throw new Error(`no log in ${folder}`);
  return { folder, file };
}

/** When LevelDB last said so since it was opened, or null. It tells the local time. */
async function said(browser: Browser, words: RegExp): Promise<number | null> {
  const { folder } = await newestLog(browser);
  const line = (await readFile(join(folder, "LOG"), "utf8")).split("\n").findLast((line) => words.test(line));
  const [, day, time] = /^([\d/]+)-([\d:.]+) /.exec(line ?? "") ?? [];
  return day === undefined ? null : Date.parse(`${day.replaceAll("/", "-")}T${time}`);
}

/** Nothing lost, because the torn log was left; what a run without the new log must not show. */
export function isHealed({ acknowledged, lost, reused, tornMs, corruption, alarm }: Seen): boolean {
  return (
    acknowledged === EMITS[0] + EMITS[1] &&
    lost === 0 &&
    reused &&
    tornMs !== null &&
    corruption === null &&
    alarm === null
  );
}
