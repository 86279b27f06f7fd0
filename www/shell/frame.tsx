// What both pages share around their work: status bar, enrolment, trouble, opening, dead letters; and how a page starts.
import type { Edge } from "conch-edge";
import { type ComponentChildren, type JSX, render } from "preact";
import { AttentionSheet } from "./attention.tsx";
import { StatusBar } from "./bar.tsx";
import { EnrolmentCard } from "./enrolment.tsx";
import { nudgeOnReturn } from "./events.ts";
import { type Identity, identify, keepEnrolling, type PageName } from "./identity.ts";
import { type Apply, opening, openOutbox, trouble } from "./outbox.ts";
import { keepShell } from "./renewal.ts";
import { speakAs, words, wordsOfError } from "./words/index.ts";
import "./shell.css";

function OpeningNote({ again }: { again: () => void }): JSX.Element | null {
  const at = opening.value;
  if (at.step === "open") return null;
  const say = words.value.opening;
  if (at.step === "opening") return <p class="note">{say.wait}</p>;
  return (
    <section class="note tone-stop" role="alert" data-testid="opening-failed">
      <p>
        {say.failed} {wordsOfError(at.code)}
      </p>
      <button type="button" class="plain" onClick={again}>
        {say.again}
      </button>
    </section>
  );
}

function TroubleNote(): JSX.Element | null {
  const notice = trouble.value;
  if (notice === null || notice.kind === "link" || notice.kind === "dead-letter" || notice.kind === "feed") return null;
  return (
    <section class="note tone-warn" role="alert" data-testid="trouble" data-code={notice.code}>
      <p>{words.value.trouble[notice.kind]}</p>
      <button
        type="button"
        class="plain"
        onClick={() => {
          trouble.value = null;
        }}
      >
        {words.value.trouble.close}
      </button>
    </section>
  );
}

export interface Work {
  page: PageName;
  /** Called once the outbox is open. */
  opened: (edge: Edge, me: Identity) => Promise<void>;
  /** What the city's words do to the page's records. */
  apply?: Apply;
  /** True while something is open that a reload would disturb. */
  busy: () => boolean;
  body: (props: { me: Identity }) => ComponentChildren;
}

export function start({ page, opened, apply, busy, body: Body }: Work): void {
  const me = identify(page);
  const open = (): void => void openOutbox(me, (edge) => opened(edge, me), apply);
  function Page(): JSX.Element {
    return (
      <>
        <StatusBar me={me} busy={busy()} />
        <main data-opening={opening.value.step}>
          <EnrolmentCard me={me} />
          <OpeningNote again={open} />
          <TroubleNote />
          <Body me={me} />
        </main>
        <AttentionSheet />
      </>
    );
  }
  speakAs(page);
  const root = document.getElementById("page");
  if (root !== null) render(<Page />, root);
  nudgeOnReturn();
  addEventListener("online", () => {
    if (opening.value.step === "failed") open();
  });
  open();
  void keepEnrolling(me);
  void keepShell().catch(() => undefined);
}
