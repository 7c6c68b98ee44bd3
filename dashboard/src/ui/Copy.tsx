/** An entry of a menu that copies a text, and says that it did. */
import { useState } from "preact/hooks";
import { copy } from "../lib/clipboard";

const SAID_MS = 1500;

interface Props {
  name: string;
  text: () => string;
  onDone: () => void;
}

export function Copy({ name, text, onDone }: Props) {
  const [said, setSaid] = useState("");
  return (
    <button
      type="button"
      class="menu-item"
      title={text()}
      onClick={async () => {
        setSaid((await copy(text())) ? "Copied" : "The browser gives no clipboard");
        setTimeout(onDone, SAID_MS);
      }}
    >
      <span role="status">{said || name}</span>
    </button>
  );
}
