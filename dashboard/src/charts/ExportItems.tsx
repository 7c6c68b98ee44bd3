/** The kinds of files that a chart can be saved as, in a menu. */
import { FORMATS, type Format } from "./export";

interface Props {
  name?: (format: Format) => string;
  onChoose(format: Format): void;
}

export function ExportItems({ name = (format) => format, onChoose }: Props) {
  return (
    <>
      {FORMATS.map((format) => (
        <button type="button" key={format} class="menu-item" onClick={() => onChoose(format)}>
          {name(format)}
        </button>
      ))}
    </>
  );
}
