// What a person decides after the tone: that somebody did not go in after all, or goes in by a supervisor's word. Either is a
// new event that names the scan; nothing is ever taken back.
import type { Identity } from "../../shell/identity.ts";
import { codeOf, edge } from "../../shell/outbox.ts";
import { newEventId } from "./event-id.ts";
import { keep, readAs, replace, show } from "./gate.ts";
import { LET_IN } from "./known.ts";
import { gateLimits } from "./limits.ts";
import { failedResult, mayLetIn, mayTurnAway, type Scan, scannedEvent, type TurnedAway } from "./scan.ts";

/** Nobody went in after all: a new event that says why, and the ticket is free again at this gate. */
export async function turnAway(me: Identity, scan: Scan, why: TurnedAway): Promise<void> {
  const outbox = edge.value;
  if (outbox === null || !mayTurnAway(scan, Date.now(), gateLimits.notLetInMs)) return;
  const { ticket } = scan;
  const turned = { ticket, at: Date.now(), decision: "refused", reason: `not_let_in:${why}` } as const;
  const commit = outbox.commit({
    // Who came with a used ticket leaves it as used as it was.
    ...(!(scan.letIn && scan.first) && { remove: [{ collection: LET_IN, key: ticket }] }),
    emit: [{ ...scannedEvent(me.place, turned), causationId: scan.key }],
  });
  if (!(await isStored(scan, commit))) return;
  readAs(scan.key, null);
  await keep(scan.key, (old) => ({ ...old, notLetIn: why }));
}

/** A supervisor lets somebody in whom the gate did not: a scan of its own, which the city judges like any other. */
export async function letIn(me: Identity, scan: Scan): Promise<void> {
  const outbox = edge.value;
  if (outbox === null || !mayLetIn(scan, Date.now(), gateLimits.letInMs)) return;
  const { ticket, first } = scan;
  const at = Date.now();
  const key = newEventId(at);
  const by = { ticket, at, decision: "admitted", ...(first && { first }) } as const;
  const commit = outbox.commit({
    // A used ticket stays used where it was used first.
    ...(first === undefined && { put: [{ collection: LET_IN, key: ticket, value: { place: me.place, at, id: key } }] }),
    emit: [{ ...scannedEvent(me.place, { ...by, reason: "let_in:supervisor" }), id: key, causationId: scan.key }],
  });
  if (!(await isStored(scan, commit))) return;
  await replace(scan, { ...by, key, state: "saved", letIn: true });
}

/** What is on no disk was not decided, and the screen says so. */
async function isStored(scan: Scan, commit: Promise<unknown>): Promise<boolean> {
  try {
    await commit;
    return true;
  } catch (error) {
    show(failedResult(scan.ticket, codeOf(error)), "stop");
    return false;
  }
}
