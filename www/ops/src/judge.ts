// What the board makes of what the city says. Pure: what is wrong, what is merely old, and how things are put in order.
import type { Tone } from "../../shell/glyph.tsx";
import { limits } from "./limits.ts";
import type { Alert, Board, Circuit, Device, Stage } from "./shapes.ts";

/** How a device stands, the worst first. Nothing here says that a device is reachable: only when it was heard. */
export type Standing = "cloned" | "gap" | "owes-and-quiet" | "silent" | "quiet" | "heard";

export function standingOf(device: Device, now: number): Standing {
  if (device.clone !== null) return "cloned";
  if (device.missing > 0) return "gap";
  const age = now - device.heardAt;
  if (age >= limits.quietMs && (device.owed ?? 0) > 0) return "owes-and-quiet";
  if (age >= limits.silentMs) return "silent";
  return age >= limits.quietMs ? "quiet" : "heard";
}

export const toneOf: Record<Standing, Tone> = {
  cloned: "stop",
  gap: "stop",
  "owes-and-quiet": "warn",
  silent: "doubt",
  quiet: "wait",
  heard: "good",
};

const worstFirst = Object.keys(toneOf);

/** What is wrong first, then whoever was heard last. */
export function inOrder(devices: readonly Device[], now: number): Device[] {
  const rank = (device: Device): number => worstFirst.indexOf(standingOf(device, now));
  const urgent = (device: Device): number => Math.min(rank(device), worstFirst.indexOf("silent"));
  return [...devices].sort((a, b) => urgent(a) - urgent(b) || b.heardAt - a.heardAt || (a.device < b.device ? -1 : 1));
}

/** What a person should look at, each by its count. */
export interface Matters {
  missing: number;
  clones: number;
  deadLetters: number;
  stuck: number;
  doubles: number;
  overdue: number;
  shed: number;
}

export function stageOf(board: Board, state: string): Stage {
  return board.sagas.find((stage) => stage.state === state) ?? { state, total: 0, list: [] };
}

export function mattersOf(board: Board): Matters {
  return {
    missing: board.missing,
    clones: board.devices.list.filter((device) => device.clone !== null).length,
    deadLetters: board.deadLetters.total,
    stuck: stageOf(board, "stuck").total,
    doubles: board.doubleAdmissions.total,
    overdue: board.units.reduce((sum, unit) => sum + unit.overdue, 0),
    shed: board.circuits.reduce((sum, circuit) => sum + shedOf(circuit).length, 0),
  };
}

/** Money that was taken twice and has not gone back. */
export function notGivenBack(board: Board): number {
  return ["found", "commanded", "stuck"].reduce((sum, state) => sum + stageOf(board, state).total, 0);
}

export function lastMinute(board: Board): number {
  return board.throughput.topics.reduce((sum, flow) => sum + flow.lastMinute, 0);
}

export function shedOf(circuit: Circuit): Circuit["stalls"] {
  return circuit.stalls.filter((stall) => stall.shedAt !== null);
}

export function toneOfCircuit(circuit: Circuit): Tone {
  if (circuit.carriedWatts > circuit.limitWatts) return "stop";
  if (circuit.carriedWatts > circuit.shedAboveWatts) return "warn";
  return shedOf(circuit).length > 0 ? "wait" : "good";
}

/** Raised alerts that a later one of the same name and key has cleared. The list is newest first. */
export function clearedLater(alerts: readonly Alert[]): ReadonlySet<string> {
  const open = new Set<string>();
  const over = new Set<string>();
  for (const alert of alerts) {
    const name = `${alert.data.alert} ${alert.key}`;
    if (alert.kind === "cleared") open.add(name);
    else if (open.delete(name)) over.add(alert.id);
  }
  return over;
}

/** Devices whose names differ only in their last digits stand in one area. */
export function areasOf(devices: readonly Device[]): string[] {
  const counts = new Map<string, number>();
  for (const { device, role } of devices) {
    const area = device.replace(/[0-9]+$/, "");
    if (role !== "ops" && area !== device && area !== "") counts.set(area, (counts.get(area) ?? 0) + 1);
  }
  return [...counts]
    .filter(([, count]) => count > 1)
    .map(([area]) => area)
    .sort();
}

/** The devices a lever is about: one, all of an area (`gate-n*`), or all (`*`, which is the city's own word). */
export function devicesOf(scope: string, devices: readonly Device[]): string[] {
  if (scope === "*" || !scope.endsWith("*")) return [scope];
  const area = scope.slice(0, -1);
  return devices
    .map(({ device }) => device)
    .filter((device) => device.startsWith(area) && /^[0-9]+$/.test(device.slice(area.length)));
}

export interface Age {
  unit: "s" | "min" | "h" | "d";
  count: number;
}

/** An age as people say it, rounded down: never younger than one unit less. */
export function ageOf(ms: number): Age {
  const s = Math.max(0, Math.floor(ms / 1_000));
  if (s < 120) return { unit: "s", count: s };
  if (s < 7_200) return { unit: "min", count: Math.floor(s / 60) };
  if (s < 172_800) return { unit: "h", count: Math.floor(s / 3_600) };
  return { unit: "d", count: Math.floor(s / 86_400) };
}
