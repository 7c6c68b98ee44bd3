/** How the charts of a page are drawn. */
import { useEffect, useState } from "preact/hooks";
import { change, param } from "../state/address";
import { type Bands, options, type Ranks, setOptions } from "../state/options";
import { Choice, Switch } from "../ui/Choice";
import { Icon } from "../ui/icons";
import { Menu } from "../ui/Menu";
import { Search } from "../ui/Search";
import { axisKind } from "./line";
import { Share } from "./Share";

const AXES = [
  ["", "as defined"],
  ["step", "step"],
  ["relative", "relative time"],
  ["time", "wall time"],
  ["metric", "a metric …"],
] as const;
const RANKS = [
  ["band", "all, as one"],
  ["all", "one line each"],
  ["worst", "stragglers"],
  ["0", "rank 0"],
] as const;
const BANDS = [
  ["minmax", "min – max"],
  ["quantiles", "quantiles"],
  ["off", "no band"],
] as const;

export const METRIC_SEARCH = "metric-search";

export function Toolbar({ grouping }: { grouping: boolean }) {
  const shown = options.value;
  const axis = shown.x && axisKind(shown.x);
  return (
    <div class="toolbar" role="toolbar" aria-label="Charts">
      <Search
        id={METRIC_SEARCH}
        value={param("m")}
        placeholder="Search metrics"
        title="A text, a glob* or a /regex/ (/)"
        label="Search metrics"
        onChange={(m) => change({ m })}
      />
      <Choice
        label="x"
        value={axis}
        options={AXES}
        onChange={(kind) =>
          setOptions({ x: kind === "metric" ? "metric:" : kind, ...(kind === "time" ? { logX: false } : {}) })
        }
      />
      {axis === "metric" && <AxisMetric />}
      <Smoothing />
      <Choice
        label="ranks"
        value={String(shown.ranks)}
        options={RANKS}
        onChange={(ranks) =>
          setOptions({ ranks: Number.isNaN(Number(ranks)) ? (ranks as Ranks) : Number(ranks) })
        }
      />
      <Choice<Bands>
        label="band"
        value={shown.bands}
        options={BANDS}
        onChange={(bands) => setOptions({ bands })}
      />
      <div class="switches">
        <Switch
          label="log y"
          title="Logarithmic y axis (l)"
          on={shown.logY}
          onChange={(logY) => setOptions({ logY })}
        />
        {axis !== "time" && (
          <Switch
            label="log x"
            title="Logarithmic x axis"
            on={shown.logX}
            onChange={(logX) => setOptions({ logX })}
          />
        )}
        <Switch
          label="clip"
          title="Leave the lowest and highest hundredth out of the y range"
          on={shown.clip}
          onChange={(clip) => setOptions({ clip })}
        />
      </div>
      {grouping && <GroupBy />}
      <Share />
      {shown.zoom && (
        <button
          type="button"
          class="chip"
          title="Show all (0, or double click)"
          onClick={() => setOptions({ zoom: undefined })}
        >
          <Icon name="reset" size={13} /> zoomed
        </button>
      )}
    </div>
  );
}

function Smoothing() {
  const { smooth } = options.value;
  // The slider follows the finger at once, the charts follow when it rests.
  const [value, setValue] = useState(smooth);
  useEffect(() => setValue(smooth), [smooth]);
  // Squeezed towards 1, where a little changes much.
  const place = 1 - (1 - value) ** (1 / 3);
  return (
    <label class="choice slider">
      <span>smooth</span>
      <input
        type="range"
        min="0"
        max="0.83"
        step="0.01"
        value={place}
        aria-label="Smoothing"
        onInput={(event) => setValue(weight(event.currentTarget.valueAsNumber))}
        onChange={(event) => setOptions({ smooth: weight(event.currentTarget.valueAsNumber) })}
      />
      <output>{value ? value.toFixed(2) : "off"}</output>
    </label>
  );
}

function weight(place: number): number {
  return Number((1 - (1 - place) ** 3).toFixed(3));
}

function AxisMetric() {
  const name = options.value.x.slice("metric:".length);
  return (
    <Search
      value={name}
      placeholder="Name of the metric"
      label="Metric on the x axis"
      onChange={(text) => setOptions({ x: `metric:${text.trim()}` })}
    />
  );
}

function GroupBy() {
  const { groupBy } = options.value;
  return (
    <Menu
      label={<>group{groupBy && `: ${groupBy}`}</>}
      title="One line for runs that have something in common"
    >
      {(close) => (
        <div class="form">
          <label>
            Runs in one line that have the same
            <input
              type="text"
              value={groupBy}
              placeholder="group, tags, config.lr …"
              spellcheck={false}
              onKeyDown={(event) => {
                if (event.key !== "Enter") return;
                setOptions({ groupBy: event.currentTarget.value.trim() });
                close();
              }}
            />
          </label>
          {["", "group", "job_type", "tags", "state"].map((key) => (
            <button
              type="button"
              key={key}
              class="menu-item"
              onClick={() => {
                setOptions({ groupBy: key });
                close();
              }}
            >
              {key || "a line for each run"}
            </button>
          ))}
        </div>
      )}
    </Menu>
  );
}
