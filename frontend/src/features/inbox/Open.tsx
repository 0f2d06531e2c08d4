import { type ReactNode, useState } from "react";
import { type Prompt, promptKey } from "../../core/index.ts";
import { usePrompts } from "../../react/hooks.ts";
import { useKey } from "../../ui/keys.ts";
import { PromptForm } from "../../ui/PromptForm.tsx";
import { count } from "../../ui/time.ts";
import { Where } from "./Where.tsx";

/** So many questions show at once what is around them; the others when they are asked to. */
const NEAR = 6;

/** Answered by yes or no alone. */
const isPlain = ({ schema, options }: Prompt) => schema === undefined && options === undefined;

function press(key: string): void {
  const within = document.activeElement?.closest(".prompt");
  within?.querySelector<HTMLElement>(`[data-key="${key}"]`)?.click();
}

/** A key of the question that has the focus. */
function AnswerKey({ name, does }: { name: string; does: string }): ReactNode {
  useKey(name, does, () => press(name));
  return null;
}

const KEYS: readonly (readonly [string, string])[] = [
  ["y", "yes to the question that has the focus"],
  ["x", "no to it"],
  ...["1", "2", "3", "4", "5"].map((one) => [one, `its option ${one}`] as const),
];

/** The open questions, each with where it comes from. */
export function Open({ prompts }: { prompts: readonly Prompt[] }): ReactNode {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [near, setNear] = useState<ReadonlySet<string>>(new Set());
  const plain = prompts.filter(isPlain);
  const several = plain.length > 1;
  const toggle = (id: string) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  return (
    <section className="stack" aria-label="Open questions">
      {KEYS.map(([name, does]) => (
        <AnswerKey key={name} name={name} does={does} />
      ))}
      {several && <Several all={plain} chosen={chosen} onChosen={setChosen} />}
      {prompts.map((one, at) => (
        <div key={promptKey(one)} className="stack inbox-one">
          <div className="row wrap">
            {several && isPlain(one) && (
              <input
                type="checkbox"
                aria-label={`Choose: ${one.message.slice(0, 60)}`}
                checked={chosen.has(promptKey(one))}
                onChange={() => toggle(promptKey(one))}
              />
            )}
            <Where prompt={one} near={at < NEAR || near.has(promptKey(one))} />
            {at >= NEAR && one.node_id !== undefined && !near.has(promptKey(one)) && (
              <button
                type="button"
                className="button"
                onClick={() => setNear(new Set(near).add(promptKey(one)))}
              >
                What is around it
              </button>
            )}
          </div>
          <PromptForm prompt={one} />
        </div>
      ))}
    </section>
  );
}

interface SeveralProps {
  readonly all: readonly Prompt[];
  readonly chosen: ReadonlySet<string>;
  readonly onChosen: (chosen: ReadonlySet<string>) => void;
}

/** The same answer to several questions. */
function Several({ all, chosen, onChosen }: SeveralProps): ReactNode {
  const { answer } = usePrompts();
  const [sending, setSending] = useState(false);
  const [failed, setFailed] = useState(0);
  const some = all.filter((one) => chosen.has(promptKey(one)));
  const send = async (proceed: boolean) => {
    setSending(true);
    let refused = 0;
    for (const one of some) {
      await answer(one.prompt_id, { proceed }, one).catch(() => {
        refused += 1;
      });
    }
    setFailed(refused);
    onChosen(new Set());
    setSending(false);
  };
  return (
    <div className="row wrap" role="group" aria-label="Several at once">
      <button
        type="button"
        className="button"
        onClick={() => onChosen(new Set(some.length === all.length ? [] : all.map(promptKey)))}
      >
        {some.length === all.length ? "Choose none" : `Choose all ${count(all.length)}`}
      </button>
      <button
        type="button"
        className="button primary"
        disabled={sending || some.length === 0}
        onClick={() => void send(true)}
      >
        Yes to {count(some.length)}
      </button>
      <button
        type="button"
        className="button"
        disabled={sending || some.length === 0}
        onClick={() => void send(false)}
      >
        No to {count(some.length)}
      </button>
      {failed > 0 && (
        <span className="muted" role="status">
          {count(failed)} were settled already, or refused.
        </span>
      )}
    </div>
  );
}
