// What every entry gives; the entries differ only in where they take the wasm from. Importing loads nothing.
import load, { Edge, faulted, __wbg_reset_state as renew } from "./dist/conch.js";

/** The name of the sync event that `deliver` is for. */
const SYNC_TAG = "conch";
/** A wait that a service worker may not live through; the browser calls it again later. */
const SYNC_WAIT_MS = 10_000;
/** A browser ends a service worker after some minutes; what it is told before that it does again. */
const SYNC_LIFE_MS = 120_000;
const SYNC_LOOK_MS = 500;
/** How long a service worker waits to lead before it believes that a page came first. */
const SYNC_LEAD_MS = 5_000;
/** Chromium's log holds 4 MiB at most, which are written out before it goes; and verdicts need room too. */
const LOG_ROOM_BYTES = 8 * 1024 * 1024;
const SCRATCH = "conch:scratch";
/** Nothing more will be sent by itself. */
const AT_REST = ["paused", "needs-attention", "closed"];

/** The face of an entry whose own wasm `own` gets when the caller names none. */
export function face(own) {
  let loading;
  const chosen = new WeakMap();

  const init = (source) => {
    loading ??= load({ module_or_path: source ?? own() }).then(
      () => undefined,
      (error) => {
        // A page that starts without network must be able to try again.
        loading = undefined;
        throw fault("not-loaded", `The wasm of conch-edge could not be loaded: ${error.message}`, error);
      },
    );
    return loading;
  };

  const openLoaded = Edge.open;
  Edge.open = async (options) => {
    // Beside all that follows: nobody waits for it, and what fails leaves the old log, which most often is whole.
    beginLog(options).catch(() => {});
    await init();
    // After a panic the instance is not to be trusted; a fresh one finds everything on disk.
    if (faulted()) renew();
    const edge = await openLoaded.call(Edge, options);
    chosen.set(edge, options);
    if (options.sync) wakeWorker(edge);
    return edge;
  };

  Edge.prototype.reopen = async function () {
    if (!faulted()) {
      try {
        await this.close();
      } catch {
        // Its instance is gone, and it with it.
      }
    }
    return Edge.open(chosen.get(this));
  };

  /** For a service worker's `sync` event: sends what is owed, unless a page does. Rejects while something stays owed. */
  const deliver = async (options) => {
    if (!(await isLeaderless(options))) return;
    const edge = await Edge.open({ ...options, feed: false, sync: false });
    let again;
    try {
      await new Promise((resolve, reject) => {
        const began = Date.now();
        edge.notices(({ kind, detail }) => kind === "fault" && reject(fault("fault", detail)));
        const look = () => {
          const { backlog, nextWakeAt, whyNotSending } = edge.snapshot();
          const late = nextWakeAt > Date.now() + SYNC_WAIT_MS || Date.now() > began + SYNC_LIFE_MS;
          if (backlog === 0 || AT_REST.includes(whyNotSending)) resolve();
          // Whoever took the lead meanwhile sends.
          else if (whyNotSending === "not-leader") Date.now() > began + SYNC_LEAD_MS && resolve();
          else if (late && whyNotSending !== "sending") reject(fault("owed", `${backlog} events are still owed.`));
        };
        edge.subscribe(look);
        // What time alone changes nobody tells.
        again = setInterval(look, SYNC_LOOK_MS);
      });
    } finally {
      clearInterval(again);
      // After a panic there is nothing left to close.
      if (!faulted()) await edge.close();
    }
  };

  return { Edge, init, deliver };
}

/** Asks the browser to wake the origin's service worker once there is a network, whenever something begins to be owed. */
function wakeWorker(edge) {
  let owes = false;
  edge.subscribe(({ backlog }) => {
    if (backlog > 0 && !owes) {
      // Without a worker or Background Sync there is nobody to wake, and nothing is lost.
      navigator.serviceWorker?.ready.then((worker) => worker.sync?.register(SYNC_TAG)).catch(() => {});
    }
    owes = backlog > 0;
  });
}

/** Whether no context of the origin leads this outbox. Without Web Locks nobody can tell. */
async function isLeaderless({ database, device }) {
  const free = (lock) => lock !== null;
  const name = `conch:${database ?? `conch-${device}`}`;
  return navigator.locks?.request(name, { ifAvailable: true }, free) ?? true;
}

/**
 * Has Chromium begin a new log for its databases. A kill may leave the log with the head of a record alone; what Chromium
 * appends behind that costs the whole outbox at a later opening (docs/engines.md). To delete a database, even an empty one,
 * it compacts, and to compact it begins a new log.
 */
async function beginLog(options) {
  // No feature tells how databases are kept. Elsewhere this would be of no use and do no harm.
  if (!/Chrom(e|ium)\//.test(navigator.userAgent)) return;
  // Whoever leads has done it since the browser was started.
  if (!(await isLeaderless(options))) return;
  const { usage = 0, quota = Infinity } = (await navigator.storage?.estimate()) ?? {};
  // What compacting it sets off may write everything once more before the old goes.
  if (quota < 2 * usage + LOG_ROOM_BYTES) return;
  const opening = indexedDB.open(SCRATCH);
  opening.onsuccess = () => {
    const scratch = opening.result;
    scratch.close();
    // Only what was made here goes.
    if (scratch.objectStoreNames.length === 0) indexedDB.deleteDatabase(SCRATCH);
  };
}

/** An error like those from inside. All that come from here may go away by themselves. */
function fault(code, message, cause) {
  return Object.assign(new Error(message, { cause }), { name: "ConchError", code, retryable: true });
}

export function isConchError(error) {
  return error instanceof Error && error.name === "ConchError";
}
