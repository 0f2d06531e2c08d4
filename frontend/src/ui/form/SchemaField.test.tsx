import { fireEvent, render, screen } from "@testing-library/react";
import { useState } from "react";
import { expect, it } from "vitest";
import { SchemaField } from "./SchemaField.tsx";
import { fault, fitting, initial, variants } from "./schema.ts";

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
      schema={{ type: "array", items: { type: "array" } }}
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

it("what may be left out begins with its default; what a person has to choose begins with nothing", () => {
  const schema = {
    type: "object",
    required: ["tone", "only", "notes", "maybe"],
    properties: {
      tone: { enum: ["formal", "casual"] },
      only: { enum: ["this"] },
      notes: { type: "array", items: { type: "string" } },
      maybe: { anyOf: [{ type: "string" }, { type: "null" }] },
      words: { type: "integer", default: 900 },
      style: { type: "object", properties: { serif: { type: "boolean", default: true } } },
      bound: {
        type: "object",
        required: ["to"],
        properties: { to: { type: "string" }, by: { type: "string", default: "hand" } },
      },
      absent: { anyOf: [{ type: "integer" }, { type: "null" }], default: null },
    },
  };
  expect(initial(schema)).toEqual({
    only: "this",
    notes: [],
    maybe: null,
    words: 900,
    style: { serif: true },
    absent: null,
  });
});

it.each([
  [{ type: "string", minLength: 2 }, "a", "ab"],
  [{ type: "string", maxLength: 1 }, "ab", "😀"],
  [{ type: "string", pattern: "^[a-z]+$" }, "a1", "ab"],
  [{ type: "string", format: "date-time" }, "tomorrow", "2026-01-31T12:00:00Z"],
  [{ type: "integer" }, 1.5, 2],
  [{ type: "number", minimum: 1 }, 0, 1],
  [{ type: "number", maximum: 1 }, 2, 1],
  [{ type: "number", exclusiveMinimum: 1 }, 1, 1.1],
  [{ type: "number", exclusiveMaximum: 1 }, 1, 0.9],
  [{ type: "number", multipleOf: 0.1 }, 0.25, 0.3],
  [{ type: "array", minItems: 2 }, ["a"], ["a", "b"]],
  [{ type: "array", maxItems: 1 }, ["a", "b"], ["a"]],
  [{ type: "array", uniqueItems: true }, ["a", "a"], ["a", "b"]],
  [{ type: "array", items: { type: "string", minLength: 2 } }, ["ab", "a"], ["ab"]],
])("%j takes no %j, but %j", (schema, wrong, right) => {
  expect(fault(schema, wrong)).not.toBe("");
  expect(fault(schema, right)).toBe("");
});

it("a list has one item a line, of texts and of numbers", () => {
  let value: unknown;
  const schema = {
    type: "object",
    properties: {
      sections: { type: "array", items: { type: "string" } },
      sizes: { type: "array", items: { type: "integer" } },
    },
  };
  render(
    <Form
      schema={schema}
      told={(next) => {
        value = next;
      }}
    />,
  );
  fireEvent.change(screen.getByLabelText(/sections/), {
    target: { value: "Intro, part one\n\n Results \n" },
  });
  fireEvent.change(screen.getByLabelText(/sizes/), { target: { value: "1\n9007199254740993" } });
  expect(value).toEqual({ sections: ["Intro, part one", "Results"], sizes: [1, 9007199254740993n] });
  fireEvent.change(screen.getByLabelText(/sizes/), { target: { value: "1, 2" } });
  screen.getByText(/“1, 2” is no number/);
});

const PAY = {
  title: "How to pay",
  oneOf: [
    {
      title: "By card",
      type: "object",
      properties: { kind: { const: "card" }, number: { type: "string", maxLength: 20 } },
      required: ["kind", "number"],
    },
    { $ref: "#/$defs/Bill" },
    { const: "free" },
  ],
  $defs: {
    Bill: {
      type: "object",
      properties: { kind: { const: "bill" }, days: { type: "integer", default: 14 } },
      required: ["kind"],
    },
  },
};

it("of several schemas one is chosen, then filled in; nothing is preset", () => {
  let value: unknown = "not told";
  render(
    <Form
      schema={PAY}
      told={(next) => {
        value = next;
      }}
    />,
  );
  const which = screen.getByLabelText(/How to pay/) as HTMLSelectElement;
  expect([...which.options].map((one) => one.textContent)).toEqual(["choose …", "By card", "bill", "free"]);
  expect(which.value).toBe("");
  expect(which.checkValidity()).toBe(false);
  fireEvent.change(which, { target: { value: "0" } });
  fireEvent.change(screen.getByLabelText(/number/), { target: { value: "4711" } });
  expect(value).toEqual({ kind: "card", number: "4711" });
  screen.getByText("card");
  fireEvent.change(which, { target: { value: "1" } });
  expect(value).toEqual({ kind: "bill", days: 14 });
  expect(screen.queryByLabelText(/number/)).toBeNull();
  fireEvent.change(which, { target: { value: "2" } });
  expect(value).toBe("free");
  fireEvent.change(which, { target: { value: "" } });
  expect(value).toBeUndefined();
});

it("what is proposed chooses its variant, and what holds for all variants is filled in with each", () => {
  const schema = {
    type: "object",
    properties: { name: { type: "string", maxLength: 9 } },
    required: ["name"],
    anyOf: [
      { title: "Small", properties: { size: { const: 1 } }, required: ["size"] },
      { title: "Large", properties: { size: { const: 9 } }, required: ["size"] },
    ],
    default: { name: "x", size: 9 },
  };
  const all = variants(schema, schema);
  expect(fitting(all, initial(schema), schema)).toBe(1);
  expect(fitting(all, { size: 9 }, schema)).toBe(-1);
  render(<Form schema={schema} told={() => {}} />);
  expect((screen.getByLabelText(/Value/) as HTMLSelectElement).value).toBe("1");
  expect((screen.getByLabelText(/name/) as HTMLInputElement).value).toBe("x");
});
