/** The view as an address, and its charts as files. */
import { options } from "../state/options";
import { Copy } from "../ui/Copy";
import { Icon } from "../ui/icons";
import { Menu } from "../ui/Menu";
import { sceneOf } from "./compose";
import { useChartPage } from "./context";
import { exportSheet, FORMATS, type Sheet } from "./export";

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
          {FORMATS.map((format) => (
            <button
              type="button"
              key={format}
              class="menu-item"
              onClick={() => {
                void exportSheet(sheet(), document.title, format);
                close();
              }}
            >
              {seen.length} charts as {format}
            </button>
          ))}
        </>
      )}
    </Menu>
  );
}
