// The weather desk, in development only: levers that make the market's evening bad, and beside them what it does about it.
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { type Done, type Levers, readLevers, reportLoad, type Sky, setFaults, setWeather } from "./act.ts";
import { areasOf, devicesOf, notGivenBack } from "./judge.ts";
import { limits } from "./limits.ts";
import { number, Panel } from "./panel.tsx";
import type { Board } from "./shapes.ts";
import { words } from "./words/index.ts";

const levers = signal<Levers | null>(null);
const outcome = signal<Done | null>(null);
const scope = signal("*");

async function look(): Promise<void> {
  levers.value = await readLevers(levers.peek());
}

async function pull(work: Promise<Done>): Promise<void> {
  outcome.value = null;
  outcome.value = await work;
  await look();
}

/** What must stay nought stands last. */
function Holds({ board }: { board: Board }): JSX.Element {
  const say = words.value.desk;
  const facts: [string, string, number, boolean][] = [
    ["pending", say.pending, board.owed, false],
    ["delivered", say.delivered, board.accepted, false],
    ["repeated", say.repeated, board.repeated, false],
    ["doubled", say.doubled, notGivenBack(board), true],
    ["lost", say.lost, board.missing, true],
  ];
  return (
    <section class="holds" aria-label={say.holds}>
      <dl class="facts">
        {facts.map(([name, label, count, nought]) => (
          <div key={name} class="fact" data-testid={`holds-${name}`} data-count={count}>
            <dt class="fine">{label}</dt>
            <dd class={nought ? (count === 0 ? "ink-good" : "ink-stop") : ""}>{number(count)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Network({ board, now }: { board: Board; now: Levers }): JSX.Element {
  const say = words.value.desk;
  const { of, list } = words.value.board;
  const devices = board.devices.list.filter(({ role }) => role !== "ops");
  const skies = Object.entries(now.weather).map(([device, sky]) => {
    return of(device === "*" ? say.everyone : device, say.skies[sky.mode] ?? sky.mode);
  });
  return (
    <fieldset class="lever" data-testid="lever-network">
      <legend>{say.network}</legend>
      <label class="fine" for="desk-scope">
        {say.scope}
      </label>
      <select
        id="desk-scope"
        data-testid="scope"
        value={scope.value}
        onChange={(event) => {
          scope.value = event.currentTarget.value;
        }}
      >
        <option value="*">{say.everyone}</option>
        {areasOf(devices).map((area) => (
          <option key={area} value={`${area}*`}>
            {say.area(area)}
          </option>
        ))}
        {devices.map(({ device }) => (
          <option key={device} value={device}>
            {device}
          </option>
        ))}
      </select>
      <div class="choices">
        {(Object.keys(say.skies) as Sky[]).map((mode) => (
          <button
            key={mode}
            type="button"
            class={mode === "clear" ? "charge" : "plain"}
            data-testid={`sky-${mode}`}
            onClick={() => void pull(setWeather(devicesOf(scope.value, devices), mode))}
          >
            {say.skies[mode]}
          </button>
        ))}
      </div>
      <p class={skies.length > 0 ? "ink-warn" : "fine"} data-testid="skies" data-count={skies.length}>
        {skies.length > 0 ? say.now(list(skies)) : say.calm}
      </p>
    </fieldset>
  );
}

function Acquirer({ now }: { now: Levers }): JSX.Element {
  const say = words.value.desk;
  return (
    <fieldset class="lever" data-testid="lever-acquirer">
      <legend>{say.acquirer}</legend>
      {now.faults === null ? (
        <p class="fine">{say.noAcquirer}</p>
      ) : (
        <>
          <div class="choices">
            {Object.entries(say.faults).map(([faults, label]) => (
              <button
                key={faults}
                type="button"
                class={faults === "" ? "charge" : "plain"}
                aria-pressed={now.faults === faults}
                data-testid={`faults-${faults.split("=")[0]}`}
                onClick={() => void pull(setFaults(faults))}
              >
                {label}
              </button>
            ))}
          </div>
          <p class={now.faults === "" ? "fine" : "ink-warn"} data-testid="faults" data-faults={now.faults}>
            {now.faults === "" ? say.calm : say.now(say.faults[now.faults] ?? now.faults)}
          </p>
        </>
      )}
    </fieldset>
  );
}

function Power({ board }: { board: Board }): JSX.Element {
  const say = words.value.desk;
  const send = (form: HTMLFormElement, overload: boolean): void => {
    const said = new FormData(form);
    const name = String(said.get("circuit"));
    const limit = board.circuits.find((circuit) => circuit.circuit === name)?.limitWatts ?? 0;
    const watts = overload ? limit : Number(said.get("watts"));
    void pull(reportLoad(name, String(said.get("stall")).trim(), watts));
  };
  return (
    <fieldset class="lever" data-testid="lever-power">
      <legend>{say.power}</legend>
      {board.circuits.length === 0 ? (
        <p class="fine">{say.noCircuits}</p>
      ) : (
        <form
          class="power"
          onSubmit={(event) => {
            event.preventDefault();
            send(event.currentTarget, event.submitter?.dataset.overload === "true");
          }}
        >
          <label>
            <span class="fine">{say.circuit}</span>
            <select name="circuit" data-testid="power-circuit">
              {board.circuits.map(({ circuit }) => (
                <option key={circuit}>{circuit}</option>
              ))}
            </select>
          </label>
          <label>
            <span class="fine">{say.stall}</span>
            <input name="stall" data-testid="power-stall" required maxLength={64} autocapitalize="off" />
          </label>
          <label>
            <span class="fine">{say.watts}</span>
            <input name="watts" data-testid="power-watts" type="number" min="0" max="100000" defaultValue="500" />
          </label>
          <button type="submit" class="plain" data-testid="power-report">
            {say.report}
          </button>
          <button type="submit" class="plain" data-testid="power-overload" data-overload="true">
            {say.overload}
          </button>
        </form>
      )}
    </fieldset>
  );
}

export function Desk({ board }: { board: Board }): JSX.Element | null {
  useEffect(() => {
    void look();
    const again = setInterval(() => void look(), limits.leversEveryMs);
    return () => clearInterval(again);
  }, []);
  const now = levers.value;
  if (now === null) return null;
  const say = words.value;
  return (
    <Panel id="desk" title={say.desk.title}>
      <Holds board={board} />
      <div class="levers">
        <Network board={board} now={now} />
        <Acquirer now={now} />
        <Power board={board} />
      </div>
      <p role="status" class={outcome.value === "done" ? "fine" : "ink-warn"} data-testid="desk-outcome">
        {outcome.value !== null && say.reason.done[outcome.value]}
      </p>
    </Panel>
  );
}
