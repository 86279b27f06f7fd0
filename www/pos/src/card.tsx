// The card of one sale: how it stands, in a colour, a sign and words, and what a person can do about it.
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { showAttention } from "../../shell/attention.tsx";
import { money, shortKey } from "../../shell/figures.ts";
import { Glyph } from "../../shell/glyph.tsx";
import { words as shellWords, timeOf, wordsOfProblem } from "../../shell/words/index.ts";
import { isEmpty } from "./cart.ts";
import { draft } from "./desk.ts";
import type { Refund } from "./heard.ts";
import { showReceipt } from "./receipt.tsx";
import { wayOutOfFailure } from "./remedy.ts";
import { type Sale, standingOf, toneOf } from "./sale.ts";
import * as till from "./till.ts";
import { refundsOf } from "./told.ts";
import { MethodQuestion } from "./ways.tsx";
import { hintOf, momentOf, wordOfSale } from "./wording.ts";
import { words } from "./words/index.ts";

function RefundNote({ refund }: { refund: Refund }): JSX.Element {
  const say = words.value.refund;
  return (
    <section class="refund" data-testid="refund" data-state={refund.state}>
      <p class="letter-why">{say[refund.state]}</p>
      <dl>
        <dt>{say.amount}</dt>
        <dd>{refund.amount === null ? "–" : money(refund.amount)}</dd>
        <dt>{say.why}</dt>
        <dd>{wordsOfProblem(refund.reason) ?? refund.reason}</dd>
        <dt>{say.when}</dt>
        <dd>{momentOf(refund.at)}</dd>
        <dt>{say.reference}</dt>
        <dd class="reference">{refund.reference}</dd>
      </dl>
    </section>
  );
}

/** The key of the sale that a person takes another way. */
const choosing = signal<string | null>(null);

/** An order whose money could not be taken has no dead letter: what can be done about it is here. */
function FailedWays({ sale }: { sale: Sale }): JSX.Element {
  const say = words.value;
  const { advice, remedies } = wayOutOfFailure(sale.reason);
  if (choosing.value === sale.key) {
    return (
      <MethodQuestion
        but={sale.method}
        chosen={(method) => {
          choosing.value = null;
          void till.takeAnotherWay(sale, method);
        }}
        back={() => {
          choosing.value = null;
        }}
      />
    );
  }
  return (
    <>
      <p class="hint">{say.fix[advice]}</p>
      {remedies.includes("other-way") && (
        <button
          type="button"
          class="on-tone wide"
          data-testid="other-way"
          onClick={() => {
            choosing.value = sale.key;
          }}
        >
          {say.fix["other-way"]}
        </button>
      )}
      {remedies.includes("enter-again") && (
        <button
          type="button"
          class="on-tone wide"
          data-testid="anew"
          disabled={!isEmpty(draft.value)}
          onClick={() => void till.giveUp(sale).then(() => till.enterAgain(sale.key))}
        >
          {say.fix["enter-again"]}
        </button>
      )}
      <button type="button" class="on-tone wide" data-testid="give-up" onClick={() => void till.giveUp(sale)}>
        {say.fix.void}
      </button>
    </>
  );
}

function AttentionWays({ sale }: { sale: Sale }): JSX.Element {
  if (till.failures.value.includes(sale)) return <FailedWays sale={sale} />;
  return (
    <button type="button" class="on-tone wide" data-testid="open-attention" onClick={showAttention}>
      {shellWords.value.dead.title}
    </button>
  );
}

export function SaleCard({ sale }: { sale: Sale }): JSX.Element {
  const say = words.value;
  const standing = standingOf(sale, till.doubt.value);
  const stored = sale.state !== "begun";
  const canRetry = !stored && till.doubt.value.failed.has(sale.key);
  return (
    <section class={`card tone-${toneOf[standing]}`} data-testid="sale" data-key={sale.key} data-standing={standing}>
      <div class="card-word">
        <Glyph tone={toneOf[standing]} size="large" />
        <p class="word" data-testid="sale-word">
          {wordOfSale(sale, standing)}
        </p>
        <p class="figure">{money(sale.amount)}</p>
        <p class="hint">{hintOf(sale, standing)}</p>
      </div>
      {refundsOf(sale.key).map((refund) => (
        <RefundNote key={refund.reference} refund={refund} />
      ))}
      {standing === "attention" && <AttentionWays sale={sale} />}
      {stored && (
        <button type="button" class="on-tone wide tall" data-testid="next-sale" onClick={till.nextSale}>
          {say.next}
        </button>
      )}
      {stored && standing !== "attention" && standing !== "given-up" && (
        <button type="button" class="on-tone wide" data-testid="receipt" onClick={() => showReceipt(sale)}>
          {say.receipt.open}
        </button>
      )}
      {canRetry && (
        <button
          type="button"
          class="on-tone wide tall"
          data-testid="try-again"
          onClick={() => void till.tryAgain(sale)}
        >
          {say.tryAgain}
        </button>
      )}
      {canRetry && standing === "not-saved" && (
        <button type="button" class="on-tone wide" data-testid="drop-sale" onClick={() => void till.drop(sale)}>
          {say.notSavedDrop}
        </button>
      )}
      <p class="fine">
        {say.methods[sale.method]} · {timeOf(sale.at)} ·{" "}
        <span class="unbroken">
          {say.number} {shortKey(sale.key)}
        </span>
      </p>
    </section>
  );
}
