// Who this page is: its device name, its token, and how it comes by one. Without a token it still opens and stores.
import { signal } from "@preact/signals";
import { enrolForDevelopment, enrolWithCode } from "./city.ts";
import { nudge, nudgedOrAfter, rung } from "./events.ts";
import { limits } from "./limits.ts";
import { forget, recall, remember } from "./store.ts";

export type PageName = "scanner" | "pos" | "ops";

const kinds = {
  scanner: { prefix: "gate", role: "gate" },
  pos: { prefix: "stall", role: "vendor" },
  ops: { prefix: "ops", role: "ops" },
} as const;

/** `offline`: no city answered yet. `code`: the city wants a one-time code. `wrong-code`: it refused the one given. */
export type Enrolment = "enrolled" | "asking" | "offline" | "code" | "wrong-code";

export interface Identity {
  page: PageName;
  device: string;
  role: string;
  /** Place shown to others: the gate's or stall's name. */
  place: string;
}

export const enrolment = signal<Enrolment>("asking");
/** A code from the page's address that could not be used yet. */
export const codeAtHand = signal("");

let token: string | null = null;
let given: string | null = null;
let enrolling: Promise<void> | null = null;
/** Signed out: until it is opened again this page asks for no token and takes none. */
let left = false;

const tokenName = (device: string): string => `conch.token.${device}`;

function cleanDevice(name: string | null): string | null {
  const clean = (name ?? "")
    .toLowerCase()
    .replace(/[^a-z0-9-]/g, "")
    .slice(0, 64);
  return clean === "" ? null : clean;
}

function mintedDevice(prefix: string): string {
  const letters = "23456789abcdefghjkmnpqrstuvwxyz";
  const drawn = crypto.getRandomValues(new Uint8Array(4));
  return `${prefix}-${Array.from(drawn, (byte) => letters.charAt(byte % letters.length)).join("")}`;
}

/** Reads `?device=`, `?place=` and `#enrol=`; what was read once is remembered. */
export function identify(page: PageName): Identity {
  const asked = new URL(location.href).searchParams;
  const { prefix, role } = kinds[page];
  const device = cleanDevice(asked.get("device")) ?? recall(`conch.${page}.device`) ?? mintedDevice(prefix);
  remember(`conch.${page}.device`, device);
  const place = cleanDevice(asked.get("place")) ?? recall(`conch.${page}.place`) ?? device;
  if (asked.has("place")) remember(`conch.${page}.place`, place);

  const code = new URLSearchParams(location.hash.slice(1)).get("enrol");
  if (code) {
    codeAtHand.value = code;
    // A one-time code does not belong in a history entry or a shared screenshot.
    history.replaceState(null, "", location.pathname + location.search);
  }
  token = recall(tokenName(device));
  if (token !== null) enrolment.value = "enrolled";
  return { page, device, role, place };
}

export function tokenAtHand(): string | null {
  return token;
}

function leave(): void {
  token = null;
  left = true;
}

/** Signs out: this page and every other one of the device has no token any more. */
export function forgetToken(me: Identity): void {
  leave();
  forget(tokenName(me.device));
}

/** Where it stood is the market's affair; its name is needed for the outbox on disk. */
export function forgetPlace(me: Identity): void {
  forget(`conch.${me.page}.place`);
}

/** Calls when another tab signed out. */
export function onSignedOut(me: Identity, follow: () => void): void {
  addEventListener("storage", (event) => {
    if (event.key !== tokenName(me.device) || event.newValue !== null) return;
    leave();
    follow();
  });
}

function adopt(me: Identity, fresh: string): void {
  if (left) return;
  token = fresh;
  remember(tokenName(me.device), fresh);
  codeAtHand.value = "";
  enrolment.value = "enrolled";
  nudge();
}

/** Redeems a one-time code typed by a person or found in the address. */
export async function redeem(me: Identity, code: string): Promise<void> {
  enrolment.value = "asking";
  const answer = await enrolWithCode(code.trim(), me.device);
  if (answer.kind === "found") return adopt(me, answer.value.token);
  if (answer.kind === "away") {
    codeAtHand.value = code;
    enrolment.value = "offline";
    return;
  }
  codeAtHand.value = "";
  enrolment.value = "wrong-code";
}

async function enrolOnce(me: Identity): Promise<void> {
  if (codeAtHand.value !== "") return redeem(me, codeAtHand.value);
  const answer = await enrolForDevelopment(me.device, me.role);
  if (answer.kind === "found") adopt(me, answer.value.token);
  else if (answer.kind === "away") enrolment.value = "offline";
  else if (enrolment.value !== "wrong-code") enrolment.value = "code";
}

function enrol(me: Identity): Promise<void> {
  if (left) return Promise.resolve();
  enrolling ??= enrolOnce(me).finally(() => {
    enrolling = null;
  });
  return enrolling;
}

/** Tries until there is a token or the city asks for a code; from then on it is a person's turn. */
export async function keepEnrolling(me: Identity): Promise<void> {
  if (token !== null && codeAtHand.value !== "") await enrol(me);
  for (let step = 0; token === null && !left; step += 1) {
    await enrol(me);
    if (token === null && enrolment.value !== "offline") return;
    if (token === null) await nudgedOrAfter(rung(limits.enrolAgainMs, step));
  }
}

/** The SDK's credentials. Being asked a second time means that the city refused the first answer. */
export async function credentials(me: Identity): Promise<string | null> {
  if (token === null || token === given) await enrol(me);
  given = token;
  return token;
}
