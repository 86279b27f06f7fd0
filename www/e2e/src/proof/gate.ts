// How long a person stands before the gate: from the frame that shows the ticket to the tone, with and without a link,
// in parts; and which decoder reads what. Writes the tables of docs/scanner.md between their marks.
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { City, Issued } from "../city.js";
import { City as Market } from "../city.js";
import { cameraOf, film, type Shot } from "../film.js";
import { Phone } from "../phone.js";
import { Gate } from "../screens.js";
import { compare, looks, type Score } from "./decoders.js";
import { keep, say } from "./results.js";

const page = fileURLToPath(new URL("../../../../docs/scanner.md", import.meta.url));
const TICKETS = 60;
const DECODED = 24;
const CAMERA = { width: 960, height: 720 };

const parts = ["frame", "read", "check", "judge", "ask", "write", "whole"] as const;
type Part = (typeof parts)[number];
type Times = Record<Part, number[]>;

const titles: Record<Part, string> = {
  frame: "draw the frame",
  read: "decode it, there and back",
  check: "ours and genuine: code and signature",
  judge: "list, time, gate, use here and elsewhere",
  ask: "ask the city",
  write: "event and record on disk",
  whole: "**frame to tone**",
};

/** Every ticket once before one camera. The parts come from the page's own User Timing. */
async function evening(city: City, tickets: readonly Issued[], device: string, online: boolean): Promise<Times> {
  const shots = tickets.flatMap(({ code }): Shot[] => [
    { text: code, frames: 7 },
    { text: null, frames: 3 },
  ]);
  const file = await film([{ text: null, frames: 20 }, ...shots, { text: null, frames: 300 }], {
    width: 640,
    height: 480,
  });
  const phone = await Phone.start(cameraOf(file));
  try {
    await phone.context.addInitScript(() => {
      const taken: [string, number][] = [];
      Object.assign(globalThis, { taken });
      new PerformanceObserver((list) => {
        for (const { name, duration } of list.getEntries()) taken.push([name, duration]);
      }).observe({ type: "measure" });
    });
    const gate = await Gate.before(phone, city, device);
    await gate.enrolled();
    await gate.page.locator("[data-testid=check-list][data-grade=good]").waitFor();
    await gate.openUp();
    await gate.page.locator("[data-testid=view][data-camera=on]").waitFor();
    if (!online) await phone.context.setOffline(true);
    const last = tickets.at(-1)?.ticket ?? "";
    await gate.page
      .locator(`[data-testid=result][data-ticket="${last}"]:not([data-standing=saving])`)
      .waitFor({ timeout: 120_000 });
    const taken = await gate.page.evaluate(() => (globalThis as unknown as { taken: [string, number][] }).taken);
    const times = Object.fromEntries(parts.map((part) => [part, [] as number[]])) as Times;
    for (const [name, ms] of taken) times[name.replace("gate:", "") as Part]?.push(ms);
    await phone.kill();
    return times;
  } finally {
    await phone.end();
  }
}

/** The value below which such a share lies. */
function at(share: number, values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

const ms = (value: number): string => (value < 10 ? value.toFixed(1) : value.toFixed(0));

function latencyTable(offline: Times, online: Times): string {
  const row = (part: Part): string => {
    const [here, there] = [offline[part], online[part]];
    const whole = at(0.5, offline.whole);
    const cells = [
      ...[0.5, 0.9, 1].map((share) => ms(at(share, here))),
      ...[0.5, 0.9, 1].map((share) => ms(at(share, there))),
    ];
    const shares = [at(0.5, here) / whole, at(0.5, there) / whole].map((share) => share.toFixed(2));
    return `| ${titles[part]} | ${cells.join(" | ")} | ${shares.join(" : ")} |`;
  };
  return [
    `${offline.whole.length} tickets without a link and ${online.whole.length} with one, in ms; the last column is the median as a multiple of`,
    "the whole median without a link, without : with.",
    "",
    "| part | offline 50 % | 90 % | most | online 50 % | 90 % | most | ratio |",
    "|---|---:|---:|---:|---:|---:|---:|---:|",
    ...parts.map(row),
  ].join("\n");
}

function decoderTable(scores: readonly Score[]): string {
  const least = Math.min(...scores.map(({ fullMs }) => fullMs));
  const rows = scores.map(({ name, read, wrong, fullMs, emptyMs }) => {
    const cells = looks.map((look) => `${read[look]}`);
    return `| ${name} | ${cells.join(" | ")} | ${wrong} | ${(fullMs / least).toFixed(1)} | ${(emptyMs / least).toFixed(1)} |`;
  });
  return [
    `${DECODED} tickets in each look, ${CAMERA.width} by ${CAMERA.height}. Time is processor time a frame, as a multiple of the least with a code (${ms(least)} ms`,
    "on this machine).",
    "",
    `| decoder | ${looks.join(" | ")} | wrong | time | empty |`,
    `|---|${looks.map(() => "---:").join("|")}|---:|---:|---:|`,
    ...rows,
  ].join("\n");
}

async function write(name: string, table: string): Promise<void> {
  const text = await readFile(page, "utf8");
  const [begin, end] = [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/scanner.md has no marks for ${name}`);
  await writeFile(page, `${text.slice(0, from + begin.length)}\n${table}\n${text.slice(to)}`);
}

const city = await Market.start("development");
try {
  const tickets = await city.issue(2 * TICKETS);
  const codes = tickets.slice(0, DECODED).map(({ code }) => code);
  say("decoders");
  const scores = await compare(codes, CAMERA);
  say("without a link");
  const offline = await evening(city, tickets.slice(0, TICKETS), "gate-m1", false);
  say("with a link");
  const online = await evening(city, tickets.slice(TICKETS), "gate-m2", true);
  await write("decoders", decoderTable(scores));
  await write("latency", latencyTable(offline, online));
  await keep("gate", { scores, offline, online });
} finally {
  await city.end();
}
