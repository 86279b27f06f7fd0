// The notice that power goes: a countdown, and what it means for what is unsent. It takes the place of the gauge, which is
// as high, so that nothing moves under a finger when it comes.
import type { JSX } from "preact";
import { powerLeftS, powerStep, putPowerAway } from "../../shell/power.ts";
import { words } from "./words/index.ts";

export function PowerNotice(): JSX.Element {
  const say = words.value.power;
  const step = powerStep.value;
  const title = step === "shed" ? say.shed(powerLeftS.value) : step === "gone" ? say.gone : say.restored;
  const hint = step === "shed" ? say.shedHint : step === "gone" ? say.goneHint : say.restoredHint;
  return (
    <>
      {step !== "none" && (
        <section
          class={`note power ${step === "restored" ? "tone-good" : "tone-warn"}`}
          data-testid="power"
          data-step={step}
        >
          <p>
            <strong class="countdown">{title}</strong>
            <span>{hint}</span>
          </p>
          <button type="button" class="on-tone" data-testid="power-close" onClick={putPowerAway}>
            {say.close}
          </button>
        </section>
      )}
      {/* Spoken once for each step, not once a second. */}
      <p class="unseen" role="status">
        {step === "none" ? "" : step === "shed" ? say.shedHint : title}
      </p>
    </>
  );
}
