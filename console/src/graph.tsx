// The ensemble as a graph, with the time of each step.

import { useEffect, useState } from "preact/hooks";
import type { Details, Step } from "./api";
import { number, share, time } from "./format";
import { type Box, layout } from "./layout";

const WIDTH = 226;
const HEIGHT = 84;
/** Of the boxes at both ends. */
const END = 92;
const GAP = 80;

/** Whether there is room for layers beside each other. */
function useWide(): boolean {
  const query = "(min-width: 760px)";
  const [wide, setWide] = useState(matchMedia(query).matches);
  useEffect(() => {
    const media = matchMedia(query);
    const changed = () => setWide(media.matches);
    media.addEventListener("change", changed);
    return () => media.removeEventListener("change", changed);
  }, []);
  return wide;
}

const mean = (step: Step) => step.spent.reduce((all, us) => all + us, 0) / Math.max(step.requests, 1);

export function Graph({ about }: { about: Details }) {
  const wide = useWide();
  const { boxes, edges, layers, rows } = layout(about);
  const all = (about.steps ?? []).reduce((sum, step) => sum + mean(step), 0);
  const down = HEIGHT + (wide ? 30 : 46);
  const across = WIDTH + 24;
  // Edges that pass boxes by go around them, which takes room.
  const longest = Math.max(1, ...edges.map((edge) => span(boxes, edge.from, edge.to)));
  const around = longest > 1 ? 46 : 0;
  const size = wide
    ? [2 * END + (layers - 2) * WIDTH + (layers - 1) * GAP + 4, rows * down + around]
    : [rows * across + around, layers * down - 46 + 8];
  const place = (box: Box): Place => {
    const count = boxes.filter((other) => other.layer === box.layer).length;
    const row = box.row + (rows - count) / 2;
    const width = box.step ? WIDTH : END;
    if (!wide) return { x: row * across + 2 + (WIDTH - width) / 2, y: box.layer * down + 4, width };
    const x = box.layer ? END + GAP + (box.layer - 1) * (WIDTH + GAP) : 0;
    return { x: x + 2, y: row * down + 4, width };
  };
  const at = new Map(boxes.map((box) => [box.id, place(box)]));
  return (
    <section>
      <p class="muted">
        {all > 0
          ? "The mean time of a request in each step over the last minute, waiting included, and its share of all steps. Steps that others use as well count their requests, too."
          : "Times appear once requests have gone through the steps."}
      </p>
      <div class="scroll">
        <svg class="graph" width={size[0]} height={size[1]} viewBox={`0 0 ${size[0]} ${size[1]}`} role="img" aria-label={`Steps of ${about.name}`}>
          <defs>
            <marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
              <path d="M0 0 8 4 0 8z" />
            </marker>
          </defs>
          {edges.map((edge) => {
            const passes = span(boxes, edge.from, edge.to) > 1;
            const line = way(at.get(edge.from)!, at.get(edge.to)!, wide, passes);
            return (
              <g class="edge" key={`${edge.from}>${edge.to}`}>
                <path d={line.path} marker-end="url(#tip)" />
                <text x={line.x} y={line.y} text-anchor={line.anchor} transform={line.turned ? `rotate(90 ${line.x} ${line.y})` : undefined}>
                  {label(edge.tensors, passes || !wide ? 34 : 14)}
                  <title>{edge.tensors.join(", ")}</title>
                </text>
              </g>
            );
          })}
          {boxes.map((box) => {
            const { x, y, width } = at.get(box.id)!;
            return box.step ? (
              <StepBox key={box.id} step={box.step} x={x} y={y} share={all > 0 ? mean(box.step) / all : 0} />
            ) : (
              <g class="end" key={box.id} transform={`translate(${x},${y})`}>
                <rect y={HEIGHT / 2 - 16} width={width} height={32} rx={16} />
                <text x={width / 2} y={HEIGHT / 2 + 4} text-anchor="middle">{box.kind}</text>
              </g>
            );
          })}
        </svg>
      </div>
    </section>
  );
}

interface Place {
  x: number;
  y: number;
  width: number;
}

