// The line that is always there: which gate this is, how old its list is, whether its clock can be trusted, and what keeps
// this phone going.
import type { JSX } from "preact";
import type { Identity } from "../../shell/identity.ts";
import { clockIsOff, held, listAge, now, skew } from "./known.ts";
import { minutesSince } from "./list.ts";
import { PowerRow } from "./power.tsx";
import { sound, unlock } from "./sound.ts";
import { backToChecks, stage } from "./stage.ts";
import { words } from "./words/index.ts";

const inkOfAge = { none: "stop", fresh: "good", old: "wait", stale: "stop" } as const;

function ListAge(): JSX.Element {
  const say = words.value.line;
  const list = held.value;
  const minutes = list === null ? 0 : minutesSince(list.heardAt, now.value);
  const text = minutes < 120 ? say.list(minutes) : say.hours(Math.floor(minutes / 60));
  return (
    <span class={`ink-${inkOfAge[listAge.value]}`} data-testid="list-age" data-age={listAge.value}>
      {list === null ? say.noList : text}
    </span>
  );
}

function Clock(): JSX.Element {
  const say = words.value.line;
  const seen = skew.value;
  const off = clockIsOff.value;
  const state = seen === null ? "unknown" : off ? "off" : "good";
  const text = seen !== null && off ? say.clock(Math.round(seen.aheadMs / 1_000)) : say.clockGood;
  return (
    <span class={off ? "ink-stop" : "fine"} data-testid="clock" data-clock={state}>
      {seen === null ? say.clockUnknown : text}
    </span>
  );
}

export function GateLine({ me }: { me: Identity }): JSX.Element {
  const say = words.value;
  const open = stage.value === "open";
  const silent = open && sound.value === "locked";
  return (
    <section class="gate-line">
      <div class="gate-facts">
        <span class="gate-name" data-testid="gate-name">
          {say.line.gate} {me.place}
        </span>
        <span class="gate-ages">
          <ListAge />
          <Clock />
        </span>
      </div>
      {silent && (
        <button type="button" class="tone-warn" data-testid="unmute" onClick={() => void unlock()}>
          {say.line.silent}
        </button>
      )}
      {!silent && open && (
        <button type="button" class="quiet" data-testid="checks" onClick={backToChecks}>
          {say.line.checks}
        </button>
      )}
      <PowerRow />
    </section>
  );
}
