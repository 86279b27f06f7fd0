// The fuel gauge of the caps, and the way to the list of what is unsent. Always there, so that nothing moves when it fills.
import { Fragment, type JSX } from "preact";
import { money } from "../../shell/figures.ts";
import type { Tone } from "../../shell/glyph.tsx";
import { snapshot } from "../../shell/outbox.ts";
import type { Cap, Gauge, Level } from "./caps.ts";
import { limits } from "./limits.ts";
import { fuel } from "./owing.ts";
import { showUnsent } from "./unsent.tsx";
import { words } from "./words/index.ts";

const toneOf: Record<Level, Tone> = { calm: "good", half: "wait", high: "warn", full: "stop" };
const INSIDE = { left: 3, width: 50 };

function Tank({ filled, level }: Gauge): JSX.Element {
  return (
    <svg class={`tank ink-${toneOf[level]}`} viewBox="0 0 62 28" aria-hidden="true" focusable="false">
      <rect class="tank-wall" x="1.5" y="1.5" width="53" height="25" rx="5" />
      <rect class="tank-cap" x="57" y="9" width="4" height="10" rx="1.5" />
      <rect class="tank-fill" x={INSIDE.left} y="3" width={INSIDE.width * filled} height="22" rx="3" />
      {[limits.gaugeHalf, limits.gaugeHigh].map((share) => (
        <path key={share} class="tank-mark" d={`M${INSIDE.left + INSIDE.width * share} 3v6`} />
      ))}
    </svg>
  );
}

/** Whole dollars without their sign: three figures have to fit on a small phone. */
function dollarsOf(minor: number): string {
  return money(minor).replace("NT$", "");
}

function wordsOf({ count, total, leftMs }: Gauge): readonly string[] {
  const say = words.value.gauge;
  const minutes = Math.ceil(leftMs / 60_000);
  const left = leftMs === 0 ? say.over : say.left(Math.trunc(minutes / 60), minutes % 60);
  return [say.count(count, limits.capCount), say.total(dollarsOf(total), dollarsOf(limits.capTotal)), left];
}

export function FuelGauge(): JSX.Element {
  const say = words.value.gauge;
  const seen = fuel.value;
  return (
    <button
      type="button"
      class="fuel plain"
      data-testid="fuel"
      data-level={seen.level}
      data-count={seen.count}
      data-total={seen.total}
      aria-haspopup="dialog"
      title={say.open}
      onClick={showUnsent}
    >
      <Tank {...seen} />
      <span class="fuel-words">
        <span class="unseen">
          {say.label} {seen.level !== "calm" && say[seen.level]}{" "}
        </span>
        {wordsOf(seen).map((part, place) => (
          <Fragment key={part}>
            {place > 0 && " · "}
            <span class="unbroken">{part}</span>
          </Fragment>
        ))}
      </span>
      <span class="fuel-unsent" data-testid="unsent-count">
        {say.unsent(snapshot.value?.backlog ?? 0)}
      </span>
    </button>
  );
}

/** Why the sale on the screen must wait, and what to do next. */
export function CapNote({ cap }: { cap: Cap }): JSX.Element {
  const say = words.value.cap;
  const why: Record<Cap, string> = {
    sale: say.sale(money(limits.capSale)),
    count: say.count(limits.capCount),
    total: say.total(money(limits.capTotal)),
    age: say.age,
  };
  return (
    <p class="note" role="alert" data-testid="cap" data-cap={cap}>
      <strong>{why[cap]}</strong> {say.next}
    </p>
  );
}
