/** A button that opens a small panel; it closes by Escape or a click beside it. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

interface Props {
  label: ComponentChildren;
  title?: string;
  class?: string;
  /** Where the panel hangs. */
  align?: "left" | "right";
  children: (close: () => void) => ComponentChildren;
}

export function Menu({ label, title, align = "left", children, ...rest }: Props) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    const outside = (event: Event) => {
      if (event.target instanceof Node && !root.current?.contains(event.target)) setOpen(false);
    };
    const byKey = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      setOpen(false);
      root.current?.querySelector("button")?.focus();
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("keydown", byKey, true);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("keydown", byKey, true);
    };
  }, [open]);
  return (
    <div class="menu" ref={root}>
      <button
        type="button"
        title={title}
        aria-label={title}
        aria-expanded={open}
        onClick={() => setOpen(!open)}
        {...rest}
      >
        {label}
      </button>
      {open && <div class={`menu-panel ${align}`}>{children(() => setOpen(false))}</div>}
    </div>
  );
}
