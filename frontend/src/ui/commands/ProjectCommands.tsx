import { type ReactNode, useState } from "react";
import type { Project } from "../../core/index.ts";
import { useCommand } from "../../react/hooks.ts";
import { Dialog } from "../Dialog.tsx";
import { Announced } from "./AnnouncedCommand.tsx";
import { isForProject, useAvailable, whyNot } from "./available.ts";

/** The commands for a whole project, where its orchestrator announced any. */
export function ProjectCommands({ project, state }: { project: Project; state: string | null }): ReactNode {
  const found = useAvailable(project.id);
  const { send, sending, error } = useCommand(project.id);
  const [open, setOpen] = useState(false);
  const commands = found?.commands.filter((one) => isForProject(one, state)) ?? [];
  const why = whyNot(found);
  if (commands.length === 0) return null;
  return (
    <>
      <button type="button" className="button" onClick={() => setOpen(true)}>
        Commands
      </button>
      {open && (
        <Dialog label="Commands for the whole run" onClose={() => setOpen(false)}>
          <div className="stack dialog-body">
            <h2>Commands for the whole run</h2>
            {commands.map((one) => (
              <div key={one.name} className="row wrap">
                <Announced
                  command={one}
                  disabled={sending || why !== null}
                  onSend={(request) => void send(request).then(() => setOpen(false))}
                />
                <span className="muted grow">{one.description}</span>
              </div>
            ))}
            {why !== null && <p className="notice c-failed">{why}</p>}
            {error !== null && (
              <p className="notice c-failed" role="alert">
                {error.message}
              </p>
            )}
            <button type="button" className="button" onClick={() => setOpen(false)}>
              Close
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}
