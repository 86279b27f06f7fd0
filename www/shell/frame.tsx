// What both pages share around their work: status bar, enrolment, trouble, opening, dead letters; and how a page starts.
import type { Edge } from "conch-edge";
import { type ComponentChildren, type JSX, render } from "preact";
import { AttentionSheet, type Remedies } from "./attention.tsx";
import { StatusBar } from "./bar.tsx";
import { EnrolmentCard } from "./enrolment.tsx";
import { nudgeOnReturn } from "./events.ts";
import { enrolment, type Identity, identify, keepEnrolling, type PageName } from "./identity.ts";
import { bringParts } from "./later.tsx";
import { type Apply, opening, openOutbox, trouble } from "./outbox.ts";
import { keepShell } from "./renewal.ts";
import { wearTheme } from "./theme.ts";
import { speakAs, words, wordsOfError, wordsOfNotice } from "./words/index.ts";
import "./themes.css";
import "./shell.css";

function OpeningNote({ again }: { again: () => void }): JSX.Element | null {
  const at = opening.value;
  // While it opens the status bar says so; a note that comes and goes would only move things.
  if (at.step !== "failed") return null;
  const say = words.value.opening;
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
      <p>{wordsOfNotice(notice.kind, notice.code)}</p>
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
  /** True while something is open that a reload would disturb. */
  busy: () => boolean;
  body: (props: { me: Identity }) => ComponentChildren;
  /** What an event of the feed does to the page's records. */
  apply?: Apply;
  /** What a person can do about a dead letter, where the page knows better than "send again". */
  remedies?: Remedies;
}

export function start({ page, opened, busy, body: Body, apply, remedies }: Work): void {
  const me = identify(page);
  const open = (): void => void openOutbox(me, (edge) => opened(edge, me), apply).then(bringParts);
  function Page(): JSX.Element {
    return (
      <>
        <StatusBar me={me} busy={busy()} />
        <main data-opening={opening.value.step} data-enrolment={enrolment.value}>
          <Body me={me} />
        </main>
        <aside class="dock" aria-label={words.value.bar.notes}>
          <EnrolmentCard me={me} />
          <OpeningNote again={open} />
          <TroubleNote />
        </aside>
        <AttentionSheet remedies={remedies} />
      </>
    );
  }
  wearTheme();
  const root = document.getElementById("page");
  void speakAs(page).then(() => root !== null && render(<Page />, root));
  nudgeOnReturn();
  addEventListener("online", () => {
    if (opening.value.step === "failed") open();
  });
  open();
  void keepEnrolling(me);
  void keepShell().catch(() => undefined);
}
