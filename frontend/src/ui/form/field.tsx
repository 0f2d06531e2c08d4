/** What the fields of a form have in common: what they are given, their labels, and how a fault is shown. */
import { type ReactNode, type RefObject, useEffect, useRef } from "react";
import { type Fields, writeExact } from "../../core/index.ts";

export interface SchemaFieldProps {
  readonly schema: unknown;
  /** The whole schema, which local references point into. */
  readonly root: unknown;
  readonly label: string;
  readonly required?: boolean;
  readonly value: unknown;
  readonly onChange: (value: unknown) => void;
  readonly depth?: number;
}

/** What the kinds of fields are given: their schema is resolved. */
export interface KindProps extends Omit<SchemaFieldProps, "schema"> {
  readonly schema: Fields;
}

export type Control = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;

/** Tell the browser what is wrong with a field: its form is then not sent, and the field is marked. */
export function useFault<T extends Control>(words: string): RefObject<T | null> {
  const field = useRef<T>(null);
  useEffect(() => field.current?.setCustomValidity(words), [words]);
  return field;
}

export interface LabelProps {
  readonly id: string;
  readonly schema: Fields;
  readonly label: string;
  readonly required?: boolean | undefined;
  readonly hint?: string;
}

export function Label({ id, schema, label, required, hint }: LabelProps): ReactNode {
  const description = typeof schema.description === "string" ? schema.description : null;
  return (
    <label htmlFor={id}>
      {typeof schema.title === "string" ? schema.title : label}
      {hint !== undefined && ` (${hint})`}
      {required === true && <span aria-hidden="true"> *</span>}
      {description !== null && <span className="muted"> – {description}</span>}
    </label>
  );
}

export function Wrong({ id, words }: { id: string; words: string }): ReactNode {
  return words === "" ? null : (
    <span id={`${id}-wrong`} className="field-wrong">
      {words}
    </span>
  );
}

/** The attributes of a field whose text is wrong. */
export function marked(id: string, words: string) {
  return words === "" ? {} : { "aria-invalid": true, "aria-describedby": `${id}-wrong` };
}

export const shown = (one: unknown) => (typeof one === "string" ? one : writeExact(one));