/** How many layers an edge crosses. */
function span(boxes: Box[], from: string, to: string): number {
  const layer = (id: string) => boxes.find((box) => box.id === id)!.layer;
  return layer(to) - layer(from);
}

/** The line of an edge, and the place of its text. Those that pass boxes by go below them, or beside them. */
function way(from: Place, to: Place, wide: boolean, passes: boolean) {
  if (wide) {
    const [x, y, u, v] = [from.x + from.width, from.y + HEIGHT / 2, to.x - 2, to.y + HEIGHT / 2];
    const below = Math.max(y, v) + HEIGHT / 2 + 26;
    const path = passes
      ? `M${x},${y}C${x + 46},${y} ${x + 8},${below} ${x + 70},${below}L${u - 70},${below}C${u - 8},${below} ${u - 46},${v} ${u},${v}`
      : `M${x},${y}C${(x + u) / 2},${y} ${(x + u) / 2},${v} ${u},${v}`;
    return { path, x: (x + u) / 2, y: passes ? below - 6 : (y + v) / 2 - 7, anchor: "middle" as const, turned: false };
  }
  const inset = (place: Place) => (place.width === END ? HEIGHT / 2 - 16 : 0);
  const [x, y] = [from.x + from.width / 2, from.y + HEIGHT - inset(from)];
  const [u, v] = [to.x + to.width / 2, to.y + inset(to) - 2];
  const beside = Math.max(x, u) + WIDTH / 2 + 26;
  const path = passes
    ? `M${x},${y}C${x},${y + 30} ${beside},${y - 4} ${beside},${y + 50}L${beside},${v - 50}C${beside},${v + 4} ${u},${v - 30} ${u},${v}`
    : `M${x},${y}C${x},${(y + v) / 2} ${u},${(y + v) / 2} ${u},${v}`;
  const text = passes ? { x: beside + 6, y: (y + v) / 2 } : { x: (x + u) / 2 + 8, y: (y + v) / 2 + 4 };
  return { path, ...text, anchor: passes ? ("middle" as const) : ("start" as const), turned: passes };
}

/** The names of tensors, or the first one and how many more there are. */
function label(tensors: string[], most: number): string {
  const all = tensors.join(", ");
  if (all.length <= most || tensors.length === 1) return clipped(all, most);
  return `${clipped(tensors[0]!, most - 3)} +${tensors.length - 1}`;
}

const clipped = (text: string, most: number) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

function StepBox(props: { step: Step; x: number; y: number; share: number }) {
  const { step, x, y } = props;
  const count = Math.max(step.requests, 1);
  const [queue, input, infer, output] = step.spent.map((us) => us / count) as [number, number, number, number];
  const known = step.requests > 0;
  return (
    <a class="step" href={`#/model/${encodeURIComponent(step.model)}`} aria-label={`${step.model}: ${known ? `${time(mean(step))}, ${share(props.share)}` : "no requests yet"}`}>
      <g transform={`translate(${x},${y})`}>
        {step.each.length > 0 && <rect class="back" x={5} y={5} width={WIDTH} height={HEIGHT} rx={8} />}
        <rect class="back" width={WIDTH} height={HEIGHT} rx={8} />
        <text class="title" x={12} y={24}>{clipped(step.model, step.each.length ? 15 : 26)}</text>
        {step.each.length > 0 && (
          <text class="muted" x={WIDTH - 12} y={24} text-anchor="end">each of {clipped(step.each.join(", "), 10)}</text>
        )}
        <text class="muted" x={12} y={44}>
          {known ? `${time(mean(step))}, waiting ${time(queue)}` : "no requests yet"}
        </text>
        {known && <text class="muted" x={WIDTH - 12} y={44} text-anchor="end">{share(props.share)}</text>}
        <rect class="rail" x={12} y={HEIGHT - 22} width={WIDTH - 24} height={8} rx={4} />
        <rect class="share" x={12} y={HEIGHT - 22} width={(WIDTH - 24) * props.share} height={8} rx={4} />
        <title>
          {known
            ? `${number(step.requests)} requests; in ${time(input)}, infer ${time(infer)}, out ${time(output)}`
            : step.model}
        </title>
      </g>
    </a>
  );
}
