// What keeps a person from signing out, and the file for whoever sees to it. Pure.
import type { DeadLetter, Owed, OwnEvent } from "conch-edge";

/** What every page may leave behind: events the city has not judged, and dead letters nobody has decided about. */
export type Owing = "unsent" | "dead";

/** How much of what hinders, the gravest first. */
export function hindrances<Word extends string>(left: Readonly<Record<Word, number>>): readonly Word[] {
  return (Object.keys(left) as Word[]).filter((word) => left[word] > 0);
}

/** Everything of a device that is not with the city. */
export interface Unsent {
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
export function fileOf({ device, place, unsent, notStored, dead }: Unsent, exportedAt: string): object {
  return {
    device,
    place,
    exportedAt,
    unsent: unsent.map((row) => ({ ...carried(row), storedAt: row.storedAt, tries: row.tries, unknown: row.unknown })),
    notStored,
    dead: dead.map((row) => ({ ...carried(row), at: row.at, reason: row.reason, problem: row.problem })),
  };
}
