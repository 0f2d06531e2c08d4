import axe from "axe-core";
import { type Browser, chromium, type Locator, type Page } from "playwright-core";
import { expect } from "vitest";

export type { Browser, Locator, Page };

export const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Screens that a new view is tried on: name, width, height, colour scheme. */
export const SCREENS = [
  ["desktop", 1280, 720, "light"],
  ["dark", 1280, 720, "dark"],
  ["zoomed", 640, 360, "light"],
  ["phone", 390, 780, "dark"],
] as const;

export function launch(args: readonly string[] = []): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", ...args] });
}

export interface Look {
  readonly width?: number;
  readonly height?: number;
  readonly scheme?: "light" | "dark";
  /** Whatever moves may move. */
  readonly motion?: boolean;
  /** Touched by fingers. */
  readonly touch?: boolean;
  /** Console errors that a test means to cause. */
  readonly expected?: RegExp;
}

/** A page that notes whatever the browser complains of. */
export async function open(browser: Browser, look: Look = {}): Promise<{ page: Page; complaints: string[] }> {
  const { width = 1280, height = 800, scheme = "light", touch = false, motion = false, expected } = look;
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: scheme,
    reducedMotion: motion ? "no-preference" : "reduce",
    ...(touch ? { hasTouch: true, isMobile: true } : {}),
  });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const complaints: string[] = [];
  const note = (text: string) => {
    if (expected?.test(text) !== true) complaints.push(text);
  };
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") note(message.text());
  });
  page.on("pageerror", (error) => note(String(error)));
  return { page, complaints };
}

/** What axe finds wrong with a page; nothing is wanted. */
export async function accessible(page: Page): Promise<void> {
  await page.evaluate(axe.source);
  const violations = await page.evaluate(async () => {
    const { axe: run } = window as unknown as {
      axe: {
        run(): Promise<{ violations: { id: string; nodes: { html: string; failureSummary: string }[] }[] }>;
      };
    };
    const found = await run.run();
    return found.violations.flatMap(({ id, nodes }) =>
      nodes.slice(0, 3).map((one) => `${id}: ${one.html.slice(0, 200)} ${one.failureSummary}`),
    );
  });
  expect(violations).toEqual([]);
}

/** Nothing sticks out to the side. */
export async function fits(page: Page): Promise<void> {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  expect(over).toBeLessThanOrEqual(0);
}

/** No link or button covers another one beside it, and no toolbar takes the page. */
export async function apart(page: Page): Promise<void> {
  const share = await page.evaluate(() =>
    [...document.querySelectorAll(".toolbar")].map((one) => one.clientHeight / window.innerHeight),
  );
  expect(Math.max(0, ...share)).toBeLessThan(0.3);
  const covered = await page.evaluate(() => {
    const found: string[] = [];
    for (const parent of document.querySelectorAll("nav, .toolbar, .topbar, .project-head, .row")) {
      const inside = [...parent.querySelectorAll(":scope > :is(a, button, input, select)")]
        .map((one) => ({ name: one.textContent ?? "", ink: ink(one) }))
        .filter(({ ink: { width, height } }) => width * height > 0);
      for (const [n, { name, ink: box }] of inside.entries()) {
        const over = inside.slice(n + 1).find(({ ink: other }) => {
          const wide = Math.min(box.right, other.right) - Math.max(box.left, other.left);
          return wide > 1 && Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top) > 1;
        });
        if (over !== undefined) found.push(`${name} / ${over.name}`);
      }
    }
    return found;

    /** Where a control is, or its words if they stick out of it. */
    function ink(one: Element): DOMRect {
      const range = document.createRange();
      range.selectNodeContents(one);
      const [words, box] = [range.getBoundingClientRect(), one.getBoundingClientRect()];
      return words.width > box.width && one.querySelector(".hidden-text") === null ? words : box;
    }
  });
  expect(covered).toEqual([]);
}
