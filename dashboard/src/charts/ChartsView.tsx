/** A page of charts over some runs. */
import { type ReadonlySignal, useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { epoch } from "../api/connection";
import type { Run } from "../gen/stepline/v1/runs_pb";
import { param } from "../state/address";
import { useShortcuts } from "../state/keys";
import { options, setOptions } from "../state/options";
import { type RunRow, titles } from "../state/run";
import { assign } from "../state/slots";
import { useEffectAtOnce } from "../ui/effect";
import { focusSearch } from "../ui/Search";
import { type ChartPage, ChartPageProvider } from "./context";
import { Large } from "./Large";
import { follow } from "./live";
import type { Cursor } from "./Plot";
import type { Shape } from "./request";
import { Sections } from "./Sections";
import { Sight } from "./sight";
import { ChartStore } from "./store";
import { METRIC_SEARCH, Toolbar } from "./Toolbar";

const PANEL_POINTS = 500;
const LARGE_POINTS = 1600;
const NEAR = "300px";

interface Props {
  /** The runs that are drawn, in the order of the legend. */
  runs: readonly RunRow[];
  /** What a live stream says of runs. */
  onRuns?: (runs: readonly Run[]) => void;
}

export function ChartsView({ runs, onRuns }: Props) {
  const shown = useSignal(runs);
  shown.value = runs;
  const page = usePage(shown);
  const large = param("open");
  const shape = useShape(page);
  // Runs are often listed anew; a stream begins anew only when other ones go on.
  const runningKey = useComputed(() =>
    JSON.stringify(shown.value.filter((run) => run.state === "running").map((run) => run.id)),
  );
  const running = useComputed(() => JSON.parse(runningKey.value) as string[]);
  useEffectAtOnce(() => {
    if (shape.value) page.store.reshape(shape.value);
  });
  useEffectAtOnce(() => {
    if (epoch.value) page.store.renew();
  });
  useEffect(() => {
    const stop = follow(page.store, {
      shape: () => shape.value,
      running: () => running.value,
      onRuns: (news) => onRuns?.(news),
    });
    return () => {
      stop();
      page.store.close();
      page.sight.close();
    };
  }, [page.store]);
  useShortcuts([
    { keys: "/", what: "Search metrics", run: () => focusSearch(METRIC_SEARCH) },
    { keys: "l", what: "Logarithmic y axis", run: () => setOptions({ logY: !options.peek().logY }) },
    {
      keys: "b",
      what: "Bands on and off",
      run: () => setOptions({ bands: options.peek().bands === "off" ? "minmax" : "off" }),
    },
    { keys: "0", what: "Show the whole x axis", run: () => setOptions({ zoom: undefined }) },
  ]);
  return (
    <ChartPageProvider value={page}>
      <Toolbar grouping={runs.length > 1} />
      <Sections search={param("m")} live={running.value.length > 0} />
      {large && <Large key={large} metric={large} />}
    </ChartPageProvider>
  );
}

/** What the service is asked for; the same object as long as that does not change. */
function useShape(page: ChartPage): ReadonlySignal<Shape | undefined> {
  const key = useComputed(() => {
    const { value } = options;
    // Without its name there is no such axis yet.
    if (!page.runIds.value.length || value.x === "metric:") return "";
    // What changes only the drawing makes no new request.
    const asked = {
      ...value,
      logY: false,
      clip: false,
      bands: value.bands === "quantiles" ? value.bands : "minmax",
    };
    const points = param("open") ? LARGE_POINTS : PANEL_POINTS;
    return JSON.stringify({ runs: page.runIds.value, options: asked, points });
  });
  return useComputed(() => (key.value ? (JSON.parse(key.value) as Shape) : undefined));
}

function usePage(runs: ReadonlySignal<readonly RunRow[]>): ChartPage {
  const cursor = useSignal<Cursor | undefined>(undefined);
  const store = useMemo(() => new ChartStore(), []);
  // Runs are often listed anew; the page follows only when other ones are shown.
  const key = useComputed(() => JSON.stringify(runs.value.map((run) => run.id)));
  const runIds = useComputed<readonly string[]>(() => {
    const ids = JSON.parse(key.value) as string[];
    assign(ids);
    return ids;
  });
  const labelling = useComputed(() => ({ titles: titles(runs.value), single: runs.value.length === 1 }));
  return useMemo(() => ({ store, cursor, labelling, runIds, sight: new Sight(NEAR) }), []);
}
