import { type FormEvent, type ReactNode, useState } from "react";

/** A time as a field of the browser's has it: local, without an offset. */
function local(ms: number): string {
  if (!Number.isFinite(ms)) return "";
  const offset = new Date(ms).getTimezoneOffset() * 60_000;
  return new Date(ms - offset).toISOString().slice(0, 19);
}

interface TimeFormProps {
  /** What is in the field at first, in milliseconds. */
  readonly from: number;
  readonly label: string;
  readonly disabled: boolean;
  readonly onTime: (ms: number) => void;
}

/** A field for a time of day and date, in the viewer's time zone. */
export function TimeForm({ from, label, disabled, onTime }: TimeFormProps): ReactNode {
  const [value, setValue] = useState<string | null>(null);
  const send = (event: FormEvent) => {
    event.preventDefault();
    const ms = new Date(value ?? local(from)).getTime();
    if (Number.isFinite(ms)) onTime(ms);
    setValue(null);
  };
  return (
    <form className="row time-form" onSubmit={send}>
      <input
        className="input"
        type="datetime-local"
        step={1}
        required
        aria-label={label}
        value={value ?? local(from)}
        onChange={({ target }) => setValue(target.value)}
      />
      <button type="submit" className="button" disabled={disabled}>
        Go
      </button>
    </form>
  );
}
