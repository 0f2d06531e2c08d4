import { type ReactNode, useState } from "react";

interface AskFirstProps {
  readonly name: string;
  /** What is asked before it is done. */
  readonly question: string;
  readonly className?: string;
  readonly disabled?: boolean;
  readonly onYes: () => void;
}

/** A button for what cannot be taken back: it asks before it does anything. */
export function AskFirst({
  name,
  question,
  className = "button",
  disabled,
  onYes,
}: AskFirstProps): ReactNode {
  const [asking, setAsking] = useState(false);
  if (!asking) {
    return (
      <button type="button" className={className} disabled={disabled} onClick={() => setAsking(true)}>
        {name}
      </button>
    );
  }
  return (
    <span className="row wrap" role="group" aria-label={question}>
      {question}
      <button
        type="button"
        className="button danger"
        // biome-ignore lint/a11y/noAutofocus: the button that was pressed is gone; the focus goes on
        autoFocus
        onClick={() => {
          setAsking(false);
          onYes();
        }}
      >
        Yes
      </button>
      <button type="button" className="button" onClick={() => setAsking(false)}>
        No
      </button>
    </span>
  );
}
