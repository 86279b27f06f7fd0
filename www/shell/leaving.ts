// Signing out. Nobody signs out while something is owed or undecided, and what is asked of disk is asked
// at that very moment, not what the screen last showed.
import { computed, type ReadonlySignal, signal } from "@preact/signals";
import { hindrances, type Owing } from "./hindrances.ts";
import { forgetToken, type Identity, onSignedOut } from "./identity.ts";
import { codeOf, edge, snapshot } from "./outbox.ts";

export const signedOut = signal(false);
export const signOutFailure = signal<string | null>(null);

/** What a page has of its own besides the outbox. */
export interface Desk<Own extends string> {
  /** How much of it is not done, the gravest first. */
  left: ReadonlySignal<Readonly<Record<Own, number>>>;
  /** What is in no outbox yet, for the file. */
  notStored: () => readonly object[];
  /** Erases what the page keeps. Every tab does it, so that none writes after the last one wiped. */
  wipe: () => Promise<void>;
}

export const owing = computed<Readonly<Record<Owing, number>>>(() => ({
  unsent: snapshot.value?.backlog ?? 0,
  dead: snapshot.value?.dead ?? 0,
}));

/** Erases token and list, unless something is left to do. What the outbox keeps stays with the outbox. */
export async function signOut(me: Identity, desk: Desk<string>): Promise<void> {
  const outbox = edge.value;
  if (outbox === null) return;
  signOutFailure.value = null;
  try {
    const [owed, letters] = await Promise.all([outbox.owed(1), outbox.deadLetters(1)]);
    const onDisk = { unsent: owed.length, dead: letters.length };
    if ([onDisk, owing.value, desk.left.value].some((left) => hindrances(left).length > 0)) return;
    signedOut.value = true;
    await outbox.close();
  } catch (error) {
    signedOut.value = false;
    signOutFailure.value = codeOf(error);
    return;
  }
  edge.value = null;
  forgetToken(me);
  await wipe(desk);
}

/** Without its token there is no way back: what could not be erased is told, and the next sign-out erases it. */
async function wipe(desk: Desk<string>): Promise<void> {
  await desk.wipe().catch((error) => {
    signOutFailure.value = codeOf(error);
  });
}

/** Another tab of this device signed out: so has this one. */
export function followSignOut(me: Identity, desk: Desk<string>): void {
  onSignedOut(me, () => {
    signedOut.value = true;
    void edge.value?.close().catch(() => undefined);
    edge.value = null;
    void wipe(desk);
  });
}
