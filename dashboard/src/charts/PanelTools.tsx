/** What can be done with a panel: pinned, exported, shared, opened large. */
import type { ReadonlySignal } from "@preact/signals";
import { chartCommand } from "../state/command";
import { options } from "../state/options";
import { Copy } from "../ui/Copy";
import { Icon } from "../ui/icons";
import { Menu } from "../ui/Menu";
import { useChartPage } from "./context";
import { ExportItems } from "./ExportItems";
import { exportPanel } from "./export";
import { pinned, togglePin } from "./pins";
import type { Scene } from "./scene";

interface Props {
  metric: string;
  axis: string;
  scene: ReadonlySignal<Scene>;
  /** Absent for a panel that is large. */
  onOpen: (() => void) | undefined;
}

export function PanelTools({ metric, axis, scene, onOpen }: Props) {
  const { runIds } = useChartPage();
  const pin = pinned.value.includes(metric);
  return (
    <div class="panel-tools">
      <button
        type="button"
        class="quiet"
        aria-pressed={pin}
        title={pin ? "Unpin" : "Pin to the top"}
        aria-label={`Pin ${metric}`}
        onClick={() => togglePin(metric)}
      >
        <Icon name="pin" size={14} />
      </button>
      <Menu label={<Icon name="download" size={14} />} title="Export" class="quiet">
        {(close) => (
          <>
            <ExportItems
              onChoose={(format) => {
                void exportPanel(scene.value, metric, format);
                close();
              }}
            />
            <Copy
              name="Copy the command"
              text={() => chartCommand(metric, runIds.peek(), axis, options.peek())}
              onDone={close}
            />
          </>
        )}
      </Menu>
      {onOpen && (
        <button
          type="button"
          class="quiet"
          title="Open large (Enter)"
          aria-label="Open large"
          onClick={onOpen}
        >
          <Icon name="expand" size={14} />
        </button>
      )}
    </div>
  );
}
