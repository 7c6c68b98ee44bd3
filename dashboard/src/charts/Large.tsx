/** One panel over the whole page, with all its lines in a legend. */
import { useComputed } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { value } from "../lib/format";
import { change } from "../state/address";
import { inkOf } from "../state/slots";
import { Icon } from "../ui/icons";
import { Swatch } from "../ui/Swatch";
import { useChartPage } from "./context";
import { inkKey, labelOf } from "./labels";
import { axisKind, type Line } from "./line";
import { Panel } from "./Panel";
import { rowAt } from "./pick";

const MOST_ENTRIES = 200;

export function Large({ metric }: { metric: string }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const { store, labelling, cursor } = useChartPage();
  const close = () => change({ open: undefined });
  useEffect(() => {
    dialog.current?.showModal();
    // Not the first of its buttons: nobody asked for that.
    dialog.current?.focus();
  }, []);
  const data = store.data(metric);
  const lines = useComputed(() => data.value.lines);
  const { definition, axis } = data.value;
  const at = cursor.value?.owner === `large ${metric}` ? cursor.value.x : undefined;
  const said = (line: Line) => {
    const column = line.smooth ?? line.mean;
    const row = at === undefined ? -1 : rowAt(line, at, axisKind(axis));
    return row < 0 ? last(column) : (column[row] as number);
  };
  return (
    <dialog
      class="large-dialog"
      tabIndex={-1}
      aria-label={metric}
      ref={dialog}
      onClose={close}
      onClick={(event) => event.target === dialog.current && close()}
    >
      <div class="large-body">
        <Panel metric={metric} large />
        <ul class="legend">
          {lines.value.slice(0, MOST_ENTRIES).map((line) => (
            <li key={line.key}>
              <Swatch ink={inkOf(inkKey(line, labelling.value))} />
              <bdi title={labelOf(line, labelling.value)}>{labelOf(line, labelling.value)}</bdi>
              {definition?.goal && (
                <span class="dim" title={`The best value: its goal is to ${definition.goal}`}>
                  {value(best(line, definition.goal))}
                </span>
              )}
              <b title={at === undefined ? "The last value" : "The value at the pointer"}>
                {value(said(line))}
              </b>
            </li>
          ))}
          {lines.value.length > MOST_ENTRIES && (
            <li class="dim">and {lines.value.length - MOST_ENTRIES} more</li>
          )}
        </ul>
      </div>
      <button type="button" class="quiet close" title="Close (Escape)" aria-label="Close" onClick={close}>
        <Icon name="close" />
      </button>
    </dialog>
  );
}

/** The least or the greatest value of all points. */
function best(line: Line, goal: string): number {
  const wanted = goal === "minimize" ? line.min : line.max;
  const finite = wanted.filter(Number.isFinite);
  if (!finite.length) return Number.NaN;
  return finite.reduce((a, b) => (goal === "minimize" ? Math.min(a, b) : Math.max(a, b)));
}

function last(column: Float64Array): number {
  return column.findLast((number) => !Number.isNaN(number)) ?? Number.NaN;
}
