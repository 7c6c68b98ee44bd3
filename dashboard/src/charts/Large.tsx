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
import { Panel } from "./Panel";

const MOST_ENTRIES = 200;

export function Large({ metric }: { metric: string }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const { store, labelling } = useChartPage();
  const close = () => change({ open: undefined });
  useEffect(() => dialog.current?.showModal(), []);
  const lines = useComputed(() => store.data(metric).value.lines);
  return (
    <dialog
      class="large-dialog"
      autofocus
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
              <b>{value(last(line.mean))}</b>
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

function last(column: Float64Array): number {
  return column.findLast((number) => !Number.isNaN(number)) ?? Number.NaN;
}
