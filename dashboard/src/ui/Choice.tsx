/** A choice of a few, with what it is about in front. */
interface Props<T extends string> {
  label: string;
  value: T;
  options: readonly (readonly [T, string])[];
  onChange(value: T): void;
}

export function Choice<T extends string>({ label, value, options, onChange }: Props<T>) {
  const known = options.some(([key]) => key === value);
  return (
    <label class="choice">
      <span>{label}</span>
      <select value={value} onChange={(event) => onChange(event.currentTarget.value as T)}>
        {!known && <option value={value}>{value}</option>}
        {options.map(([key, text]) => (
          <option key={key} value={key}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

interface SwitchProps {
  label: string;
  title: string;
  on: boolean;
  onChange(on: boolean): void;
}

export function Switch({ label, title, on, onChange }: SwitchProps) {
  return (
    <button type="button" class="switch" aria-pressed={on} title={title} onClick={() => onChange(!on)}>
      {label}
    </button>
  );
}
