// The whole board: how old it is, what a person should look at, how the market stands, and a panel for each part of it.
import type { JSX } from "preact";
import { EnrolmentCard } from "../../shell/enrolment.tsx";
import { Glyph, type Tone } from "../../shell/glyph.tsx";
import type { Identity } from "../../shell/identity.ts";
import { newVersion, takeNewVersion } from "../../shell/renewal.ts";
import { ThemeSwitch } from "../../shell/themeswitch.tsx";
import { language, words as shellWords, switchLanguage, timeOf } from "../../shell/words/index.ts";
import { Desk } from "./desk.tsx";
import { Devices } from "./devices.tsx";
import { ageOf, lastMinute, type Matters, mattersOf } from "./judge.ts";
import { Letters } from "./letters.tsx";
import { ageOfBoard, board, forbidden, isStale } from "./live.ts";
import { Orders } from "./orders.tsx";
import { counted, number, sure } from "./panel.tsx";
import { Alerts, Cases, Circuits, Doubles } from "./panels.tsx";
import { Sagas } from "./sagas.tsx";
import type { Board } from "./shapes.ts";
import { Throughput } from "./throughput.tsx";
import { words } from "./words/index.ts";

/** How sure what is shown is. Until the city is heard again nothing below may pass for now. */
function Link(): JSX.Element {
  const say = words.value.board;
  const stale = isStale.value;
  const when = words.value.ago(ageOf(ageOfBoard.value));
  const text = board.value === null ? say.never : stale ? say.stale(when) : say.fresh(when);
  return (
    <p class={`board-link ${stale ? "tone-stop" : "ink-good"}`} data-testid="board-link" data-stale={stale}>
      <Glyph tone={stale ? "stop" : "good"} size="small" />
      <span>{text}</span>
    </p>
  );
}

function Top({ me }: { me: Identity }): JSX.Element {
  const say = shellWords.value;
  return (
    <header class="top">
      <h1>{say.title.ops}</h1>
      <Link />
      {/* Said once when it changes; the age beside it would be read out every second. */}
      <span class="unseen" role="status">
        {isStale.value && board.value !== null ? words.value.board.lost : ""}
      </span>
      <span class="fine">{me.device}</span>
      <ThemeSwitch />
      <button
        type="button"
        class="quiet"
        data-testid="language"
        lang={language.value === "en" ? "zh-Hant" : "en"}
        aria-label={`${say.language.other} ${say.language.switchTo}`}
        onClick={() => void switchLanguage()}
      >
        {say.language.other}
      </button>
      {newVersion.value && (
        <button type="button" class="plain wide" data-testid="new-version" onClick={takeNewVersion}>
          {say.bar.newVersion}
        </button>
      )}
    </header>
  );
}

/** Where each matter is told, and how bad it is when there is one. */
const matters: [keyof Matters, string, Tone][] = [
  ["missing", "devices", "stop"],
  ["clones", "devices", "stop"],
  ["stuck", "sagas", "stop"],
  ["deadLetters", "letters", "warn"],
  ["doubles", "doubles", "warn"],
  ["overdue", "cases", "warn"],
  ["shed", "circuits", "wait"],
];

function MattersStrip({ board: shown }: { board: Board }): JSX.Element {
  const say = words.value.matters;
  const counts = mattersOf(shown);
  return (
    <nav class="matters" aria-label={say.title}>
      {matters.map(([name, panel, bad]) => {
        const tone = sure(counts[name] === 0 ? "good" : bad);
        return (
          <a
            key={name}
            href={`#${panel}`}
            class={`matter ${counts[name] === 0 ? "plain" : `tone-${tone}`}`}
            data-testid={`matter-${name}`}
            data-count={counts[name]}
          >
            <Glyph tone={tone} size="small" />
            <span class="matter-count">{name === "doubles" ? counted(counts[name]) : number(counts[name])}</span>
            <span>{say[name]}</span>
          </a>
        );
      })}
    </nav>
  );
}

function Facts({ board: shown }: { board: Board }): JSX.Element {
  const say = words.value.facts;
  const facts: [string, string, number][] = [
    ["accepted", say.accepted, shown.accepted],
    ["lastMinute", say.lastMinute, lastMinute(shown)],
    ["owed", say.owed, shown.owed],
    ["outgoing", say.outgoing, shown.bus.outgoing],
    ["repeated", say.repeated, shown.repeated],
    ["refused", say.refused, shown.refused],
  ];
  return (
    <section aria-label={say.title}>
      <dl class="facts">
        {facts.map(([name, label, count]) => (
          <div key={name} class="fact" data-testid={`fact-${name}`} data-count={count}>
            <dt class="fine">{label}</dt>
            <dd>{number(count)}</dd>
          </div>
        ))}
      </dl>
      <p class="fine">{words.value.board.since(timeOf(shown.since))}</p>
    </section>
  );
}

export function BoardPage({ me }: { me: Identity }): JSX.Element {
  const shown = board.value;
  return (
    <>
      <Top me={me} />
      <main class={isStale.value ? "stale" : ""} data-board={shown === null ? "none" : "shown"}>
        <EnrolmentCard me={me} instead={words.value.enrol} />
        {forbidden.value && (
          <p class="note tone-stop" role="alert">
            {words.value.board.forbidden}
          </p>
        )}
        {shown !== null && (
          <>
            <MattersStrip board={shown} />
            <Facts board={shown} />
            <div class="panels">
              <div class="column">
                <Devices board={shown} />
                <Doubles board={shown} />
              </div>
              <div class="column">
                <Alerts board={shown} />
                <Letters board={shown} />
                <Orders />
              </div>
              <div class="column">
                <Sagas board={shown} />
                <Circuits board={shown} />
              </div>
              <div class="column">
                <Throughput board={shown} />
                <Cases board={shown} />
              </div>
            </div>
            {shown.development && <Desk board={shown} />}
          </>
        )}
      </main>
    </>
  );
}
