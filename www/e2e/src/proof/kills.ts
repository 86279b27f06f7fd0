// Kills the whole browser while it stores and sends, opens it again on the same profile, and looks whether everything
// it called safe is there, once. Every other time the city dies with it. Only what the driver heard counts as called safe.
// What is missing is a broken promise, unless the browser threw the whole database away and the outbox says so: that is
// counted apart, and so is what went with it.
import assert from "node:assert/strict";
import { cp, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { City } from "../city.js";
import { Browser, type Engine, versionOf } from "./browser.js";
import { Dice } from "./dice.js";
import { type Delivered, type Orders, type Safe, site } from "./emitting.js";
import { Host } from "./host.js";
import { folder } from "./results.js";
import { stranger } from "./stranger.js";

export const contexts = ["window", "service-worker"] as const;
export type Context = (typeof contexts)[number];

export interface Plan {
  engine: Engine;
  context: Context;
  kills: number;
  /** A profile is left for a new one after so many kills. */
  killsAProfile: number;
  seed: number;
  /** Most kills come so long after the first event, at least and at most; short moments as often as long ones. */
  killAfterMs: readonly [number, number];
  say(line: string): void;
  /** What befalls the databases after a kill; nothing, unless a test wants to see that it would be noticed. */
  after?(databases: string, kills: number): Promise<void>;
}

export interface Found {
  engine: Engine;
  browser: string;
  context: Context;
  seed: number;
  kills: number;
  cityKills: number;
  /** Kills before anything was called safe. */
  early: number;
  profiles: number;
  /** Events the driver heard to be safe. */
  acknowledged: number;
  /** Of them such as had been stored before a kill and were heard of only when they were said again. */
  replayed: number;
  /** Events on the disks at the end, with those nobody heard of. */
  stored: number;
  /** Rows of the city. */
  events: number;
  captures: number;
  /** Events the city had taken between kills, while others were being stored. */
  underway: number;
  /** Events that went to the city more than once, because a kill took its answer. */
  resent: number;
  /** Events called safe that were missing on the disk or in the city, without an alarm. */
  lost: number;
  /** Events that were stored, or had their effect, more than once. */
  doubled: number;
  /** Databases the browser threw away by itself, about which the outbox raised the alarm `evicted`. */
  thrownAway: number;
  /** Events called safe that went with those and that the city had not taken yet. */
  gone: number;
  /** What broke, and where the evidence lies; the run ends with it. */
  broken: string | null;
  seconds: number;
}

/** How long a browser may take until it begins, on a busy machine. */
const BEGIN_MS = 60_000;
/** How long the last delivery of a profile may take. */
const DELIVER_MS = 180_000;
const ASKED_AT_ONCE = 32;

/** A profile, what was heard from it, and what it was seen to hold. */
class Phone {
  readonly device: string;
  readonly browser: Browser;
  readonly token: string;
  /** The databases as the last kill left them, for people to look into. */
  readonly left: string;
  /** Ids by number. */
  readonly safe = new Map<number, string>();
  replayed = 0;
  /** Ids that were on the disk when it was last read. */
  stored = new Set<string>();
  /** What had been called safe and was not there then. */
  missing: [number: number, id: string][] = [];
  /** The outbox says that the browser threw it away. */
  evicted = false;

  constructor(device: string, browser: Browser, token: string) {
    this.left = `${browser.profile}-left`;
    this.device = device;
    this.browser = browser;
    this.token = token;
  }

  /** The lowest number that nobody heard of. */
  get next(): number {
    let number = 0;
    while (this.safe.has(number)) number += 1;
    return number;
  }

  /** Whether each number is one event however often it is said. */
  hear(told: Safe[]): boolean {
    let same = true;
    for (const [number, id, replayed] of told) {
      const known = this.safe.get(number);
      if (known === undefined) {
        this.safe.set(number, id);
        if (replayed) this.replayed += 1;
      }
      same &&= id === (known ?? id);
    }
    return same;
  }

  /** Sets the databases aside as the kill left them: the next start changes them. */
  async keep(): Promise<void> {
    await rm(this.left, { recursive: true, force: true });
    await cp(this.browser.databases, this.left, { recursive: true, preserveTimestamps: true }).catch(() => undefined);
  }

  /** Reads rows of 16 bytes id and 16 bytes intent, as they stand on the disk. Tells how many are there twice. */
  look(disk: Buffer): number {
    const ids = new Set<string>();
    const intents = new Set<string>();
    const rows = disk.length / 32;
    for (let row = 0; row < rows; row += 1) {
      ids.add(uuid(disk.subarray(row * 32, row * 32 + 16)));
      intents.add(disk.toString("hex", row * 32 + 16, row * 32 + 32));
    }
    this.stored = ids;
    this.missing = [...this.safe].filter(([, id]) => !ids.has(id));
    return rows - Math.min(ids.size, intents.size);
  }
}

function uuid(bytes: Buffer): string {
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** Something that comes once, or not in time. */
class Moment {
  readonly come: Promise<void>;
  #resolve: () => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;

  constructor() {
    this.come = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // It may fail before anybody waits for it.
    this.come.catch(() => undefined);
  }

  now(): void {
    this.#resolve();
  }

  never(error: Error): void {
    this.#reject(error);
  }

  async within(ms: number, what: string, phone: Phone): Promise<void> {
    const late = setTimeout(() => {
      this.never(new Error(`waited ${ms} ms for ${what} of ${phone.device}; it said:\n${phone.browser.said}`));
    }, ms);
    await this.come.finally(() => clearTimeout(late));
  }
}

const after = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

class Run {
  readonly #plan: Plan;
  readonly #dice: Dice;
  readonly #city: City;
  readonly #host: Host;
  #phone: Phone | null = null;
  #orders: Partial<Orders> = {};
  #seen = new Moment();
  #heard = new Moment();
  #delivered: Delivered[] = [];
  #wrong: Error | null = null;
  /** The city is up again. */
  #cityBack: Promise<void> = Promise.resolve();
  /** Rows of the city from outboxes that were thrown away. */
  #orphans = 0;
  /** How often the host passed an event on. */
  readonly #sent = new Map<string, number>();
  readonly found: Found;

  constructor(plan: Plan, browser: string, city: City, host: Host) {
    this.#plan = plan;
    this.#dice = new Dice(plan.seed);
    this.#city = city;
    this.#host = host;
    const { engine, context, seed } = plan;
    const none = { kills: 0, cityKills: 0, early: 0, profiles: 0, acknowledged: 0, replayed: 0, stored: 0 };
    this.found = {
      engine,
      browser,
      context,
      seed,
      ...none,
      events: 0,
      captures: 0,
      underway: 0,
      resent: 0,
      lost: 0,
      doubled: 0,
      thrownAway: 0,
      gone: 0,
      broken: null,
      seconds: 0,
    };
    for (const [path, text] of site(context)) host.files.set(path, text);
    this.#listen();
    host.overhear = (body) => {
      for (const { id } of [JSON.parse(body.toString()) as { id: string } | { id: string }[]].flat()) {
        const times = (this.#sent.get(id) ?? 0) + 1;
        this.#sent.set(id, times);
        if (times === 2) this.found.resent += 1;
      }
    };
  }

  #listen(): void {
    const on = (path: string, hear: (phone: Phone, body: Buffer) => object | undefined): void => {
      this.#host.ears.set(`/heard/${path}`, (body) => {
        const phone = this.#phone;
        if (phone === null) return {};
        try {
          return hear(phone, body) ?? {};
        } catch (error) {
          this.#fail(error instanceof Error ? error : new Error(String(error)));
          return {};
        }
      });
    };
    on("begun", ({ device, token, next }) => ({ device, token, from: next, settle: null, ...this.#orders }));
    on("disk", (phone, body) => {
      const twice = phone.look(body);
      this.#held("doubled", twice, `${phone.device} stores events twice`);
      return undefined;
    });
    on("opened", (phone, body) => {
      const { alarm } = JSON.parse(body.toString()) as { alarm: string | null };
      phone.evicted = phone.missing.length > 0 && alarm === "evicted";
      if (!phone.evicted) this.#allThere(phone);
      this.#seen.now();
      return { goesOn: !phone.evicted };
    });
    on("safe", (phone, body) => {
      const same = phone.hear(JSON.parse(body.toString()) as Safe[]);
      this.#held("doubled", same ? 0 : 1, `a number of ${phone.device} is two events`);
      this.#heard.now();
      return undefined;
    });
    on("delivered", (phone, body) => {
      this.#allThere(phone);
      this.#delivered.push(JSON.parse(body.toString()) as Delivered);
      this.#heard.now();
      return undefined;
    });
    on("broken", (_, body) => {
      throw new Error(`the ${this.#plan.context} says: ${body}`);
    });
  }

  /** Counts what must not be, and stops at it. */
  #held(what: "lost" | "doubled", count: number, told: string): void {
    if (count === 0) return;
    this.found[what] += count;
    throw new Error(`${what} ${count}: ${told}`);
  }

  #allThere({ device, missing, safe }: Phone): void {
    const some = missing.slice(0, 10).map(([number, id]) => `${number} ${id}`);
    this.#held(
      "lost",
      missing.length,
      `${device} misses events of ${safe.size} it had called safe: ${some.join(", ")}`,
    );
  }

  #fail(error: Error): void {
    this.#wrong ??= error;
    this.#seen.never(error);
    this.#heard.never(error);
  }

  /** All kills, profile by profile, up to what breaks. */
  async go(): Promise<void> {
    const { kills, killsAProfile, engine, seed } = this.#plan;
    while (this.found.kills < kills) {
      const device = `k${this.found.profiles + 1}`;
      this.found.profiles += 1;
      const phone = new Phone(device, await Browser.make(engine), await this.#city.enrol(device, "vendor"));
      this.#phone = phone;
      try {
        for (let kill = 0; kill < killsAProfile && this.found.kills < kills && !phone.evicted; kill += 1) {
          await this.#round(phone);
        }
        if (!phone.evicted) await this.#deliver(phone);
        if (phone.evicted) await this.#bury(phone);
      } catch (error) {
        const kept = await this.#keep(phone);
        const own = phone.browser.said.split("\n").filter((line) => /corrupt/i.test(line));
        const told = own.length > 0 ? `; the browser itself says:\n${own.join("\n")}\n` : "";
        const why = error instanceof Error ? error.message : String(error);
        this.found.broken = `kill ${this.found.kills}, seed ${seed}: ${why}; profile and books are kept in ${kept}${told}`;
        return;
      } finally {
        await phone.browser.end();
        await rm(phone.left, { recursive: true, force: true });
        this.#phone = null;
      }
    }
  }

  /** The profile, its databases as the last kill left them, and the city's books, for people to look into. */
  async #keep(phone: Phone): Promise<string> {
    const { engine, context, seed } = this.#plan;
    await phone.browser.kill();
    const kept = join(folder, `evidence-${engine}-${context}-${seed}-${this.found.kills}`);
    // The same seed may have left some before, and links of a profile cannot be copied over others.
    await rm(kept, { recursive: true, force: true });
    await cp(phone.browser.profile, join(kept, "profile"), { recursive: true });
    await mkdir(phone.left, { recursive: true });
    await cp(phone.left, join(kept, "left"), { recursive: true });
    await writeFile(join(kept, "said"), phone.browser.said);
    await this.#city.keep(join(kept, "city"));
    return kept;
  }

  /** Counts what went with an outbox that the browser threw away, and leaves its profile. */
  async #bury(phone: Phone): Promise<void> {
    const kept = await this.#keep(phone);
    await this.#cityBack;
    if (this.#wrong !== null) throw this.#wrong;
    const { found } = this;
    const before = found.stored + this.#orphans;
    const { events, orders, captures } = await this.#city.counts();
    this.#held("doubled", Math.max(orders, captures) - events, `of ${phone.device}, which was thrown away`);
    const taken = await this.#taken(phone);
    this.#held("lost", Math.max(0, before - events), "in the city, of other profiles");
    this.#orphans += events - before;
    found.thrownAway += 1;
    found.gone += phone.safe.size - taken.size;
    found.acknowledged += phone.safe.size;
    found.replayed += phone.replayed;
    Object.assign(found, { events, captures });
    this.#plan.say(
      `${phone.device}: the browser threw its database away and the outbox raised the alarm: of ${phone.safe.size} events ` +
        `called safe the city has ${taken.size}; evidence in ${kept}`,
    );
  }

  #open(phone: Phone, orders: Partial<Orders>): void {
    this.#orders = orders;
    this.#seen = new Moment();
    this.#heard = new Moment();
    phone.browser.open(`${this.#host.origin}/`);
  }

  async #round(phone: Phone): Promise<void> {
    const dice = this.#dice;
    const { killAfterMs } = this.#plan;
    const before = phone.safe.size;
    const takesCity = this.found.kills % 2 === 1;
    const early = dice.chance(0.1);
    const wait = early ? dice.roll() * 2_500 : dice.spread(...killAfterMs);
    const cityWait = wait * dice.spread(0.5, 2);
    this.#open(phone, { turn: Math.ceil(dice.spread(1, 200)), hands: 1 + Math.floor(dice.roll() * 3) });
    if (!early) {
      await this.#seen.within(BEGIN_MS, "an open outbox", phone);
      if (phone.evicted) return phone.browser.kill();
      await this.#heard.within(BEGIN_MS, "a first event", phone);
    }
    if (takesCity) await this.#cityBack;
    const kills = [after(wait).then(() => phone.browser.kill())];
    if (takesCity) kills.push(after(cityWait).then(() => this.#city.kill()));
    await Promise.all(kills);
    await phone.keep();
    this.found.kills += 1;
    await this.#plan.after?.(phone.browser.databases, this.found.kills);
    if (phone.safe.size === before) this.found.early += 1;
    if (takesCity) {
      this.found.cityKills += 1;
      // The browser may be up before it.
      this.#cityBack = after(dice.roll() * 2_000).then(() => this.#city.run());
      this.#cityBack.catch((error: Error) => this.#fail(error));
    }
    if (this.#wrong !== null) throw this.#wrong;
    const { engine, context } = this.#plan;
    const at = early ? "while it started" : `${Math.round(wait)} ms after its first event`;
    this.#plan.say(
      `${engine} ${context} kill ${this.found.kills}${takesCity ? " with the city" : ""}, ${at}: ` +
        `${phone.safe.size - before} more called safe, ${phone.safe.size} of ${phone.device}`,
    );
  }

  /** Lets a profile deliver all it has, and looks at both ends. */
  async #deliver(phone: Phone): Promise<void> {
    this.#delivered = [];
    await this.#cityBack;
    this.found.underway += (await this.#city.counts()).events - this.found.events;
    this.#open(phone, { settle: [...phone.safe.values()] });
    await this.#seen.within(BEGIN_MS, "an open outbox", phone);
    if (phone.evicted) return phone.browser.kill();
    await this.#heard.within(DELIVER_MS, "the last delivery", phone);
    await phone.browser.kill();
    if (this.#wrong !== null) throw this.#wrong;
    const [delivered] = this.#delivered;
    assert.ok(delivered !== undefined);
    const { accepted = 0, duplicate = 0, ...others } = delivered.verdicts;
    const untaken = phone.safe.size - accepted - duplicate;
    this.#held("lost", untaken, `the city did not take all of ${phone.device}: ${JSON.stringify(others)}`);
    assert.equal(delivered.dead, 0);
    this.found.acknowledged += phone.safe.size;
    this.found.replayed += phone.replayed;
    this.found.stored += phone.stored.size;
    await this.#compare(phone);
    this.#plan.say(`${phone.device}: ${phone.safe.size} events called safe, ${phone.stored.size} delivered, each once`);
  }

  /** Every event of the disks is one event, one order and one capture of the city, and every safe one under its own id. */
  async #compare(phone: Phone): Promise<void> {
    const { events, orders, captures } = await this.#city.counts();
    const wanted = this.found.stored + this.#orphans;
    const told = `${wanted} events, ${JSON.stringify({ events, orders, captures })} in the city`;
    this.#held("doubled", Math.max(0, Math.max(events, orders, captures) - wanted), told);
    this.#held("lost", Math.max(0, wanted - Math.min(events, orders, captures)), told);
    Object.assign(this.found, { events, captures });
    const taken = await this.#taken(phone);
    this.#held("lost", phone.safe.size - taken.size, `${phone.device} has no capture for them`);
  }

  /** The numbers whose order the city has captured under the id that was called safe. */
  async #taken(phone: Phone): Promise<Set<number>> {
    const all = [...phone.safe];
    const taken = new Set<number>();
    for (let told = 0; told < all.length; told += ASKED_AT_ONCE) {
      const asked = all.slice(told, told + ASKED_AT_ONCE).map(async ([number, id]) => {
        const address = `${this.#city.origin}/v1/orders/${phone.device}-${number}`;
        const answer = await fetch(address, { headers: { authorization: `Bearer ${phone.token}` } });
        const { state, eventId } = (await answer.json()) as { state?: string; eventId?: string };
        if (state === "captured" && eventId === id) taken.add(number);
      });
      await Promise.all(asked);
    }
    return taken;
  }
}

/** Kills as planned. What was lost or doubled is counted, and ends it. */
export async function kill(plan: Plan): Promise<Found> {
  const began = Date.now();
  const installed = await stranger();
  const city = await City.start("development");
  const host = await Host.open(city.origin, installed.edge);
  try {
    const run = new Run(plan, await versionOf(plan.engine), city, host);
    await run.go();
    return { ...run.found, seconds: Math.round((Date.now() - began) / 1_000) };
  } finally {
    await host.close();
    await city.end();
    await installed.leave();
  }
}
