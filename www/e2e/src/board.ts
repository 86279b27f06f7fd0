// The operations board as its people see it, and bare devices that say one thing at a time for it to show.
import { createHash, randomBytes } from "node:crypto";
import type { Locator, Page } from "playwright-core";
import type { City } from "./city.js";
import { look, type Size } from "./look.js";
import type { Phone } from "./phone.js";

/** People scroll it on a phone, and see one screen of it on a wall. */
export const sizes: readonly Size[] = [
  { width: 360, height: 640, whole: true },
  { width: 390, height: 844, whole: true },
  { width: 1_920, height: 1_080, whole: true },
];

export class Board {
  readonly page: Page;

  private constructor(page: Page) {
    this.page = page;
  }

  static async open(phone: Phone, city: City, more = ""): Promise<Board> {
    const board = new Board(await phone.open(`${city.origin}/ops/?device=ops-b1${more}`));
    await board.page.locator("main[data-board=shown]").waitFor();
    return board;
  }

  get(id: string): Locator {
    return this.page.getByTestId(id);
  }

  /** A count on the board, by its test id. */
  async count(id: string, wanted: number, timeout?: number): Promise<void> {
    const found = this.page.locator(`[data-testid="${id}"][data-count="${wanted}"]`);
    await found.waitFor(timeout === undefined ? {} : { timeout });
  }

  device(name: string): Locator {
    return this.page.locator(`[data-testid=device-row][data-device="${name}"]`);
  }

  async standing(name: string, wanted: string): Promise<void> {
    await this.page.locator(`[data-testid=device-row][data-device="${name}"][data-standing="${wanted}"]`).waitFor();
  }

  async alert(name: string, kind: string): Promise<void> {
    await this.page.locator(`[data-testid=alert][data-alert="${name}"][data-kind="${kind}"]`).first().waitFor();
  }

  /** Takes a decision with its reason. */
  async decide(what: string, reason: string): Promise<void> {
    await this.get(what).first().click();
    await this.get("reason").fill(reason);
    await this.get("reason-send").click();
  }

  /** Looks an order up, and waits for what comes of it. */
  async find(ending: string): Promise<void> {
    await this.get("order-ending").fill(ending);
    const answered = this.page.waitForResponse(/\/v1\/orders\?ending=/);
    await this.get("order-look").click();
    await (await answered).finished();
    await this.page.locator("[data-testid=order-answer]", { hasText: "結尾" }).waitFor();
  }

  async weather(scope: string, mode: string): Promise<void> {
    await this.get("scope").selectOption(scope);
    await this.get(`sky-${mode}`).click();
    await this.page.locator("[data-testid=desk-outcome]:not(:empty)").waitFor();
  }

  /** Its state as an inspector sees it: on phones, and on a wall. */
  async inspect(state: string): Promise<void> {
    await look(this.page, `board ${state}`, sizes);
  }
}

/** A UUIDv7 of now. */
function freshId(): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(Date.now(), 0, 6);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return written(bytes);
}

function written(bytes: Buffer): string {
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** What a first payment of an order is meant as: a UUIDv5 over its family, type, key and attempt. */
function intentOfPayment(order: string): string {
  const namespace = Buffer.from("6f1d2b526a0c5e0b9a5341c09c1e77a4", "hex");
  const hash = createHash("sha1").update(namespace).update(["pay.txn", "requested", order, "1"].join("\0")).digest();
  hash.writeUInt8((hash.readUInt8(6) & 0x0f) | 0x50, 6);
  hash.writeUInt8((hash.readUInt8(8) & 0x3f) | 0x80, 8);
  return written(hash.subarray(0, 16));
}

/** A device without a page: it says what it is told, with the headers an outbox sends. */
export class Bare {
  #city: City;
  #device: string;
  #token: string;
  #sequence = 0;

  private constructor(city: City, device: string, token: string) {
    this.#city = city;
    this.#device = device;
    this.#token = token;
  }

  static async enrol(city: City, device: string, role: "gate" | "vendor" | "ops"): Promise<Bare> {
    return new Bare(city, device, await city.enrol(device, role));
  }

  /** `owed` is the `conch-owed` header: without one the device says nothing of its outbox. */
  async say(type: string, key: string, data: object, sequence = this.#sequence + 1, owed?: string): Promise<void> {
    this.#sequence = sequence;
    const event = {
      specversion: "1.0",
      id: freshId(),
      source: `conch://device/${this.#device}/life-1`,
      type,
      time: new Date().toISOString(),
      partitionkey: key,
      sequence: String(sequence).padStart(16, "0"),
      ...(type.startsWith("pay.") ? { idempotencykey: intentOfPayment(key), attempt: 1 } : {}),
      data,
    };
    const answer = await this.#post("/v1/events", [event], "application/cloudevents-batch+json", {
      ...(owed === undefined ? {} : { "conch-owed": owed }),
    });
    const { verdicts } = (await answer.json()) as { verdicts?: { verdict: string; problem?: object }[] };
    if (verdicts?.[0]?.verdict !== "accepted") throw new Error(`${type}: ${JSON.stringify(verdicts)}`);
  }

  async scan(ticket: string, gateId: string): Promise<void> {
    await this.say("gate.auth.v2.scanned", ticket, { gateId, ticketId: ticket });
  }

  /** Holds an amount while there is a link, for a payment with it. */
  async hold(order: string, amount: number): Promise<string> {
    const body = { order, amount, currency: "TWD" };
    const answer = await this.#post("/v1/authorizations", body, "application/json", {
      "idempotency-key": `"${freshId()}"`,
    });
    return ((await answer.json()) as { authRef: string }).authRef;
  }

  async #post(path: string, body: object, type: string, more: Record<string, string>): Promise<Response> {
    const answer = await fetch(`${this.#city.origin}${path}`, {
      method: "POST",
      headers: { "content-type": type, authorization: `Bearer ${this.#token}`, ...more },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer;
  }
}
