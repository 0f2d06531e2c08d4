import type { ReactNode } from "react";
import type { Project, Travel, Travelling } from "../../core/index.ts";
import { useKey } from "../../ui/keys.ts";
import { go, withQuery } from "../../ui/location.ts";
import { More } from "../../ui/More.tsx";
import { count, full, at as timeAt } from "../../ui/time.ts";
import { type Mark, placed } from "./marks.ts";
import { TimeForm } from "./TimeForm.tsx";
import { useMarks } from "./useMarks.ts";
import { useTimes } from "./useTimes.ts";
import { useAddress } from "./useTravel.ts";

const SPEEDS = [1, 2, 5, 10, 50, 100] as const;

const end = () => go(withQuery({ at: null }));
const since = (at: number) => go(withQuery({ at: null, since: String(at) }));

interface ControlsProps {
  readonly project: Project;
  readonly travel: Travel;
  readonly now: Travelling;
}

/** The past: its position, its time, and playing from there. */
export function Controls({ project, travel, now }: ControlsProps): ReactNode {
  useAddress(travel, now.at);
  const times = useTimes(project, (seq) => void travel.seek(seq));
  const error = now.error ?? times.error;
  return (
    <section className="scrubber past" aria-label="Time travel">
      <Play travel={travel} now={now} />
      <More label="Time travel: speed and time">
        <Steps travel={travel} now={now} />
        <TimeForm
          from={timeAt(now.time ?? "")}
          label="Go to a time"
          disabled={times.looking}
          onTime={times.find}
        />
        <button type="button" className="button" onClick={() => since(now.at)}>
          Changes since
        </button>
      </More>
      <Way project={project} travel={travel} now={now} />
      <output>
        {count(now.at)} / {count(now.head)}
        {now.time !== null && <span className="muted"> · {full(timeAt(now.time))}</span>}
        {error !== null && <span> · {error.message}</span>}
      </output>
      <button type="button" className="button primary" onClick={end}>
        Back to now
      </button>
    </section>
  );
}

function Play({ travel, now }: Pick<ControlsProps, "travel" | "now">): ReactNode {
  return now.speed > 0 ? (
    <button type="button" className="button icon" onClick={() => travel.play(0)}>
      Pause
    </button>
  ) : (
    <button
      type="button"
      className="button icon"
      disabled={now.at >= now.head}
      onClick={() => travel.play(10)}
    >
      Play
    </button>
  );
}

function Steps({ travel, now }: Pick<ControlsProps, "travel" | "now">): ReactNode {
  return (
    <>
      <button
        type="button"
        className="button icon"
        aria-label="One event back"
        onClick={() => void travel.step(-1)}
      >
        ◂
      </button>
      <button
        type="button"
        className="button icon"
        aria-label="One event on"
        onClick={() => void travel.step(1)}
      >
        ▸
      </button>
      <select
        className="input"
        aria-label="Speed"
        value={now.speed || 10}
        onChange={(event) => travel.play(Number(event.target.value))}
      >
        {SPEEDS.map((one) => (
          <option key={one} value={one}>
            {one}×
          </option>
        ))}
      </select>
    </>
  );
}

/** From the beginning to now, with what failed and what was asked on the way. */
function Way({ project, travel, now }: ControlsProps): ReactNode {
  const marks = useMarks(project).filter((one) => one.seq >= now.oldest);
  const before = marks.findLast((one) => one.seq < now.at);
  const after = marks.find((one) => one.seq > now.at);
  const to = (mark: Mark | undefined) => (mark === undefined ? null : () => void travel.seek(mark.seq));
  useKey("[", "the failure or question before", to(before));
  useKey("]", "the next failure or question", to(after));
  return (
    <>
      <ToMark to={to(before)} label="The failure or question before" sign="⇤" />
      <span className="scrubber-way">
        <span className="scrubber-marks" aria-hidden="true">
          {placed(marks, now.oldest, now.head).map(({ seq, kind, at }) => (
            <i key={seq} className={`c-${kind}`} style={{ insetInlineStart: `${at}%` }} />
          ))}
        </span>
        <input
          type="range"
          min={now.oldest}
          max={now.head}
          value={now.at}
          aria-label="Position"
          aria-valuetext={`event ${now.at} of ${now.head}`}
          onChange={(event) => void travel.seek(Number(event.target.value))}
        />
      </span>
      <ToMark to={to(after)} label="The next failure or question" sign="⇥" />
    </>
  );
}

interface ToMarkProps {
  readonly to: (() => void) | null;
  readonly label: string;
  readonly sign: string;
}

function ToMark({ to, label, sign }: ToMarkProps): ReactNode {
  return (
    <button
      type="button"
      className="button icon"
      aria-label={label}
      title={label}
      disabled={to === null}
      onClick={() => to?.()}
    >
      {sign}
    </button>
  );
}
