// The row of what keeps this phone going: a cut that the city told, else the battery. It is there when it says nothing too,
// so that nothing moves when it speaks.
import type { JSX } from "preact";
import { Glyph } from "../../shell/glyph.tsx";
import { powerLeftS, powerStep } from "../../shell/power.ts";
import { battery, charge, sparing } from "./sparing.ts";
import { words } from "./words/index.ts";

const inkOfCharge = { good: "fine", low: "ink-wait", empty: "ink-stop" } as const;

/** Filled as far as it is charged; a bolt while it is plugged in. */
function BatterySign({ percent, charging }: { percent: number; charging: boolean }): JSX.Element {
  return (
    <svg class="battery-sign" viewBox="0 0 30 14" aria-hidden="true" focusable="false">
      <rect x="1" y="1" width="25" height="12" rx="2.5" fill="none" stroke="currentcolor" stroke-width="2" />
      <path d="M28 5v4" fill="none" stroke="currentcolor" stroke-width="2.5" stroke-linecap="round" />
      {charging ? (
        <path d="M15 2.5L9 8h4l-1 3.5L18 6h-4z" fill="currentcolor" />
      ) : (
        <rect x="3.5" y="3.5" width={percent * 0.2} height="7" fill="currentcolor" />
      )}
    </svg>
  );
}

export function PowerRow(): JSX.Element {
  const say = words.value.power;
  const step = powerStep.value;
  const seen = battery.value;
  const grade = charge.value;
  const notice = step === "shed" ? say.shed(powerLeftS.value) : step === "none" ? "" : say[step];
  // While power goes, that is what is to be read; the battery's figure beside it is enough.
  const advice = step === "none" && grade !== null && grade !== "good" ? say[grade] : "";
  const spoken = step === "shed" ? say.soon : notice;
  return (
    <p class="gate-power" data-testid="gate-power" data-step={step} data-sparing={sparing.value}>
      {notice !== "" && (
        <span class={`gate-notice ink-${step === "restored" ? "good" : "warn"}`} data-testid="power">
          <Glyph tone={step === "restored" ? "good" : "warn"} size="small" />
          {notice}
        </span>
      )}
      {seen !== null && grade !== null && (
        <span
          class={`battery ${inkOfCharge[grade]}`}
          data-testid="battery"
          data-charge={grade}
          data-charging={seen.charging}
        >
          <BatterySign {...seen} />
          <span class="unseen">{say.battery}</span>
          {seen.percent} %<span class="unseen">{seen.charging ? say.charging : ""}</span>
          {advice !== "" && <strong>{advice}</strong>}
        </span>
      )}
      {/* Spoken once for each step, not once a second or once a percent. */}
      <span class="unseen" role="status">
        {spoken === "" ? advice : spoken}
      </span>
    </p>
  );
}
