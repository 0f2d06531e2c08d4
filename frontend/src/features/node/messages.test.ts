import fc from "fast-check";
import { expect, it } from "vitest";
import { isOwnImage, messagesOf } from "./messages.ts";

const text = (said: string) => ({ kind: "text", text: said });

it("reads messages of OpenTelemetry's conventions", () => {
  expect(
    messagesOf([
      { role: "user", parts: [{ type: "text", content: "Weather?" }] },
      {
        role: "assistant",
        parts: [
          { type: "reasoning", content: "hm" },
          { type: "tool_call", id: "1", name: "weather", arguments: { place: "here" } },
        ],
      },
      { role: "tool", parts: [{ type: "tool_call_response", id: "1", response: "rainy" }] },
    ]),
  ).toEqual([
    { role: "user", name: undefined, parts: [text("Weather?")] },
    {
      role: "assistant",
      name: undefined,
      parts: [
        { kind: "reasoning", text: "hm" },
        { kind: "call", name: "weather", id: "1", args: { place: "here" } },
      ],
    },
    { role: "tool", name: undefined, parts: [{ kind: "result", id: "1", value: "rainy", failed: false }] },
  ]);
});

it("reads messages with tool calls beside the content, and what the tool answered", () => {
  const call = { id: "c", type: "function", function: { name: "find", arguments: '{"q":"x"}' } };
  expect(
    messagesOf({
      messages: [
        { role: "assistant", content: null, tool_calls: [call] },
        { role: "tool", tool_call_id: "c", content: '[{"hit":1}]' },
      ],
    }),
  ).toEqual([
    {
      role: "assistant",
      name: undefined,
      parts: [{ kind: "call", name: "find", id: "c", args: { q: "x" } }],
    },
    {
      role: "tool",
      name: undefined,
      parts: [{ kind: "result", id: "c", value: [{ hit: 1 }], failed: false }],
    },
  ]);
});

it("reads blocks, a system text beside the messages, and choices", () => {
  expect(
    messagesOf({
      system: "Be brief.",
      messages: [
        { role: "assistant", content: [{ type: "tool_use", id: "t", name: "run", input: { a: 1 } }] },
        {
          role: "user",
          content: [
            {
              type: "tool_result",
              tool_use_id: "t",
              is_error: true,
              content: [{ type: "text", text: "no" }],
            },
          ],
        },
      ],
    }),
  ).toEqual([
    { role: "system", name: undefined, parts: [text("Be brief.")] },
    { role: "assistant", name: undefined, parts: [{ kind: "call", name: "run", id: "t", args: { a: 1 } }] },
    { role: "user", name: undefined, parts: [{ kind: "result", id: "t", value: "no", failed: true }] },
  ]);
  expect(messagesOf({ choices: [{ message: { role: "assistant", content: "hi" } }] })?.[0]?.parts).toEqual([
    text("hi"),
  ]);
});

it("what is no message is left to be shown as JSON", () => {
  for (const one of [null, 5, "text", [], {}, [{ role: "user" }], [{ content: "x" }], [1], { a: 1 }])
    expect(messagesOf(one)).toBeNull();
});

it("a part of an unknown kind is shown as JSON, and nothing is lost", () => {
  const odd = { type: "audio", data: "…" };
  expect(messagesOf([{ role: "user", content: [odd, 5] }])?.[0]?.parts).toEqual([
    { kind: "json", value: odd },
    { kind: "json", value: 5 },
  ]);
});

it("an image is its address or its data; only pictures in the page itself are loaded", () => {
  const parts = messagesOf([
    {
      role: "user",
      content: [
        { type: "image_url", image_url: { url: "https://example.org/a.png" } },
        { type: "image", source: { type: "base64", media_type: "image/png", data: "AAAA" } },
      ],
    },
  ])?.[0]?.parts;
  expect(parts).toEqual([
    { kind: "image", source: "https://example.org/a.png" },
    { kind: "image", source: "data:image/png;base64,AAAA" },
  ]);
  expect(isOwnImage("data:image/png;base64,AAAA")).toBe(true);
  for (const other of [
    "https://example.org/a.png",
    "data:image/svg+xml;base64,AAAA",
    "data:text/html,x",
    "//x/y",
  ])
    expect(isOwnImage(other)).toBe(false);
});

it("reads anything without failing", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      messagesOf(value);
      messagesOf([{ role: "user", content: value, parts: value, tool_calls: value }]);
      messagesOf([{ role: "tool", tool_call_id: "x", content: [value] }]);
    }),
  );
});
