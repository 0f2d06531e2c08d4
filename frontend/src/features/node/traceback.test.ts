import { expect, it } from "vitest";
import { isTraceback, traceback } from "./traceback.ts";

const PYTHON = `Traceback (most recent call last):
  File "/srv/app/steps.py", line 88, in research
    pages = await fetch_all(urls)
            ^^^^^^^^^^^^^^^^^^^^^
  File "/usr/lib/python3.12/site-packages/httpx/_client.py", line 1768, in get
    return await self.request(
  File "/usr/lib/python3.12/asyncio/tasks.py", line 520, in wait_for
    return await fut
  File "/srv/app/web.py", line 31, in read
    raise ValueError("no")
ValueError: no`;

const shown = (text: string) => traceback(text).map(({ kind, frames }) => `${kind} ${frames}`);

it("frames of installed packages and of the standard library are one part, between one's own", () => {
  expect(shown(PYTHON)).toEqual(["text 0", "own 1", "foreign 2", "own 1", "text 0"]);
  expect(traceback(PYTHON)[1]?.lines).toHaveLength(3);
  expect(traceback(PYTHON)[2]?.names).toEqual(["httpx", "python"]);
  expect(
    traceback(PYTHON)
      .flatMap((one) => one.lines)
      .join("\n"),
  ).toBe(PYTHON);
});

it("a chain of tracebacks keeps what stands between them", () => {
  const chain = `${PYTHON}\n\nDuring handling of the above exception, another exception occurred:\n\n${PYTHON}`;
  expect(
    traceback(chain)
      .flatMap((one) => one.lines)
      .join("\n"),
  ).toBe(chain);
  expect(shown(chain).filter((one) => one.startsWith("own"))).toHaveLength(4);
});

it("a group of exceptions is read through its bars", () => {
  const group = `  + Exception Group Traceback (most recent call last):
  |   File "/srv/app/run.py", line 3, in main
  |     async with trio.open_nursery() as nursery:
  |   File "/venv/lib/python3.12/site-packages/trio/_core/_run.py", line 1, in __aexit__
  |     raise combined_error_from_nursery
  | ExceptionGroup: two (2 sub-exceptions)`;
  expect(shown(group)).toEqual(["text 0", "own 1", "foreign 1", "text 0"]);
});

it("reads what JavaScript and Java write", () => {
  const script = `TypeError: x is undefined
    at pay (/srv/shop/pay.js:12:7)
    at Layer.handle (/srv/shop/node_modules/express/lib/router/layer.js:95:5)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)`;
  expect(shown(script)).toEqual(["text 0", "own 1", "foreign 2"]);
  expect(traceback(script)[2]?.names).toEqual(["express", "node"]);
  const java = `Exception in thread "main" java.lang.RuntimeException: no
\tat org.example.Main.pay(Main.java:12)
\tat java.base.Thread.run(Thread.java:840)`;
  expect(shown(java)).toEqual(["text 0", "own 1", "foreign 1"]);
});

it("where no frame is one's own, the one nearest to the fault is open", () => {
  const foreign = `Traceback (most recent call last):
  File "/v/site-packages/a/one.py", line 1, in a
  File "/v/site-packages/b/two.py", line 2, in b
KeyError: 1`;
  expect(shown(foreign)).toEqual(["text 0", "foreign 1", "own 1", "text 0"]);
});

it("a message without frames is no traceback", () => {
  expect(isTraceback("expected 200, got 503\n    at noon")).toBe(false);
  expect(isTraceback(PYTHON)).toBe(true);
});
