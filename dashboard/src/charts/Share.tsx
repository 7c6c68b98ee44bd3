/** The view as an address, and its charts as files. */
import { options } from "../state/options";
import { Copy } from "../ui/Copy";
import { Icon } from "../ui/icons";
import { Menu } from "../ui/Menu";
import { sceneOf } from "./compose";
import { useChartPage } from "./context";
import { ExportItems } from "./ExportItems";
import { exportSheet, type Sheet } from "./export";

export function Share() {
  const { store, labelling } = useChartPage();
  const seen = store.seen.value;
  const sheet = (): Sheet =>
    seen.map((metric) => ({
      title: metric,
      scene: sceneOf(store.data(metric).peek(), options.peek(), labelling.peek()),
    }));
  return (
    <Menu label={<Icon name="download" size={14} />} title="Share and export the charts on the screen">
      {(close) => (
        <>
          <Copy name="Copy the link" text={() => location.href} onDone={close} />
          <ExportItems
            name={(format) => `${seen.length} charts as ${format}`}
            onChoose={(format) => {
              void exportSheet(sheet(), document.title, format);
              close();
            }}
          />
        </>
      )}
    </Menu>
  );
}
