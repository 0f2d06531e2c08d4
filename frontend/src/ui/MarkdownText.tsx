import type { ReactNode } from "react";
import Markdown, { type Components } from "react-markdown";
import { OutsideLink } from "./link.tsx";

/** Links as everywhere else; an image is a link to it: nothing is loaded from elsewhere. Headings are no headings of the page. */
const COMPONENTS: Components = {
  a: ({ href, children }) => <OutsideLink href={href ?? ""}>{children}</OutsideLink>,
  img: ({ src, alt }) => <OutsideLink href={String(src ?? "")}>{alt || String(src ?? "")}</OutsideLink>,
  h1: ({ children }) => <strong className="markdown-head">{children}</strong>,
  h2: ({ children }) => <strong className="markdown-head">{children}</strong>,
  h3: ({ children }) => <strong className="markdown-head">{children}</strong>,
  h4: ({ children }) => <strong className="markdown-head">{children}</strong>,
  h5: ({ children }) => <strong className="markdown-head">{children}</strong>,
  h6: ({ children }) => <strong className="markdown-head">{children}</strong>,
};

/** Markdown as elements; HTML in it is text. Loaded when something is shown that has any. */
export default function MarkdownText({ text }: { text: string }): ReactNode {
  return (
    <div className="markdown">
      <Markdown components={COMPONENTS}>{text}</Markdown>
    </div>
  );
}
