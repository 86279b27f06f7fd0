// Signing out and handing over. Nobody signs out while something is owed or undecided, and what is asked of disk is asked
// at that very moment, not what the screen last showed.
import { computed, signal } from "@preact/signals";
import type { DeadLetter, OwnEvent } from "conch-edge";
import { forgetToken, type Identity, onSignedOut } from "../../shell/identity.ts";
import { codeOf, edge, snapshot } from "../../shell/outbox.ts";
import { isEmpty } from "./cart.ts";
import { draft, sales, wipeDesk } from "./desk.ts";
import { limits } from "./limits.ts";
import { hindrances, type Left } from "./night.ts";

export const signedOut = signal(false);
export const signOutFailure = signal<string | null>(null);

export const left = computed<Left>(() => ({
  unsent: snapshot.value?.backlog ?? 0,
  dead: snapshot.value?.dead ?? 0,
  begun: sales.value.filter((sale) => sale.state === "begun").length,
  open: !isEmpty(draft.value),
}));

/** Erases token and list, unless something is left to do. What the outbox keeps stays with the outbox. */
export async function signOut(me: Identity): Promise<void> {
  const outbox = edge.value;
  if (outbox === null) return;
  signOutFailure.value = null;
  try {
    const [owed, letters] = await Promise.all([outbox.owed(1), outbox.deadLetters(1)]);
    const onDisk = { ...left.value, unsent: owed.length, dead: letters.length };
    if (hindrances(onDisk).length > 0 || hindrances(left.value).length > 0) return;
    signedOut.value = true;
    await outbox.close();
    edge.value = null;
    forgetToken(me);
    await wipeDesk();
  } catch (error) {
    signedOut.value = false;
    signOutFailure.value = codeOf(error);
  }
}

/** Another tab of this till signed out: so has this one. */
export function followSignOut(me: Identity): void {
  onSignedOut(me, () => {
    signedOut.value = true;
    void edge.value?.close().catch(() => undefined);
    edge.value = null;
  });
}

function carried({ id, topic, type, key, attempt, payload }: OwnEvent): object {
  return { id, topic, type, key, attempt, payload };
}

/** What is not with the city, as a file for whoever sees to it. The events are the ones on disk: sent again, they are the same. */
export async function exportUnsent(me: Identity): Promise<void> {
  const outbox = edge.value;
  if (outbox === null) return;
  const [unsent, dead] = await Promise.all([outbox.owed(limits.exported), outbox.deadLetters(limits.exported)]);
  const file = {
    device: me.device,
    place: me.place,
    exportedAt: new Date().toISOString(),
    unsent: unsent.map((row) => ({ ...carried(row), storedAt: row.storedAt, tries: row.tries, unknown: row.unknown })),
    // Not in the outbox at all: only this list knows of them.
    notStored: sales.value.filter((sale) => sale.state === "begun"),
    dead: dead.map((row: DeadLetter) => ({ ...carried(row), at: row.at, reason: row.reason, problem: row.problem })),
  };
  const address = URL.createObjectURL(new Blob([JSON.stringify(file, null, 2)], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = `conch-${me.device}-${file.exportedAt.slice(0, 19).replaceAll(":", "")}.json`;
  link.click();
  // The browser has taken the file up by the next turn.
  setTimeout(() => URL.revokeObjectURL(address));
}
