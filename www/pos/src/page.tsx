// The till's screen: keypad, or the card of a sale, and below it the recent sales.
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { money, shortKey } from "../../shell/figures.ts";
import { Glyph } from "../../shell/glyph.tsx";
import { limits } from "../../shell/limits.ts";
import { ready } from "../../shell/outbox.ts";
import { briefTimeOf, timeOf, words, wordsOfError, wordsOfProblem } from "../../shell/words/index.ts";
import { methods, type Sale, type Standing, standingOf, toneOf } from "./sale.ts";
import * as till from "./till.ts";

const keys = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "00", "0"] as const;

function wordOf(standing: Standing): string {
  const say = words.value.pos;
  return standing === "not-saved" ? say.notSaved : standing === "given-up" ? say.givenUp : say[standing];
}

function hintOf(sale: Sale, standing: Standing): string {
  const say = words.value.pos;
  const code = till.doubt.value.failed.get(sale.key);
  switch (standing) {
    case "saving":
      return say.savingHint;
    case "saved":
      return sale.resumed ? say.resumed : say.savedHint;
    case "unknown":
      return code === undefined ? say.unknownHint : `${wordsOfError(code)} ${say.uncertainHint}`;
    case "paid":
      return say.paidHint;
    case "promised":
      return say.promisedHint;
    case "attention":
      return wordsOfProblem(sale.reason) ?? say.attentionHint;
    case "not-saved":
      return `${wordsOfError(code ?? "fault")} ${say.notSavedHint}`;
    case "given-up":
      return say.givenUpHint;
  }
}

function SaleCard({ sale }: { sale: Sale }): JSX.Element {
  const say = words.value.pos;
  const standing = standingOf(sale, till.doubt.value);
  const stored = sale.state !== "begun";
  const canRetry = !stored && till.doubt.value.failed.has(sale.key);
  return (
    <section class={`card tone-${toneOf[standing]}`} data-testid="sale" data-key={sale.key} data-standing={standing}>
      <div class="card-word">
        <Glyph tone={toneOf[standing]} size="large" />
        <p class="word" data-testid="sale-word">
          {wordOf(standing)}
        </p>
        <p class="figure">{money(sale.amount)}</p>
        <p class="hint">{hintOf(sale, standing)}</p>
      </div>
      {stored && (
        <button type="button" class="on-tone wide tall" data-testid="next-sale" onClick={till.nextSale}>
          {say.next}
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

function Methods(): JSX.Element {
  const say = words.value.pos;
  return (
    <fieldset class="methods">
      <legend class="unseen">{say.method}</legend>
      {methods.map((method) => (
        <label key={method} class="method" data-testid={`method-${method}`}>
          <input
            type="radio"
            name="method"
            value={method}
            checked={till.method.value === method}
            onChange={() => till.choose(method)}
          />
          <span>{say.methods[method]}</span>
        </label>
      ))}
    </fieldset>
  );
}

function Keypad(): JSX.Element {
  const say = words.value.pos;
  const amount = till.dollars.value * 100;
  return (
    <section class="till">
      <p class="display" aria-live="polite">
        <span class="unseen">{say.amount} </span>
        <span data-testid="amount">{money(amount)}</span>
      </p>
      <Methods />
      <div class="keypad">
        {keys.map((key) => (
          <button key={key} type="button" class="key" data-testid={`key-${key}`} onClick={() => till.digits(key)}>
            {key}
          </button>
        ))}
        <button
          type="button"
          class="key"
          data-testid="key-back"
          aria-label={say.backspace}
          onClick={till.eraseOne}
          onDblClick={till.eraseAll}
        >
          ⌫
        </button>
      </div>
      <button
        type="button"
        class="charge wide"
        data-testid="charge"
        disabled={amount === 0 || !ready.value}
        onClick={() => void till.charge()}
      >
        {amount === 0 ? say.charge : say.chargeAmount(money(amount))}
      </button>
    </section>
  );
}

function Recent(): JSX.Element {
  const say = words.value.pos;
  const rows = till.sales.value.slice(0, limits.rowsShown);
  return (
    <section class="recent">
      <h2>{say.recent}</h2>
      {rows.length === 0 && <p class="fine">{say.recentEmpty}</p>}
      <ul data-testid="sales">
        {rows.map((sale) => {
          const standing = standingOf(sale, till.doubt.value);
          return (
            <li key={sale.key}>
              <button
                type="button"
                class="row"
                data-testid="sale-row"
                data-key={sale.key}
                data-standing={standing}
                onClick={() => till.show(sale)}
              >
                <span class={`row-sign ink-${toneOf[standing]}`}>
                  <Glyph tone={toneOf[standing]} size="small" />
                </span>
                <span class="row-main">{money(sale.amount)}</span>
                <span class="row-word">{wordOf(standing)}</span>
                <time class="row-time">{briefTimeOf(sale.at)}</time>
              </button>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

/** Hands on a keyboard: digits, Backspace, Enter to charge and to go on, Escape to clear. */
function pressed(event: KeyboardEvent): void {
  const target = event.target;
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open]") !== null) return;
  if (target instanceof HTMLInputElement && target.type !== "radio") return;
  const onCard = till.shown.value !== null;
  if (/^[0-9]$/.test(event.key) && !onCard) till.digits(event.key);
  else if (event.key === "Backspace" && !onCard) till.eraseOne();
  else if (event.key === "Escape") onCard ? till.nextSale() : till.eraseAll();
  else if (event.key === "Enter" && !(target instanceof HTMLButtonElement))
    onCard ? till.nextSale() : void till.charge();
}

export function TillPage(): JSX.Element {
  useEffect(() => {
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
  const sale = till.shown.value;
  // A live region must be there before its words come, so it is not part of the card.
  const spoken = sale === null ? "" : `${wordOf(standingOf(sale, till.doubt.value))} ${money(sale.amount)}`;
  return (
    <>
      <p class="unseen" role="status" aria-live="assertive">
        {spoken}
      </p>
      {sale === null ? <Keypad /> : <SaleCard sale={sale} />}
      <Recent />
    </>
  );
}
