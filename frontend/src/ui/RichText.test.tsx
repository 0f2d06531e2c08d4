import { render, screen } from "@testing-library/react";
import { expect, it } from "vitest";
import { RichText } from "./RichText.tsx";

it("emphasis, code and lists of Markdown are shown as such", async () => {
  const { container } = render(<RichText text={"**Draft** has `4` chapters:\n\n- one\n- two"} />);
  expect((await screen.findByText("Draft")).tagName).toBe("STRONG");
  expect(container.querySelector("code")?.textContent).toBe("4");
  expect([...container.querySelectorAll("li")].map((one) => one.textContent)).toEqual(["one", "two"]);
});

it("HTML is text, no script address is followed, and no image is loaded", async () => {
  const text =
    "Go <script>alert(1)</script> **x** [a](javascript:alert(1)) [b](https://example.org) ![c](https://example.org/c.png)";
  const { container } = render(<RichText text={text} />);
  await screen.findByText("x");
  expect(container.querySelectorAll("script, img")).toHaveLength(0);
  expect([...container.querySelectorAll("a")].map((one) => one.href)).toEqual([
    "https://example.org/",
    "https://example.org/c.png",
  ]);
  expect(container.textContent).toContain("<script>alert(1)</script>");
});

it("a text without any sign of it stays as it is", () => {
  const { container } = render(<RichText text="Deploy to production? 5 % first." />);
  expect(container.innerHTML).toBe('<bdi class="rich-plain">Deploy to production? 5 % first.</bdi>');
});
