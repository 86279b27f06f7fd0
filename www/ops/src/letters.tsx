// Dead letters that wait for a person, each with the two decisions there are.
import type { JSX } from "preact";
import { shortKey } from "../../shell/figures.ts";
import { Glyph } from "../../shell/glyph.tsx";
import { decideLetter } from "./act.ts";
import { Decide } from "./decide.tsx";
import { ago, None, Panel, Rows, shownOf } from "./panel.tsx";
import type { Board, Letter } from "./shapes.ts";
import { words } from "./words/index.ts";

function Row({ letter }: { letter: Letter }): JSX.Element {
  const say = words.value.letters;
  return (
    <li class="row-facts" data-testid="dead-letter" data-number={letter.number}>
      <span class="ink-warn">
        <Glyph tone="warn" size="small" />
      </span>
      <div>
        <p class="row-title">
          <strong>{letter.code}</strong> <span>{say.about(letter)}</span>
        </p>
        <p class="fine facts-line">
          <span>
            #{letter.number} {shortKey(letter.key)}
          </span>
          <span>{say.who(letter.consumer, letter.tries)}</span>
          <span>{ago(letter.at)}</span>
        </p>
        {letter.blocksKey && <p class="ink-warn">{say.blocks}</p>}
        <Decide
          id={`letter-${letter.number}`}
          about={`#${letter.number}`}
          choices={[
            {
              name: "redrive",
              label: say.redrive,
              grave: false,
              take: (reason) => decideLetter(letter.number, "redrive", reason),
            },
            {
              name: "discard",
              label: say.discard,
              grave: true,
              take: (reason) => decideLetter(letter.number, "discard", reason),
            },
          ]}
        />
      </div>
    </li>
  );
}

export function Letters({ board }: { board: Board }): JSX.Element {
  const { list, total } = board.deadLetters;
  return (
    <Panel id="letters" title={words.value.letters.title} aside={shownOf(list.length, total)}>
      {list.length === 0 ? <None /> : <Rows all={list} row={(letter) => <Row key={letter.number} letter={letter} />} />}
    </Panel>
  );
}
