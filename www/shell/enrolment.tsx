// The card that says how this device stands with the city. Shown only while it has no token.
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { codeAtHand, enrolment, type Identity, redeem } from "./identity.ts";
import { words } from "./words/index.ts";

type Steps = { offline: string; code: string };

const typedCode = signal<string | null>(null);

/** `instead`: what a page says that keeps nothing until it is enrolled. */
export function EnrolmentCard({ me, instead }: { me: Identity; instead?: Steps }): JSX.Element | null {
  const step = enrolment.value;
  if (step === "enrolled") return null;
  const say = words.value.enrol;
  const needsCode = step === "code" || step === "wrong-code" || codeAtHand.value !== "";
  const steps = { asking: say.asking, offline: say.offline, code: say.code, "wrong-code": say.wrongCode, ...instead };
  const text = steps[step];
  const code = typedCode.value ?? codeAtHand.value;
  return (
    <section class="note" data-testid="enrolment" data-step={step}>
      <p role="status">{text}</p>
      {needsCode && (
        <form
          class="pair"
          onSubmit={(event) => {
            event.preventDefault();
            if (code !== "") void redeem(me, code);
            typedCode.value = null;
          }}
        >
          <input
            aria-label={say.label}
            placeholder={say.label}
            data-testid="enrol-code"
            autocomplete="one-time-code"
            autocapitalize="off"
            spellcheck={false}
            value={code}
            onInput={(event) => {
              typedCode.value = event.currentTarget.value;
            }}
          />
          <button type="submit" class="plain" data-testid="enrol-submit">
            {say.submit}
          </button>
        </form>
      )}
    </section>
  );
}
