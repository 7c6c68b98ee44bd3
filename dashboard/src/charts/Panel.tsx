/** One metric: its title, its plot, and what can be done with it. */
import { useComputed } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { change } from "../state/address";
import { type Options, options, setOptions } from "../state/options";
import { assign, inkOf } from "../state/slots";
import { dark } from "../state/theme";
import { Icon } from "../ui/icons";
import { Menu } from "../ui/Menu";
import { useChartPage } from "./context";
import { exportPanel, type Format } from "./export";
import { inkKey, type Labelling, labelOf } from "./labels";
import { axisKind } from "./line";
import { Plot } from "./Plot";
import type { Scene } from "./scene";
import type { PanelData } from "./store";

const FORMATS: Format[] = ["PNG", "SVG", "CSV"];
const NEAR = "300px";

export function Panel({ metric, large = false }: { metric: string; large?: boolean }) {
  const page = useChartPage();
  const root = useRef<HTMLElement>(null);
  const [seen, setSeen] = useState(large);
  const data = page.store.data(metric);
  const scene = useComputed(() => {
    void dark.value;
    return sceneOf(data.value, options.value, page.labelling.value);
  });

  useEffect(() => {
    const element = root.current;
    if (!element || large) return;
    const observer = new IntersectionObserver((entries) => setSeen(entries.at(-1)?.isIntersecting ?? false), {
      rootMargin: NEAR,
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [large]);
  useEffect(() => {
    if (!seen) return;
    page.store.show(metric);
    return () => page.store.hide(metric);
  }, [seen, metric, page.store]);

  const cut = metric.lastIndexOf("/") + 1;
  const open = () => change({ open: metric }, { push: true });
  const { lines, resolution, problem } = data.value;
  return (
    <section
      class={large ? "panel large" : "panel"}
      ref={root}
      data-metric={metric}
      data-resolution={resolution}
    >
      <header>
        <h3 title={metric}>
          <bdi>
            <span>{metric.slice(0, cut)}</span>
            {metric.slice(cut)}
          </bdi>
        </h3>
        {lines.length > 0 && lines.every((line) => line.raw) && (
          <span class="badge" title="Every point as it was logged">
            points
          </span>
        )}
        <div class="panel-tools">
          <Menu label={<Icon name="download" size={14} />} title="Export" class="quiet" align="right">
            {(close) =>
              FORMATS.map((format) => (
                <button
                  type="button"
                  key={format}
                  class="menu-item"
                  onClick={() => {
                    void exportPanel(scene.value, metric, format);
                    close();
                  }}
                >
                  {format}
                </button>
              ))
            }
          </Menu>
          {!large && (
            <button
              type="button"
              class="quiet"
              title="Open large (Enter)"
              aria-label="Open large"
              onClick={open}
            >
              <Icon name="expand" size={14} />
            </button>
          )}
        </div>
      </header>
      <div class="panel-body">
        {seen && (lines.length > 0 || resolution === "none") && (
          <Plot
            id={large ? `large ${metric}` : metric}
            label={`${metric}, ${lines.length} lines`}
            scene={scene.value}
            cursor={page.cursor}
            onZoom={(zoom) => setOptions({ zoom })}
            {...(large ? {} : { onOpen: open })}
          />
        )}
        {problem && <p class="panel-note">{problem.message}</p>}
        {!problem && lines.length === 0 && resolution !== "none" && (
          <p class="panel-note">No points in this view</p>
        )}
      </div>
    </section>
  );
}

function sceneOf(data: PanelData, shown: Options, labelling: Labelling): Scene {
  // Ranks and groups have inks of their own, beside those of the runs.
  assign(data.lines.map((line) => inkKey(line, labelling)));
  return {
    drawn: data.lines.map((line) => ({
      line,
      ink: inkOf(inkKey(line, labelling)),
      label: labelOf(line, labelling),
    })),
    axis: axisKind(shown.x),
    axisLabel: shown.x.replace(/^metric:/, ""),
    logX: shown.logX,
    logY: shown.logY,
    bands: shown.bands !== "off",
    view: shown.zoom,
    clip: shown.clip,
  };
}
