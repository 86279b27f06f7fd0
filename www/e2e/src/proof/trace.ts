// What strace wrote about flushes: `-f -y -ttt`, so each line has its thread, the time and the file's path.

/** A flush of a file, from its call to its return, in ms of the system's clock. */
export interface Flush {
  file: string;
  began: number;
  ended: number;
}

const WHOLE = /^(\d+) +(\d+\.\d+) f(?:data)?sync\(\d+<([^>]*)>\) += 0(?: \(DELAYED\))? <(\d+\.\d+)>/;
const CALLED = /^(\d+) +(\d+\.\d+) f(?:data)?sync\(\d+<([^>]*)> <unfinished/;
const RETURNED = /^(\d+) +(\d+\.\d+) <\.\.\. f(?:data)?sync resumed>.*\) += 0(?: |$)/;

/**
 * Those that succeeded. strace writes when the system was done; whoever asked for the flush heard of it only after it had
 * been held up.
 */
export function flushesIn(trace: string, heldUpMs: number): Flush[] {
  const flushes: Flush[] = [];
  const called = new Map<string, { file: string; began: number }>();
  for (const line of trace.split("\n")) {
    const [, , at = "", file = "", took = ""] = WHOLE.exec(line) ?? [];
    const [, caller = "", when = "", path = ""] = CALLED.exec(line) ?? [];
    const [, thread = "", end = ""] = RETURNED.exec(line) ?? [];
    if (at !== "") flushes.push({ file, began: ms(at), ended: ms(at) + ms(took) + heldUpMs });
    if (caller !== "") called.set(caller, { file: path, began: ms(when) });
    const begun = called.get(thread);
    if (begun !== undefined) {
      flushes.push({ ...begun, ended: ms(end) + heldUpMs });
      called.delete(thread);
    }
  }
  return flushes;
}

function ms(seconds: string): number {
  return Number(seconds) * 1_000;
}
