// The page's one Edge and what it says, as signals. Opening may fail (no wasm yet, no storage) and be tried again.
import { computed, signal } from "@preact/signals";
import {
  type DeadLetter,
  Edge,
  isConchError,
  type Notice,
  type OpenOptions,
  type Receipt,
  type Snapshot,
} from "conch-edge";
import { nudge } from "./events.ts";
import { credentials, enrolment, type Identity } from "./identity.ts";
import { limits } from "./limits.ts";

/** `open` once the outbox and the page's own book are both there: only then may a person begin. */
export type Opening = { step: "opening" } | { step: "open" } | { step: "failed"; code: string };

export const opening = signal<Opening>({ step: "opening" });
export const snapshot = signal<Snapshot | null>(null);
export const deadLetters = signal<readonly DeadLetter[]>([]);
/** The last trouble a person should read about; the link has its own place. */
export const trouble = signal<Notice | null>(null);
export const edge = signal<Edge | null>(null);
export const ready = computed(() => opening.value.step === "open");

/** What a person did with a dead letter; the page's own row must follow. */
export interface LetterFollower {
  redriven(letter: DeadLetter, receipt: Receipt): Promise<void>;
  discarded(letter: DeadLetter): Promise<void>;
}

let follower: LetterFollower | null = null;

export function followLetters(page: LetterFollower): void {
  follower = page;
}

export function codeOf(error: unknown): string {
  return isConchError(error) ? error.code : "fault";
}

export async function readDeadLetters(): Promise<void> {
  if (edge.value !== null) deadLetters.value = await edge.value.deadLetters(limits.deadShown);
}

function heard(next: Snapshot): void {
  const before = snapshot.value;
  snapshot.value = next;
  if (before?.dead !== next.dead) void readDeadLetters().catch(() => undefined);
  if (next.link === "up" && before?.link !== "up") nudge();
}

/** What the city's words do to the page's records; the SDK's own hook. */
export type Apply = NonNullable<OpenOptions["apply"]>;

/** Opens the outbox; call again after a failure. */
export async function openOutbox(me: Identity, opened: (edge: Edge) => Promise<void>, apply?: Apply): Promise<void> {
  opening.value = { step: "opening" };
  try {
    const fresh = await Edge.open({
      city: "/",
      device: me.device,
      credentials: () => credentials(me),
      ...(apply && { apply }),
    });
    edge.value = fresh;
    fresh.notices((notice) => {
      // Link and dead letters have places of their own, and how an order stands this page asks for itself.
      const elsewhere = ["link", "dead-letter", "feed"].includes(notice.kind);
      if (!elsewhere) trouble.value = notice;
    });
    fresh.subscribe(heard);
    sendOnceEnrolled(fresh);
    await readDeadLetters();
    await opened(fresh);
    opening.value = { step: "open" };
  } catch (error) {
    // The screen says it in plain words; the cause is for whoever is called to help.
    console.error("the outbox did not open", error);
    // A second try opens its own; two would only wait for each other.
    await edge.value?.close().catch(() => undefined);
    edge.value = null;
    opening.value = { step: "failed", code: codeOf(error) };
  }
}

/** What waited for a credential need not wait for the next look. */
function sendOnceEnrolled(outbox: Edge): void {
  let before = enrolment.peek();
  enrolment.subscribe((now) => {
    if (now === "enrolled" && before !== "enrolled") outbox.flush();
    before = now;
  });
}

export function sendNow(): void {
  edge.value?.flush();
  nudge();
}

export async function redrive(letter: DeadLetter): Promise<void> {
  if (edge.value === null) return;
  const receipt = await edge.value.redrive(letter.sequence);
  await follower?.redriven(letter, receipt);
  await readDeadLetters();
}

export async function discard(letter: DeadLetter, reason: string): Promise<void> {
  if (edge.value === null) return;
  await edge.value.discard(letter.sequence, reason);
  await follower?.discarded(letter);
  await readDeadLetters();
}
