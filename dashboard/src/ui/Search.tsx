/** A text field that tells of its text when the person pauses. */
import { useEffect, useRef, useState } from "preact/hooks";
import { Icon, type IconName } from "./icons";

interface Props {
  value: string;
  placeholder: string;
  label: string;
  title?: string;
  icon?: IconName;
  /** Told after a pause, or at once by Enter. */
  onChange(text: string): void;
  invalid?: boolean;
  code?: boolean;
  /** For the key that jumps here. */
  id?: string;
}

const PAUSE_MS = 250;

export function Search({
  value,
  placeholder,
  label,
  title,
  icon = "search",
  onChange,
  invalid = false,
  code = false,
  id,
}: Props) {
  const [text, setText] = useState(value);
  const timer = useRef(0);
  const said = useRef(value);
  const latest = useRef(onChange);
  latest.current = onChange;
  // The address may change by Back as well.
  useEffect(() => {
    if (value !== said.current) setText(value);
    said.current = value;
  }, [value]);
  const say = (next: string) => {
    clearTimeout(timer.current);
    said.current = next;
    latest.current(next);
  };
  return (
    <label class={invalid ? "search invalid" : "search"}>
      <Icon name={icon} size={14} />
      <input
        type="search"
        id={id}
        class={code ? "code" : ""}
        value={text}
        placeholder={placeholder}
        aria-label={label}
        title={title}
        aria-invalid={invalid}
        spellcheck={false}
        autocomplete="off"
        onInput={(event) => {
          const next = event.currentTarget.value;
          setText(next);
          clearTimeout(timer.current);
          timer.current = window.setTimeout(() => say(next), PAUSE_MS);
        }}
        onKeyDown={(event) => event.key === "Enter" && say(event.currentTarget.value)}
      />
    </label>
  );
}

/** Puts the caret into the field with this id. */
export function focusSearch(id: string): void {
  const field = document.getElementById(id);
  if (field instanceof HTMLInputElement) {
    field.focus();
    field.select();
  }
}
