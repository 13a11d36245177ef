// The config as it was written, with what is wrong beside its line, and as the server completed it.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Details, Finding } from "./api";

/** Places that a reason names, such as `config.pbtxt:4:17: message`. */
function told(reason: string): Finding[] {
  const found = reason.matchAll(/\.pbtxt:(\d+)(?::(\d+))?: ([^\n]*)/g);
  return [...found].map(([, line, column, message]) => ({
    error: true,
    line: Number(line),
    column: Number(column ?? 0),
    field: "",
    message: message!,
  }));
}

export function Config({ about, reason }: { about: Details; reason: string }) {
  const { written, config } = about;
  const text = written?.text;
  const [shown, setShown] = useState<"written" | "completed">(text === undefined && config ? "completed" : "written");
  const findings = useMemo(() => {
    const known = written?.findings ?? [];
    const more = told(reason).filter((one) => !known.some((other) => other.line === one.line));
    return [...known, ...more].sort((a, b) => a.line - b.line);
  }, [written, reason]);
  const nowhere = findings.filter((finding) => !finding.line);
  return (
    <section class="config">
      {nowhere.length > 0 && (
        <ul class="findings">
          {nowhere.map((finding) => <li key={finding.message}><Note finding={finding} /></li>)}
        </ul>
      )}
      <div class="bar small">
        <span class="muted path">{written?.path}</span>
        {config !== undefined && text !== undefined && (
          <span class="choice" role="group" aria-label="Which config">
            <button aria-pressed={shown === "written"} onClick={() => setShown("written")}>As written</button>
            <button aria-pressed={shown === "completed"} onClick={() => setShown("completed")}>Completed</button>
          </span>
        )}
      </div>
      {shown === "written" && text !== undefined && <Text text={text} findings={findings} />}
      {shown === "completed" && <Text text={JSON.stringify(config, null, 2)} findings={[]} />}
      {text === undefined && config === undefined && (
        <p class="muted">The model has no config file. What its file tells is shown here once it is loaded.</p>
      )}
    </section>
  );
}

function Text({ text, findings }: { text: string; findings: Finding[] }) {
  const first = useRef<HTMLDivElement>(null);
  const place = findings.find((finding) => finding.line)?.line;
  useEffect(() => first.current?.scrollIntoView({ block: "nearest" }), [place]);
  return (
    <div class="code" role="region" aria-label="Config" tabIndex={0}>
      {text.replace(/\n$/, "").split("\n").map((line, n) => {
        const here = findings.filter((finding) => finding.line === n + 1);
        const tone = here.some((finding) => finding.error) ? " bad" : here.length ? " warn" : "";
        return (
          <div class={`line${tone}`} key={n} ref={n + 1 === place ? first : undefined}>
            <span class="number">{n + 1}</span>
            <span class="text">{line.startsWith("#") || line.trimStart().startsWith("#") ? <i>{line}</i> : line || " "}</span>
            {here.map((finding) => (
              <div class="note" key={finding.message}>
                {finding.column > 0 && <span class="caret" aria-hidden="true">{" ".repeat(finding.column - 1)}↑</span>}
                <Note finding={finding} />
              </div>
            ))}
          </div>
        );
      })}
    </div>
  );
}

function Note({ finding }: { finding: Finding }) {
  return (
    <span class={finding.error ? "bad" : "warn"}>
      {finding.field && <b>{finding.field}: </b>}
      {finding.message}
      {finding.hint && <span class="hint"> → {finding.hint}</span>}
    </span>
  );
}
