import { type FormEvent, type ReactNode, useState } from "react";
import {
  HubError,
  isObject,
  type Outcome,
  type Prompt,
  type PromptAnswer,
  shownText,
  writeExact,
} from "../core/index.ts";
import { usePrompts } from "../react/hooks.ts";
import { SchemaField } from "./form/SchemaField.tsx";
import { initial } from "./form/schema.ts";
import { RichText } from "./RichText.tsx";
import { at, duration, useClock } from "./time.ts";
import "./prompt.css";

/** A question, and the means to answer it. */
export function PromptForm({ prompt }: { prompt: Prompt }): ReactNode {
  const { answer } = usePrompts();
  const [value, setValue] = useState<unknown>(() => initial(prompt.schema));
  const [feedback, setFeedback] = useState("");
  const [sending, setSending] = useState(false);
  const [error, setError] = useState<HubError | null>(null);
  const send = async (given: PromptAnswer) => {
    setSending(true);
    setError(null);
    try {
      await answer(
        prompt.prompt_id,
        feedback.trim() === "" ? given : { ...given, feedback: feedback.trim() },
        prompt,
      );
    } catch (reason) {
      setError(reason instanceof HubError ? reason : new HubError("internal", String(reason)));
    }
    setSending(false);
  };
  const yes = (event: FormEvent) => {
    event.preventDefault();
    void send(prompt.schema === undefined ? { proceed: true } : { proceed: true, value });
  };
  return (
    <form
      className="card prompt"
      tabIndex={-1}
      data-listed=""
      onSubmit={yes}
      aria-label={prompt.message.slice(0, 80)}
    >
      <div className="prompt-message">
        <RichText text={shownText(prompt.message)} />
      </div>
      <Deadline prompt={prompt} />
      {prompt.schema !== undefined && (
        <SchemaField
          schema={prompt.schema}
          root={prompt.schema}
          label="Value"
          required
          value={value}
          onChange={setValue}
        />
      )}
      <input
        className="input"
        placeholder="A remark (optional)"
        aria-label="A remark"
        value={feedback}
        onChange={(event) => setFeedback(event.target.value)}
      />
      <div className="row wrap">
        {(prompt.options ?? []).map((one, at) => (
          <button
            key={one.id}
            type="button"
            data-key={at + 1}
            className="button primary"
            disabled={sending}
            onClick={() => void send({ proceed: true, value: one.id })}
          >
            <bdi>{one.label}</bdi>
          </button>
        ))}
        {prompt.options === undefined && (
          <button type="submit" data-key="y" className="button primary" disabled={sending}>
            {prompt.schema === undefined ? "Yes, go on" : "Send"}
          </button>
        )}
        <button
          type="button"
          data-key="x"
          className="button"
          disabled={sending}
          onClick={() => void send({ proceed: false })}
        >
          No
        </button>
      </div>
      {error !== null && <Refusal error={error} />}
    </form>
  );
}

function Refusal({ error }: { error: HubError }): ReactNode {
  const outcome = isObject(error.details.outcome) ? (error.details.outcome as unknown as Outcome) : null;
  return (
    <p className="notice c-failed" role="alert">
      {outcome === null ? error.message : `Already answered: ${outcomeWords(outcome)}.`}
    </p>
  );
}

/** `answered yes (blue) by ada`. */
export function outcomeWords({ how, proceed, value, by, feedback }: Outcome): string {
  const said = `${proceed ? "yes" : "no"}${value === undefined ? "" : ` (${typeof value === "string" ? value : writeExact(value)})`}`;
  const remark = feedback === undefined || feedback === "" ? "" : `, “${feedback}”`;
  if (how === "cancelled") return "it was taken back";
  if (how === "timeout") return `no answer came in time, so ${said} holds`;
  return `answered ${said}${remark} by ${by ?? "a person without a token"}`;
}

function Deadline({ prompt }: { prompt: Prompt }): ReactNode {
  const left = at(prompt.deadline) - useClock();
  const otherwise = prompt.default.proceed ? "yes" : "no";
  return (
    <span className={left < 60_000 ? "badge c-failed" : "muted"}>
      {left > 0
        ? `${duration(left)} left, then “${otherwise}” holds`
        : `the time is over: “${otherwise}” holds`}
    </span>
  );
}
