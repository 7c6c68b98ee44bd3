/** The keys of the keyboard that work here. */
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { go } from "../state/address";
import { shortcuts, useShortcuts } from "../state/keys";
import { toggle } from "../state/theme";

export const helpOpen = signal(false);

const CHART = [
  ["drag", "Zoom into a range; double click shows all"],
  ["Shift + drag", "Pan"],
  ["Ctrl + wheel", "Zoom around the pointer"],
  ["← →", "Pan the chart that has the focus"],
  ["+ −", "Zoom the chart that has the focus"],
  ["Enter", "Open the chart that has the focus"],
] as const;
const ROWS = [
  ["↑ ↓", "To the row above or below"],
  ["PgUp PgDn", "A page up or down; Home and End go all the way"],
  ["Enter", "Open the run; Space on its box picks it"],
] as const;

export function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  useShortcuts([
    { keys: "?", what: "These keys", run: () => (helpOpen.value = true) },
    { keys: "t", what: "Dark or light", run: toggle },
    { keys: "g p", what: "Go to the projects", run: () => go([]) },
  ]);
  useEffect(() => {
    if (helpOpen.value) dialog.current?.showModal();
  }, [helpOpen.value]);
  if (!helpOpen.value) return null;
  const close = () => {
    helpOpen.value = false;
  };
  return (
    <dialog
      class="help"
      aria-label="Keys of the keyboard"
      ref={dialog}
      onClose={close}
      onClick={(event) => event.target === dialog.current && close()}
    >
      <h2>Keys</h2>
      <dl>
        {shortcuts().map(({ keys, what }) => (
          <Row key={keys} keys={keys.split(" ")} what={what} />
        ))}
      </dl>
      <h2>On a chart</h2>
      <dl>
        {CHART.map(([keys, what]) => (
          <Row key={keys} keys={[keys]} what={what} />
        ))}
      </dl>
      <h2>On a row of runs</h2>
      <dl>
        {ROWS.map(([keys, what]) => (
          <Row key={keys} keys={[keys]} what={what} />
        ))}
      </dl>
      <button type="button" onClick={close}>
        Close
      </button>
    </dialog>
  );
}

function Row({ keys, what }: { keys: string[]; what: string }) {
  return (
    <div>
      <dt>
        {keys.map((key) => (
          <kbd key={key}>{key}</kbd>
        ))}
      </dt>
      <dd>{what}</dd>
    </div>
  );
}
