// The questions after a result: why somebody did not go in after all, and whether a supervisor lets somebody in.
import type { JSX } from "preact";
import type { Identity } from "../../shell/identity.ts";
import { bothOf } from "../../shell/words/index.ts";
import { letIn, turnAway } from "./afterwards.ts";
import { type Scan, turnedAway } from "./scan.ts";
import { en } from "./words/question.en.ts";
import { zhHant } from "./words/question.zh-Hant.ts";

const words = bothOf(zhHant, en);

interface Asked {
  me: Identity;
  scan: Scan;
  answered: () => void;
}

function Answer({ name, word, onClick }: { name: string; word: string; onClick: () => void }): JSX.Element {
  return (
    <button type="button" class="on-tone" data-testid={name} onClick={onClick}>
      {word}
    </button>
  );
}

export function Question({ me, scan, answered }: Asked): JSX.Element {
  const say = words.value;
  if (scan.decision === "refused") {
    const sure = (): void => {
      answered();
      void letIn(me, scan);
    };
    return (
      <fieldset class="result-reasons" data-testid="overrule-question">
        <legend>{say.letInAsk}</legend>
        <Answer name="overrule-sure" word={say.letInSure} onClick={sure} />
        <Answer name="overrule-back" word={say.back} onClick={answered} />
      </fieldset>
    );
  }
  return (
    <fieldset class="result-reasons" data-testid="turn-away-reasons">
      <legend>{say.turnAwayAsk}</legend>
      {turnedAway.map((why) => (
        <Answer
          key={why}
          name={`turn-away-${why}`}
          word={say.turnedAway[why]}
          onClick={() => {
            answered();
            void turnAway(me, scan, why);
          }}
        />
      ))}
      <Answer name="turn-away-back" word={say.back} onClick={answered} />
    </fieldset>
  );
}
