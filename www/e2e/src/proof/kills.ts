// Kills the whole browser while it stores and sends, opens it again on the same profile, and looks whether everything
// it called safe is there, once. Every other time the city dies with it. Only what the driver heard counts as called safe.
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
  say(line: string): void;
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

  hear(told: Safe[]): void {
    for (const [number, id, replayed] of told) {
      const known = this.safe.get(number);
      if (known === undefined) {
        this.safe.set(number, id);
        if (replayed) this.replayed += 1;
      }
      assert.equal(id, known ?? id, `number ${number} of ${this.device} is one event however often it is said`);
    }
  }

  /** Sets the databases aside as the kill left them: the next start changes them. */
  async keep(): Promise<void> {
    await rm(this.left, { recursive: true, force: true });
    await cp(this.browser.databases, this.left, { recursive: true, preserveTimestamps: true }).catch(() => undefined);
  }

  /** Rows of 16 bytes id and 16 bytes intent, as they stand on the disk. */
  look(disk: Buffer): void {
    const ids = new Set<string>();
    const intents = new Set<string>();
    const rows = disk.length / 32;
    for (let row = 0; row < rows; row += 1) {
      ids.add(uuid(disk.subarray(row * 32, row * 32 + 16)));
      intents.add(disk.toString("hex", row * 32 + 16, row * 32 + 32));
    }
    assert.equal(ids.size, rows, `${this.device} stores an id twice`);
    assert.equal(intents.size, rows, `${this.device} stores an intent twice`);
    const lost = [...this.safe].filter(([, id]) => !ids.has(id));
    assert.deepEqual(
      lost.slice(0, 10),
      [],
      `${this.device} lost ${lost.length} of ${this.safe.size} events it had called safe`,
    );
    this.stored = ids;
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
      phone.look(body);
      this.#seen.now();
      return undefined;
    });
    on("safe", (phone, body) => {
      phone.hear(JSON.parse(body.toString()) as Safe[]);
      this.#heard.now();
      return undefined;
    });
    on("delivered", (_, body) => {
      this.#delivered.push(JSON.parse(body.toString()) as Delivered);
      this.#heard.now();
      return undefined;
    });
    on("broken", (_, body) => {
      throw new Error(`the ${this.#plan.context} says: ${body}`);
    });
  }

  #fail(error: Error): void {
    this.#wrong ??= error;
    this.#seen.never(error);
    this.#heard.never(error);
  }

  /** All kills, profile by profile. */
  async go(): Promise<void> {
    const { kills, killsAProfile, engine, context, seed } = this.#plan;
    while (this.found.kills < kills) {
      const device = `k${this.found.profiles + 1}`;
      this.found.profiles += 1;
      const phone = new Phone(device, await Browser.make(engine), await this.#city.enrol(device, "vendor"));
      this.#phone = phone;
      try {
        for (let kill = 0; kill < killsAProfile && this.found.kills < kills; kill += 1) await this.#round(phone);
        await this.#deliver(phone);
      } catch (error) {
        await phone.browser.kill();
        const kept = join(folder, `evidence-${engine}-${context}-${seed}-${this.found.kills}`);
        await cp(phone.browser.profile, join(kept, "profile"), { recursive: true });
        await mkdir(phone.left, { recursive: true });
        await cp(phone.left, join(kept, "left"), { recursive: true });
        await writeFile(join(kept, "said"), phone.browser.said);
        await this.#city.keep(join(kept, "city"));
        const own = phone.browser.said.split("\n").filter((line) => /corrupt/i.test(line));
        const told = own.length > 0 ? `; the browser itself says:\n${own.join("\n")}\n` : "";
        throw new Error(`kill ${this.found.kills}, seed ${seed}: profile and books are kept in ${kept}${told}`, {
          cause: error,
        });
      } finally {
        await phone.browser.end();
        await rm(phone.left, { recursive: true, force: true });
        this.#phone = null;
      }
    }
  }

  #open(phone: Phone, orders: Partial<Orders>): void {
    this.#orders = orders;
    this.#seen = new Moment();
    this.#heard = new Moment();
    phone.browser.open(`${this.#host.origin}/`);
  }

  async #round(phone: Phone): Promise<void> {
    const dice = this.#dice;
    const before = phone.safe.size;
    const takesCity = this.found.kills % 2 === 1;
    const early = dice.chance(0.1);
    const wait = early ? dice.roll() * 2_500 : dice.spread(1, 1_000);
    const cityWait = wait * dice.spread(0.5, 2);
    this.#open(phone, { turn: Math.ceil(dice.spread(1, 200)), hands: 1 + Math.floor(dice.roll() * 3) });
    if (!early) {
      await this.#seen.within(BEGIN_MS, "the disk", phone);
      await this.#heard.within(BEGIN_MS, "a first event", phone);
    }
    if (takesCity) await this.#cityBack;
    const kills = [after(wait).then(() => phone.browser.kill())];
    if (takesCity) kills.push(after(cityWait).then(() => this.#city.kill()));
    await Promise.all(kills);
    await phone.keep();
    this.found.kills += 1;
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
    await this.#heard.within(DELIVER_MS, "the last delivery", phone);
    await phone.browser.kill();
    if (this.#wrong !== null) throw this.#wrong;
    const [delivered] = this.#delivered;
    assert.ok(delivered !== undefined);
    const { accepted = 0, duplicate = 0, ...others } = delivered.verdicts;
    assert.deepEqual([accepted + duplicate, others, delivered.dead], [phone.safe.size, {}, 0]);
    this.found.acknowledged += phone.safe.size;
    this.found.replayed += phone.replayed;
    this.found.stored += phone.stored.size;
    await this.#compare(phone);
    this.#plan.say(`${phone.device}: ${phone.safe.size} events called safe, ${phone.stored.size} delivered, each once`);
  }

  /** Every event of the disks is one event, one order and one capture of the city, and every safe one under its own id. */
  async #compare(phone: Phone): Promise<void> {
    const { events, orders, captures } = await this.#city.counts();
    const { stored } = this.found;
    assert.deepEqual({ events, orders, captures }, { events: stored, orders: stored, captures: stored });
    Object.assign(this.found, { events, captures });
    const all = [...phone.safe];
    for (let told = 0; told < all.length; told += ASKED_AT_ONCE) {
      const asked = all.slice(told, told + ASKED_AT_ONCE).map(async ([number, id]) => {
        const address = `${this.#city.origin}/v1/orders/${phone.device}-${number}`;
        const answer = await fetch(address, { headers: { authorization: `Bearer ${phone.token}` } });
        const { state, eventId } = (await answer.json()) as { state?: string; eventId?: string };
        assert.deepEqual([state, eventId], ["captured", id], address);
      });
      await Promise.all(asked);
    }
  }
}

/** Kills as planned. Rejects with what was lost or doubled, and where the evidence lies. */
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
