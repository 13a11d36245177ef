// A chart over time.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { colour } from "./theme";

export interface Line {
  label: string;
  tone: string;
  values: (number | null)[];
  /** Filled down to the axis. */
  filled?: boolean;
  dashed?: boolean;
}

export function Plot(props: { title: string; note?: string; times: number[]; lines: Line[]; value: (v: number) => string }) {
  const { title, note, times, lines, value } = props;
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | undefined>(undefined);
  const shape = lines.map((line) => line.label).join("|");

  useEffect(() => {
    const node = place.current!;
    const make = () => {
      chart.current?.destroy();
      chart.current = new uPlot(options(node.clientWidth, lines, value), data(times, lines), node);
    };
    make();
    const resized = new ResizeObserver(() => {
      const width = node.clientWidth;
      if (chart.current && width && chart.current.width !== width) chart.current.setSize({ width, height: HEIGHT });
    });
    resized.observe(node);
    const media = matchMedia("(prefers-color-scheme: dark)");
    media.addEventListener("change", make);
    window.addEventListener("themechange", make);
    return () => {
      resized.disconnect();
      media.removeEventListener("change", make);
      window.removeEventListener("themechange", make);
      chart.current?.destroy();
      chart.current = undefined;
    };
  }, [shape]);

  useEffect(() => chart.current?.setData(data(times, lines)), [times, lines]);

  const last = (line: Line) => line.values.findLast((one) => one !== null) ?? null;
  return (
    <figure class="plot">
      <figcaption>
        <b>{title}</b>
        {note && <span class="muted">{note}</span>}
        <span class="keys">
          {lines.map((line) => (
            <span class={`key ${line.tone}${line.dashed ? " dashed" : ""}`} key={line.label}>
              {line.label} <output>{last(line) === null ? "–" : value(last(line)!)}</output>
            </span>
          ))}
        </span>
      </figcaption>
      <div ref={place} role="img" aria-label={`${title}: ${lines.map((l) => `${l.label} ${last(l) ?? "none"}`).join(", ")}`} />
    </figure>
  );
}

const HEIGHT = 150;
/** The least time that is shown, in seconds: a server that has just started would fill the chart with its first moments. */
const SHORTEST = 300;

const data = (times: number[], lines: Line[]) =>
  [times.map((ms) => ms / 1000), ...lines.map((line) => line.values)] as uPlot.AlignedData;

function options(width: number, lines: Line[], value: (v: number) => string): uPlot.Options {
  const grid = { stroke: colour("line"), width: 1 };
  const axis = { stroke: colour("muted"), font: "11px system-ui", grid, ticks: { show: false } };
  return {
    width: width || 300,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, points: { size: 6 } },
    padding: [8, 8, 0, 0],
    scales: { x: { time: true, range: (_, min, max) => [Math.min(min, max - SHORTEST), max] }, y: { range: (_, __, max) => [0, max > 0 ? max * 1.08 : 1] } },
    axes: [
      { ...axis, space: 60, size: 22, incrs: [60, 120, 300, 600], values: (_, splits) => splits.map(clock) },
      { ...axis, size: 54, space: 32, values: (_, splits) => splits.map((split) => (split ? value(split) : "0")) },
    ],
    series: [
      {},
      ...lines.map((line) => ({
        label: line.label,
        stroke: colour(line.tone),
        width: 1.5,
        fill: line.filled ? `${colour(line.tone)}22` : undefined,
        dash: line.dashed ? [4, 3] : undefined,
        points: { show: false },
        spanGaps: false,
      })),
    ],
  };
}

const clock = (seconds: number) =>
  new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
