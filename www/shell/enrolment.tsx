// The note that says how this device stands with the city. Shown only while it has no token and a person must know.
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { codeAtHand, enrolment, type Identity, redeem } from "./identity.ts";
import { words } from "./words/index.ts";

type Steps = { offline: string; code: string };

const typedCode = signal<string | null>(null);
/** A person works first and enrols later; the note shrinks to one line. */
const later = signal(false);

function CodeForm({ me }: { me: Identity }): JSX.Element {
  const say = words.value.enrol;
  const code = typedCode.value ?? codeAtHand.value;
  return (
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
  );
}

/** `instead`: what a page says that keeps nothing until it is enrolled. */
export function EnrolmentCard({ me, instead }: { me: Identity; instead?: Steps }): JSX.Element | null {
  const begun = useRef(false);
  const step = enrolment.value;
  // The first asking takes a moment and usually ends well: no note that comes and goes.
  if (step === "enrolled" || (step === "asking" && !begun.current)) return null;
  begun.current = true;
  const say = words.value.enrol;
  const needsCode = step === "code" || step === "wrong-code" || codeAtHand.value !== "";
  const steps = { asking: say.asking, offline: say.offline, code: say.code, "wrong-code": say.wrongCode, ...instead };
  const text = steps[step];
  const set = (wish: boolean) => (): void => {
    later.value = wish;
  };
  return (
    <section class="note" data-testid="enrolment" data-step={step}>
      {later.value ? (
        <button type="button" class="plain wide" data-testid="enrolment-open" onClick={set(false)}>
          {say.notYet}
        </button>
      ) : (
        <>
          <p role="status">{text}</p>
          {needsCode && <CodeForm me={me} />}
          <button type="button" class="quiet wide" data-testid="enrolment-later" onClick={set(true)}>
            {say.later}
          </button>
        </>
      )}
    </section>
  );
}
