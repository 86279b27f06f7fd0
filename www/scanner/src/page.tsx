// The gate's screen: the checks before it opens; then camera, a field for codes, one big result, and the last scans.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { shortKey } from "../../shell/figures.ts";
import { Glyph } from "../../shell/glyph.tsx";
import type { Identity } from "../../shell/identity.ts";
import { later } from "../../shell/later.tsx";
import { signedOut } from "../../shell/leaving.ts";
import { LeavingButton, LeavingSheet, SignedOut } from "../../shell/leaving.tsx";
import { limits } from "../../shell/limits.ts";
import { ready } from "../../shell/outbox.ts";
import { briefTimeOf } from "../../shell/words/index.ts";
import { BrightenPicture } from "./brighten.tsx";
import * as gate from "./gate.ts";
import { GateLine } from "./line.tsx";
import { Preflight } from "./preflight.tsx";
import { ResultCard } from "./result.tsx";
import { standingOf, toneOf } from "./scan.ts";
import { resume, stage } from "./stage.ts";
import { CODE_SIGNS_MAX } from "./ticket.ts";
import { View } from "./view.tsx";
import { words } from "./words/index.ts";

const Shift = later(async () => (await import("./shift.tsx")).Shift);

function Entry({ me }: { me: Identity }): JSX.Element {
  const say = words.value;
  const field = useRef<HTMLInputElement>(null);
  const submit = (): void => {
    // On a phone the soft keyboard would hide the result.
    if (matchMedia("(pointer: coarse)").matches) field.current?.blur();
    void gate.submit(me);
  };
  useEffect(() => {
    /** A keyboard scanner types anywhere; what it types belongs in the field. */
    let elsewhereAt = Number.NEGATIVE_INFINITY;
    const pressed = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      // A code that began in a dialog goes there as a whole: its end alone would be another ticket. Under the picture that
      // asks for brightness scanning goes on.
      const isElsewhere = document.querySelector("dialog[open]:not(.brighten)") !== null;
      if (isElsewhere || performance.now() - elsewhereAt < limits.burstMs) {
        elsewhereAt = performance.now();
        if (!isElsewhere) event.preventDefault();
        return;
      }
      if (event.target instanceof HTMLInputElement) return;
      if (/^[\x21-\x7e]$/.test(event.key)) {
        gate.code.value += event.key;
        event.preventDefault();
      } else if (event.key === "Enter" && gate.code.value !== "") {
        // Also when a button has the focus: the scanner's Enter must not press it.
        event.preventDefault();
        submit();
      } else if (event.key === "Escape") {
        gate.next();
      }
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
  return (
    <form
      class="entry"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <input
        ref={field}
        aria-label={say.label}
        placeholder={say.label}
        data-testid="ticket"
        autocomplete="off"
        autocapitalize="off"
        autocorrect="off"
        spellcheck={false}
        enterkeyhint="go"
        maxLength={CODE_SIGNS_MAX}
        value={gate.code.value}
        onInput={(event) => {
          gate.code.value = event.currentTarget.value;
        }}
      />
      <button type="submit" class="charge" data-testid="submit" disabled={!ready.value}>
        {say.submit}
      </button>
    </form>
  );
}

function History({ me }: { me: Identity }): JSX.Element {
  const say = words.value;
  const rows = gate.scans.value.slice(0, limits.rowsShown);
  return (
    <section class="recent">
      <h2>{say.history}</h2>
      {rows.length === 0 && <p class="fine">{say.historyEmpty}</p>}
      <ul data-testid="scans">
        {rows.map((scan) => {
          const standing = standingOf(scan, me.place);
          return (
            <li
              key={scan.key}
              class="row"
              data-testid="scan-row"
              data-key={scan.key}
              data-ticket={scan.ticket}
              data-standing={standing}
            >
              <span class={`row-sign ink-${toneOf[standing]}`}>
                <Glyph tone={toneOf[standing]} size="small" />
              </span>
              <span class="row-main">{shortKey(scan.ticket)}</span>
              <span class="row-word">
                {say.word[standing]}
                {standing === "saved" && <span class="fine"> {say.offline}</span>}
              </span>
              <time class="row-time">{briefTimeOf(scan.at)}</time>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

export function GatePage({ me }: { me: Identity }): JSX.Element {
  // Before the first look at it, so that a reload in the middle of a queue does not flash the checks.
  useState(() => resume(me.device));
  const say = words.value.shift;
  if (signedOut.value) return <SignedOut hint={say.doneHint} />;
  return (
    <>
      <GateLine me={me} />
      {stage.value === "checks" ? (
        <Preflight me={me} />
      ) : (
        <>
          <View />
          <Entry me={me} />
          <ResultCard me={me} />
          <History me={me} />
          <BrightenPicture />
        </>
      )}
      <LeavingButton name="shift" label={say.open} />
      <LeavingSheet name="shift" title={say.open}>
        <Shift me={me} />
      </LeavingSheet>
    </>
  );
}
