// The notice that power goes: a countdown, and what it means for what is unsent. It takes the place of the gauge, which is
// as high, so that nothing moves under a finger when it comes.
import type { JSX } from "preact";
import { words } from "../../shell/words/index.ts";
import { power, powerLeftS, putPowerAway } from "./told.ts";

export function PowerNotice(): JSX.Element {
  const told = power.value;
  const say = words.value.pos.power;
  const left = powerLeftS.value;
  const step = told === null ? "none" : told.state === "restored" ? "restored" : left > 0 ? "shed" : "gone";
  const title = step === "shed" ? say.shed(left) : step === "gone" ? say.gone : say.restored;
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
