// The receipt: on the screen and on paper. It says when a sale was taken offline and whether the books have it yet.
import { computed, signal } from "@preact/signals";
import { Fragment, type JSX } from "preact";
import { money, shortKey } from "../../shell/figures.ts";
import { Sheet } from "../../shell/sheet.tsx";
import { market, sales } from "./desk.ts";
import type { Sale } from "./sale.ts";
import { standingOf } from "./sale.ts";
import { doubt } from "./till.ts";
import { momentOf, nameOf, wordOfSale } from "./wording.ts";
import { words } from "./words/index.ts";

const open = signal(false);
const key = signal<string | null>(null);
/** As the book has it now: it may be confirmed while the receipt is open. */
const shown = computed(() => sales.value.find((sale) => sale.key === key.value) ?? null);

export function showReceipt(sale: Sale): void {
  key.value = sale.key;
  open.value = true;
}

function Facts({ sale }: { sale: Sale }): JSX.Element {
  const say = words.value;
  const confirmed = sale.confirmedAt === undefined ? say.receipt.notConfirmed : momentOf(sale.confirmedAt);
  const facts: [string, string][] = [
    [say.method, say.methods[sale.method]],
    [say.receipt.saved, momentOf(sale.at)],
    [say.receipt.confirmed, confirmed],
    [say.receipt.fullNumber, sale.key],
  ];
  return (
    <dl class="facts">
      {facts.map(([name, fact]) => (
        <Fragment key={name}>
          <dt>{name}</dt>
          <dd>{fact}</dd>
        </Fragment>
      ))}
    </dl>
  );
}

function Paper({ sale }: { sale: Sale }): JSX.Element {
  const say = words.value;
  const here = market.value;
  return (
    <article class="paper" data-testid="paper" data-offline={sale.offline === true}>
      {here?.name && <p class="paper-market">{nameOf(here.name)}</p>}
      {here?.stall && <p class="paper-stall">{nameOf(here.stall.name)}</p>}
      <p class="paper-number">
        {say.number} <strong data-testid="receipt-number">{shortKey(sale.key)}</strong>
      </p>
      <table>
        <tbody>
          {(sale.lines ?? []).map(({ item, name, price, count }) => (
            <tr key={`${item} ${price}`}>
              <td>{nameOf(name)}</td>
              <td>
                {money(price)} × {count}
              </td>
              <td>{money(price * count)}</td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <td colSpan={2}>{say.total}</td>
            <td>{money(sale.amount)}</td>
          </tr>
        </tfoot>
      </table>
      <p class="paper-standing">
        {wordOfSale(sale, standingOf(sale, doubt.value))}
        {sale.offline === true && <span data-testid="receipt-offline"> · {say.receipt.offline}</span>}
      </p>
      <Facts sale={sale} />
      <p class="fine">{say.receipt.keep}</p>
    </article>
  );
}

export function ReceiptSheet(): JSX.Element {
  const say = words.value.receipt;
  return (
    <Sheet open={open} name="receipt" title={say.title} close={say.close}>
      {shown.value !== null && <Paper sale={shown.value} />}
      <button type="button" class="plain wide tall" data-testid="print" onClick={() => print()}>
        {say.print}
      </button>
    </Sheet>
  );
}
