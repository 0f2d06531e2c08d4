import { lazy, type ReactNode, Suspense } from "react";
import "./markdown.css";

const MarkdownText = lazy(() => import("./MarkdownText.tsx"));

/** Whether a text may mean Markdown: one without any of its signs is shown as it is, and nothing is loaded for it. */
const SIGNS = /[*_`[\]#>|]|^\s*(?:[-+]|\d+[.)])\s|\n\n/m;

/** A text that may have Markdown in it. */
export function RichText({ text }: { text: string }): ReactNode {
  const plain = <bdi className="rich-plain">{text}</bdi>;
  if (!SIGNS.test(text)) return plain;
  return (
    <Suspense fallback={plain}>
      <MarkdownText text={text} />
    </Suspense>
  );
}
