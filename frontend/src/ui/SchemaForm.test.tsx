import { fireEvent, render, screen } from "@testing-library/react";
import { useState } from "react";
import { expect, it } from "vitest";
import { initial, SchemaField } from "./SchemaForm.tsx";

function Form({ schema, told }: { schema: unknown; told: (value: unknown) => void }) {
  const [value, setValue] = useState(() => initial(schema));
  const change = (next: unknown) => {
    setValue(next);
    told(next);
  };
  return <SchemaField schema={schema} root={schema} label="Value" value={value} onChange={change} required />;
}

it("an object has a field for each property, of the kind that it is", () => {
  let value: unknown;
  const schema = {
    type: "object",
    properties: {
      region: { enum: ["eu", "us"] },
      canary: { type: "integer", minimum: 1, default: 5 },
      notify: { type: "boolean" },
      note: { type: "string", maxLength: 20 },
      extra: { $ref: "#/$defs/Pair" },
    },
    required: ["region", "canary"],
    $defs: { Pair: { type: "object", properties: { left: { type: "number" } } } },
  };
  render(
    <Form
      schema={schema}
      told={(next) => {
        value = next;
      }}
    />,
  );
  fireEvent.change(screen.getByLabelText(/region/), { target: { value: "1" } });
  fireEvent.change(screen.getByLabelText(/canary/), { target: { value: "7" } });
  fireEvent.click(screen.getByLabelText(/notify/));
  fireEvent.change(screen.getByLabelText(/note/), { target: { value: "slowly" } });
  fireEvent.change(screen.getByLabelText(/left/), { target: { value: "1.5" } });
  expect(value).toEqual({ region: "us", canary: 7, notify: true, note: "slowly", extra: { left: 1.5 } });
});

it("what has no input of its own is written as JSON", () => {
  let value: unknown;
  render(
    <Form
      schema={{ anyOf: [{ type: "string" }, { type: "array" }] }}
      told={(next) => {
        value = next;
      }}
    />,
  );
  fireEvent.change(screen.getByLabelText(/JSON/), { target: { value: "[1," } });
  screen.getByText("This is no JSON yet.");
  fireEvent.change(screen.getByLabelText(/JSON/), { target: { value: "[1, 2]" } });
  expect(value).toEqual([1, 2]);
});

it("a schema that refers to itself does not go on for ever", () => {
  const schema = {
    $defs: { A: { type: "object", properties: { a: { $ref: "#/$defs/A" } }, required: ["a"] } },
    $ref: "#/$defs/A",
  };
  render(<Form schema={schema} told={() => {}} />);
  const loop = { $ref: "#/$defs/B", $defs: { B: { $ref: "#/$defs/B" } } };
  render(<Form schema={loop} told={() => {}} />);
});
