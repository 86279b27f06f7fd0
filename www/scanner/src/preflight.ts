// What must be well before a gate opens, and what a person can do about it. Pure.
import type { Charge } from "./battery.ts";
import type { Age } from "./list.ts";

/** `dark`: it runs and gives no picture. `broken`: the decoder does not work. */
export type CameraState = "off" | "starting" | "on" | "denied" | "none" | "dark" | "broken";

export const checkNames = ["list", "storage", "camera", "sound", "clock", "link", "battery"] as const;
export type CheckName = (typeof checkNames)[number];

/** `warn`: the gate works with less, and a person may open it all the same. `bad`: it would let in at random, or nothing. */
export type Grade = "good" | "warn" | "bad";

/** The word of each check names the sentence of what is so and what to do. */
export interface Check<Word extends string = string> {
  name: CheckName;
  grade: Grade;
  word: Word;
}

export interface Facts {
  opening: "opening" | "open" | "failed";
  list: { age: Age; keys: number; complete: boolean };
  persisted: boolean | null;
  camera: CameraState;
  sound: "locked" | "on" | "none";
  heard: boolean;
  clock: { known: boolean; off: boolean };
  isUp: boolean;
  /** Null where the browser does not tell. */
  battery: { charge: Charge; charging: boolean } | null;
}

export type CheckWord =
  | "list-none"
  | "list-stale"
  | "list-old"
  | "list-cut"
  | "list-plain"
  | "list-good"
  | "storage-opening"
  | "storage-failed"
  | "storage-good"
  | "storage-lent"
  | `camera-${CameraState}`
  | "sound-none"
  | "sound-untried"
  | "sound-good"
  | "clock-unknown"
  | "clock-off"
  | "clock-good"
  | "link-up"
  | "link-down"
  | `battery-${Charge | "charging"}`;

const check = (name: CheckName, grade: Grade, word: CheckWord): Check<CheckWord> => ({ name, grade, word });

function ofList({ age, keys, complete }: Facts["list"]): Check<CheckWord> {
  if (age === "none") return check("list", "bad", "list-none");
  if (age === "stale") return check("list", "warn", "list-stale");
  if (age === "old") return check("list", "warn", "list-old");
  if (!complete) return check("list", "warn", "list-cut");
  return check("list", "good", keys === 0 ? "list-plain" : "list-good");
}

function ofStorage({ opening, persisted }: Facts): Check<CheckWord> {
  if (opening === "failed") return check("storage", "bad", "storage-failed");
  if (opening === "opening") return check("storage", "bad", "storage-opening");
  return persisted === true ? check("storage", "good", "storage-good") : check("storage", "warn", "storage-lent");
}

function ofSound({ sound, heard }: Facts): Check<CheckWord> {
  if (sound === "none") return check("sound", "warn", "sound-none");
  return sound === "on" && heard ? check("sound", "good", "sound-good") : check("sound", "warn", "sound-untried");
}

function ofClock({ known, off }: Facts["clock"]): Check<CheckWord> {
  if (!known) return check("clock", "warn", "clock-unknown");
  return off ? check("clock", "warn", "clock-off") : check("clock", "good", "clock-good");
}

/** Never red: a phone that dies in an hour lets people in until then. */
function ofBattery(battery: Facts["battery"]): Check<CheckWord>[] {
  if (battery === null) return [];
  const { charge, charging } = battery;
  if (charge !== "good") return [check("battery", "warn", `battery-${charge}`)];
  return [check("battery", "good", charging ? "battery-charging" : "battery-good")];
}

export function checksOf(facts: Facts): Check<CheckWord>[] {
  return [
    ofList(facts.list),
    ofStorage(facts),
    check("camera", facts.camera === "on" ? "good" : "warn", `camera-${facts.camera}`),
    ofSound(facts),
    ofClock(facts.clock),
    facts.isUp ? check("link", "good", "link-up") : check("link", "warn", "link-down"),
    ...ofBattery(facts.battery),
  ];
}

/** `ready`: all green. `anyway`: a person may. `not-yet`: nobody may. */
export function mayOpen(checks: readonly Check[]): "ready" | "anyway" | "not-yet" {
  if (checks.some(({ grade }) => grade === "bad")) return "not-yet";
  return checks.every(({ grade }) => grade === "good") ? "ready" : "anyway";
}
