/** From the lines of a panel to what is drawn. */
import type { Options } from "../state/options";
import { assign, inkOf } from "../state/slots";
import { inkKey, type Labelling, labelOf } from "./labels";
import { axisKind } from "./line";
import type { Scene } from "./scene";
import type { PanelData } from "./store";

export function sceneOf(data: PanelData, shown: Options, labelling: Labelling): Scene {
  // Ranks and groups have inks of their own, beside those of the runs.
  assign(data.lines.map((line) => inkKey(line, labelling)));
  return {
    drawn: data.lines.map((line) => ({
      line,
      ink: inkOf(inkKey(line, labelling)),
      label: labelOf(line, labelling),
    })),
    axis: axisKind(data.axis),
    axisLabel: data.axis.replace(/^metric:/, ""),
    logX: shown.logX,
    logY: shown.logY,
    bands: shown.bands !== "off",
    view: shown.zoomX === data.axis ? shown.zoom : undefined,
    clip: shown.clip,
  };
}
