// Every device, the worst first: when it was heard, what it said it owes and when it said so, and what never came.
import type { JSX } from "preact";
import { Glyph } from "../../shell/glyph.tsx";
import { writeOff } from "./act.ts";
import { Decide } from "./decide.tsx";
import { inOrder, standingOf, toneOf } from "./judge.ts";
import { cityNow, isStale } from "./live.ts";
import { ago, Panel, Rows, shownOf, sure } from "./panel.tsx";
import type { Board, Device } from "./shapes.ts";
import { words } from "./words/index.ts";

function Owed({ device }: { device: Device }): JSX.Element {
  const say = words.value.devices;
  if (device.owed === null || device.saidAt === null) return <span>{say.neverSaid}</span>;
  const when = ago(device.saidAt);
  return device.owed === 0 ? (
    <span>{say.owesNothing(when)}</span>
  ) : (
    <span class="ink-wait">{say.owed(device.owed, when)}</span>
  );
}

function Row({ device }: { device: Device }): JSX.Element {
  const say = words.value.devices;
  const standing = standingOf(device, cityNow.value);
  const tone = sure(toneOf[standing]);
  return (
    <li class="row-facts" data-testid="device-row" data-device={device.device} data-standing={standing}>
      <span class={`ink-${tone}`}>
        <Glyph tone={tone} size="small" />
      </span>
      <div>
        <p class="row-title">
          <strong>{device.device}</strong> <span class="fine">{say.roles[device.role]}</span>{" "}
          <span class={`ink-${tone}`}>
            {standing === "heard" && isStale.value ? say.heardThen : say.standing[standing]}
          </span>
        </p>
        <p class="fine facts-line">
          <span data-testid="heard">{say.heard(ago(device.heardAt))}</span>
          <span data-testid="owed" data-owed={device.owed ?? "unknown"}>
            <Owed device={device} />
          </span>
          <span>{device.lastSequence === null ? say.noSequence : say.sequence(device.lastSequence)}</span>
        </p>
        {device.missing > 0 && (
          <>
            <p class="ink-stop" data-testid="gap">
              {words.value.board.list(device.gaps.map((gap) => say.gap(gap.first, gap.last)))} ·{" "}
              {say.missing(device.missing)}
            </p>
            <Decide
              id={`device-${device.device}`}
              about={device.device}
              choices={[
                {
                  name: "write-off",
                  label: say.writeOff,
                  grave: true,
                  take: (reason) => writeOff(device.device, reason),
                },
              ]}
            />
          </>
        )}
      </div>
    </li>
  );
}

export function Devices({ board }: { board: Board }): JSX.Element {
  const { list, total } = board.devices;
  return (
    <Panel id="devices" title={words.value.devices.title} aside={shownOf(list.length, total)}>
      <Rows all={inOrder(list, cityNow.value)} row={(device) => <Row key={device.device} device={device} />} />
    </Panel>
  );
}
