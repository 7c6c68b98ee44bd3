/** The colours of a chart's frame, from the style sheet. */
export interface ChartStyle {
  ground: string;
  grid: string;
  axis: string;
  text: string;
  dim: string;
  font: string;
}

export function chartStyle(): ChartStyle {
  const style = getComputedStyle(document.documentElement);
  const get = (name: string) => style.getPropertyValue(name).trim();
  return {
    ground: get("--panel"),
    grid: get("--grid"),
    axis: get("--line"),
    text: get("--text"),
    dim: get("--dim"),
    font: get("--font"),
  };
}
