// What this gate knows without asking: the city's list, its clock, and where tickets were used. All of it is on disk.
import { computed, signal } from "@preact/signals";
import type { Edge, RecordName } from "conch-edge";
import { Book, type Row } from "../../shell/book.ts";
import { powerPut } from "../../shell/cut.ts";
import { nudgedOrAfter } from "../../shell/events.ts";
import { tokenAtHand } from "../../shell/identity.ts";
import { signedOut } from "../../shell/leaving.ts";
import { type Apply, snapshot } from "../../shell/outbox.ts";
import { askList } from "./city.ts";
import { corrected, isOff, type Skew, skewOf } from "./clock.ts";
import { gateLimits } from "./limits.ts";
import { ageOf, type HeldList } from "./list.ts";
import type { First } from "./rules.ts";

/** Records of the outbox: where other gates let a ticket in, by its digest, and where this one did, by its id. */
export const SEEN = "gate_seen";
export const LET_IN = "gate_let_in";

/** A ticket that was freed is outside again. */
export type Seen = { place: string; at: number } | { freed: true; at: number };

/** Two rows: the list, and when it was last said to hold, which must not write a megabyte every minute. */
type ListRow = Row & Partial<HeldList>;

export const held = signal<HeldList | null>(null);
export const skew = signal<Skew | null>(null);
/** This device's wall clock, moved on so that ages on the screen grow. */
export const now = signal(Date.now());
/** Whether the last question of this page to the city was answered. */
export const listed = signal<"asking" | "heard" | "away">("asking");
export const listAge = computed(() => ageOf(held.value, now.value, gateLimits));
export const clockIsOff = computed(() => isOff(skew.value, gateLimits.clockOffMs));

/** Now, as the city's clock would have it. */
export function cityNow(): number {
  return corrected(Date.now(), skew.value, gateLimits.clockOffMs);
}

/** As far as is known: the outbox hears of the link only when it sends, and the list is asked for every minute. */
export const isUp = computed(() => {
  const link = snapshot.value?.link ?? "unknown";
  return link === "up" || (link === "unknown" && listed.value === "heard");
});

let shelf: Book<ListRow> | null = null;

async function keep(list: HeldList, isNew: boolean): Promise<void> {
  // An answer that comes after signing out is for nobody.
  if (signedOut.value) return;
  held.value = list;
  const at = list.heardAt;
  await shelf?.change(isNew ? "list" : "heard", () => (isNew ? { key: "list", at, ...list } : { key: "heard", at }));
}

function brought(rows: readonly ListRow[]): HeldList | null {
  const row = rows.find(({ key }) => key === "list");
  if (row?.list === undefined) return null;
  return { list: row.list, tag: row.tag ?? null, heardAt: Math.max(...rows.map(({ at }) => at)) };
}

let looking: Promise<void> | null = null;

/** Asks for the list now; one question at a time. */
export function lookAtList(): Promise<void> {
  looking ??= look().finally(() => {
    looking = null;
  });
  return looking;
}

async function look(): Promise<void> {
  const token = tokenAtHand();
  if (token === null) return;
  const answer = await askList(token, held.value?.tag ?? null);
  if (answer.kind === "away") {
    listed.value = "away";
    return;
  }
  skew.value = skewOf(answer.date, answer.askedAt, answer.heardAt) ?? skew.value;
  listed.value = "heard";
  if (answer.kind === "list") await keep({ list: answer.list, tag: answer.tag, heardAt: answer.heardAt }, true);
  else if (held.value !== null) await keep({ ...held.value, heardAt: answer.heardAt }, false);
}

/** Forgets list and keys, here and on disk. */
export function forgetList(): Promise<void> {
  held.value = null;
  return shelf?.wipe() ?? Promise.resolve();
}

let watching = false;

/** Brings back the list of the last time, and asks for the newest from now on. Opening may fail and be tried again. */
export async function keepKnowing(device: string): Promise<void> {
  shelf ??= new Book<ListRow>(`list-scanner-${device}`);
  await shelf.load();
  held.value = brought(shelf.rows.value) ?? held.value;
  if (watching) return;
  watching = true;
  setInterval(() => {
    now.value = Date.now();
  }, 1_000);
  void (async () => {
    for (;;) {
      await lookAtList().catch(() => undefined);
      // Before the device is enrolled there is nobody to ask as.
      await nudgedOrAfter(tokenAtHand() === null ? 1_000 : gateLimits.listEveryMs);
    }
  })();
}

/** A record's key: sixteen digits alone might pass for a card number, which no key may be. */
const seenKey = (digest: string): string => `d${digest}`;

const old: RecordName[] = [];

/** What an event of the feed does to the records; old ones leave with it, so that they do not grow for ever. */
export const applyTold: Apply = (event) => {
  const remove = old.splice(0, gateLimits.recordsSwept);
  const power = powerPut(event, Date.now());
  if (power !== null) return { remove, put: [power] };
  const said = event.payload;
  if (event.topic !== "gate.seen.v1" || typeof said !== "object" || said === null || Array.isArray(said)) {
    return { remove };
  }
  const { digest, gateId, at } = said;
  if (typeof digest !== "string" || typeof at !== "number") return { remove };
  const value: Seen = typeof gateId === "string" ? { place: gateId, at } : { freed: true, at };
  return { remove, put: [{ collection: SEEN, key: seenKey(digest), value }] };
};

/** Finds the records that are of another night. */
export async function sweep(outbox: Edge): Promise<void> {
  const before = Date.now() - gateLimits.recordsKeptMs;
  for (const collection of [SEEN, LET_IN]) {
    const records = outbox.records<{ at: number }>(collection);
    for (let after = ""; ; ) {
      const page = await records.list(after === "" ? {} : { after });
      for (const { key, value } of page) if (value.at < before) old.push({ collection, key });
      const end = page.at(-1);
      if (end === undefined || page.length < 1_000) break;
      after = end.key;
    }
  }
}

export async function seenOf(outbox: Edge, digest: string): Promise<Seen | null> {
  return (await outbox.records<Seen>(SEEN).get(seenKey(digest))) ?? null;
}

export async function letInHere(outbox: Edge, ticket: string): Promise<First | null> {
  return (await outbox.records<First & { id: string }>(LET_IN).get(ticket)) ?? null;
}
