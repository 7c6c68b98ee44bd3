/** What the panels of a page have in common. */
import type { ReadonlySignal, Signal } from "@preact/signals";
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Labelling } from "./labels";
import type { Cursor } from "./Plot";
import type { Sight } from "./sight";
import type { ChartStore } from "./store";

export interface ChartPage {
  store: ChartStore;
  cursor: Signal<Cursor | undefined>;
  labelling: ReadonlySignal<Labelling>;
  runIds: ReadonlySignal<readonly string[]>;
  sight: Sight;
}

const Context = createContext<ChartPage | undefined>(undefined);

export const ChartPageProvider = Context.Provider;

export function useChartPage(): ChartPage {
  const page = useContext(Context);
  if (!page) throw new Error("a panel stands outside a page of charts");
  return page;
}
