/** One metric: its title, its plot, and what can be done with it. */
import { useComputed } from "@preact/signals";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { change } from "../state/address";
import { options, setOptions } from "../state/options";
import { dark } from "../state/theme";
import { sceneOf } from "./compose";
import { useChartPage } from "./context";
import { PanelTools } from "./PanelTools";
import { Plot } from "./Plot";

export function Panel({ metric, large = false }: { metric: string; large?: boolean }) {
  const page = useChartPage();
  const root = useRef<HTMLElement>(null);
  const [seen, setSeen] = useState(large);
  const data = page.store.data(metric);
  const scene = useComputed(() => {
    void dark.value;
    return sceneOf(data.value, options.value, page.labelling.value);
  });

  useLayoutEffect(() => {
    const element = root.current;
    if (!element) return;
    const { store, sight } = page;
    let shown = false;
    // At once, not with the next painting: the panels that are told of together ask together.
    const tell = (now: boolean) => {
      if (now === shown) return;
      shown = now;
      setSeen(now);
      if (now) store.show(metric);
      else store.hide(metric);
    };
    if (large) tell(true);
    const stop = large ? undefined : sight.watch(element, tell);
    return () => {
      stop?.();
      tell(false);
    };
  }, [large, metric, page]);

  const cut = metric.lastIndexOf("/") + 1;
  const open = () => change({ open: metric }, { push: true });
  const { lines, resolution, problem, axis, definition } = data.value;
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
          {definition?.unit && <span class="unit"> {definition.unit}</span>}
        </h3>
        {lines.length > 0 && lines.every((line) => line.raw) && (
          <span class="badge" title="Every point as it was logged">
            points
          </span>
        )}
        {axis !== "step" && options.value.x === "" && (
          <span class="badge" title="The x axis, as define_metric() set it">
            over {axis.replace(/^metric:/, "")}
          </span>
        )}
        {page.store.calm.value && (
          <PanelTools metric={metric} axis={axis} scene={scene} onOpen={large ? undefined : open} />
        )}
      </header>
      <div class="panel-body">
        {seen && resolution === "none" && !problem && <div class="panel-wait" aria-busy="true" />}
        {seen && lines.length > 0 && (
          <Plot
            id={large ? `large ${metric}` : metric}
            label={`${metric}, ${lines.length} lines`}
            scene={scene.value}
            cursor={page.cursor}
            onZoom={(zoom) => setOptions({ zoom, zoomX: axis })}
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
