// What is not with the city, as a file for whoever sees to it.
import type { DeadLetter, Owed, OwnEvent } from "conch-edge";
import type { Identity } from "./identity.ts";
import type { Desk } from "./leaving.ts";
import { limits } from "./limits.ts";
import { edge } from "./outbox.ts";

/** Everything of a device that is not with the city. */
interface Unsent {
  device: string;
  place: string;
  unsent: readonly Owed[];
  /** Not in the outbox at all: only the page knows of them. */
  notStored: readonly object[];
  dead: readonly DeadLetter[];
}

function carried({ id, topic, type, key, attempt, payload }: OwnEvent): object {
  return { id, topic, type, key, attempt, payload };
}

/** The events are the ones on disk: sent again, they are the same. */
function fileOf({ device, place, unsent, notStored, dead }: Unsent, exportedAt: string): object {
  return {
    device,
    place,
    exportedAt,
    unsent: unsent.map((row) => ({ ...carried(row), storedAt: row.storedAt, tries: row.tries, unknown: row.unknown })),
    notStored,
    dead: dead.map((row) => ({ ...carried(row), at: row.at, reason: row.reason, problem: row.problem })),
  };
}

export async function exportUnsent(me: Identity, desk: Desk<string>): Promise<void> {
  const outbox = edge.value;
  if (outbox === null) return;
  const [unsent, dead] = await Promise.all([outbox.owed(limits.exported), outbox.deadLetters(limits.exported)]);
  const { device, place } = me;
  const exportedAt = new Date().toISOString();
  const file = fileOf({ device, place, unsent, notStored: desk.notStored(), dead }, exportedAt);
  const address = URL.createObjectURL(new Blob([JSON.stringify(file, null, 2)], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = `conch-${device}-${exportedAt.slice(0, 19).replaceAll(":", "")}.json`;
  link.click();
  // The browser has taken the file up by the next turn.
  setTimeout(() => URL.revokeObjectURL(address));
}
