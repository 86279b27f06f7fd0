// The sheet at the end of the work, whose content each page brings later, and the screen that is left then.
import { signal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { Glyph } from "./glyph.tsx";
import { signOutFailure } from "./leaving.ts";
import { Sheet } from "./sheet.tsx";
import { words } from "./words/index.ts";

export const leavingShown = signal(false);

/** The button that opens it, in a quiet place of the page. */
export function LeavingButton({ name, label }: { name: string; label: string }): JSX.Element {
  const show = (): void => {
    signOutFailure.value = null;
    leavingShown.value = true;
  };
  return (
    <button type="button" class="quiet wide" data-testid={name} aria-haspopup="dialog" onClick={show}>
      {label}
    </button>
  );
}

/** `name` is the sheet's own, `children` what the page counts and asks. */
export function LeavingSheet(props: { name: string; title: string; children: ComponentChildren }): JSX.Element {
  const { name, title, children } = props;
  return (
    <Sheet open={leavingShown} name={name} title={title} close={words.value.leaving.close}>
      {children}
    </Sheet>
  );
}

export function SignedOut({ hint }: { hint: string }): JSX.Element {
  const say = words.value.leaving;
  return (
    <section class="card tone-calm" data-testid="signed-out">
      <div class="card-word">
        <Glyph tone="good" size="large" />
        <p class="word">{say.done}</p>
        <p class="hint" role="status">
          {signOutFailure.value === null ? hint : say.notWiped}
        </p>
      </div>
      <button type="button" class="on-tone wide tall" data-testid="start-again" onClick={() => location.reload()}>
        {say.start}
      </button>
    </section>
  );
}
