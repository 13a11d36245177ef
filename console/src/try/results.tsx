// What came back: the picture with what was found, classes as bars, tensors in numbers.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { element } from "../format";
import { boxes } from "./boxes";
import type { Answer, Output } from "./infer";

/** The elements that are shown of a tensor. */
const SHOWN = 24;

export function Results(props: { answer: Answer; picture?: { file: File; sent?: [number, number] } }) {
  const { answer, picture } = props;
  return (
    <>
      <p class="muted">
        version {answer.version || "–"} · {answer.ms.toFixed(answer.ms < 10 ? 1 : 0)} ms for the round trip
      </p>
      {picture && <Drawn answer={answer} picture={picture} />}
      {answer.outputs.map((output) => <One key={output.name} output={output} />)}
    </>
  );
}

function Drawn(props: { answer: Answer; picture: { file: File; sent?: [number, number] } }) {
  const { answer, picture } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const [count, setCount] = useState<number>();
  useEffect(() => {
    let gone = false;
    void createImageBitmap(picture.file).then((bitmap) => {
      if (gone || !canvas.current) return;
      const [width, height] = picture.sent ?? [bitmap.width, bitmap.height];
      const found = boxes(answer.outputs, bitmap, [bitmap.width / width, bitmap.height / height]);
      setCount(found.length);
      if (found.length) draw(canvas.current, bitmap, found);
    });
    return () => void (gone = true);
  }, [answer, picture]);
  return (
    <figure class="drawn" hidden={!count}>
      <canvas ref={canvas} role="img" aria-label={`The picture with ${count ?? 0} boxes`} />
      <figcaption class="muted">{count} found</figcaption>
    </figure>
  );
}

const HUES = [165, 28, 265, 205, 340, 95, 48, 300];

function draw(canvas: HTMLCanvasElement, bitmap: ImageBitmap, found: ReturnType<typeof boxes>) {
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  const context = canvas.getContext("2d")!;
  context.drawImage(bitmap, 0, 0);
  const unit = Math.max(1, Math.max(bitmap.width, bitmap.height) / 500);
  context.lineWidth = 2 * unit;
  context.font = `600 ${12 * unit}px system-ui, sans-serif`;
  const labels = [...new Set(found.map((one) => one.label))];
  for (const one of found) {
    const [left, top, right, bottom] = one.box;
    const hue = HUES[labels.indexOf(one.label) % HUES.length];
    context.strokeStyle = context.fillStyle = `hsl(${hue} 85% 45%)`;
    context.strokeRect(left, top, right - left, bottom - top);
    for (let n = 0; n + 1 < one.points.length; n += 2) {
      context.beginPath();
      context.arc(one.points[n]!, one.points[n + 1]!, 2 * unit, 0, 7);
      context.fill();
    }
    const named = labels.length > 1 || (one.label && Number.isNaN(Number(one.label))) ? one.label : undefined;
    const text = [named, one.score?.toFixed(2)].filter(Boolean).join(" ");
    if (!text) continue;
    const width = context.measureText(text).width + 8 * unit;
    const above = Math.max(0, top - 17 * unit);
    context.fillRect(left - unit, above, width, 17 * unit);
    context.fillStyle = "#fff";
    context.fillText(text, left + 3 * unit, above + 12.5 * unit);
  }
}

function One({ output }: { output: Output }) {
  const { name, datatype, shape, elements } = output;
  return (
    <article class="tensor">
      <h3>
        {name} <code>{datatype} [{shape.join(", ")}]</code>
      </h3>
      {datatype === "BYTES" ? <Strings output={output} /> : <Numbers elements={elements as (number | bigint | boolean)[]} />}
    </article>
  );
}

function Numbers({ elements }: { elements: (number | bigint | boolean)[] }) {
  const facts = useMemo(() => {
    if (elements.length < 2 || typeof elements[0] === "boolean") return "";
    let [least, most, sum] = [Infinity, -Infinity, 0];
    for (const one of elements) {
      const value = Number(one);
      least = Math.min(least, value);
      most = Math.max(most, value);
      sum += value;
    }
    return `from ${element(least)} to ${element(most)}, mean ${element(sum / elements.length)}`;
  }, [elements]);
  return (
    <>
      <p class="values">
        {elements.slice(0, SHOWN).map(element).join("  ")}
        {elements.length > SHOWN && <span class="muted"> … {elements.length} in all</span>}
      </p>
      {facts && <p class="muted">{facts}</p>}
    </>
  );
}

/** What files of pictures begin with. */
const PICTURES: [string, number[]][] = [
  ["image/jpeg", [0xff, 0xd8, 0xff]],
  ["image/png", [0x89, 0x50, 0x4e, 0x47]],
  ["image/webp", [0x52, 0x49, 0x46, 0x46]],
];

function Strings({ output }: { output: Output }) {
  const strings = output.elements as Uint8Array[];
  const texts = strings.slice(0, SHOWN).map((bytes) => new TextDecoder().decode(bytes));
  // As the classification extension writes them: score, index, label.
  const classes = texts.map((text) => text.match(/^(-?[\d.]+(?:e[-+]?\d+)?):(\d+)(?::(.*))?$/s));
  if (classes.length && classes.every((found) => found !== null)) return <Classes found={classes as RegExpMatchArray[]} />;
  return (
    <>
      {strings.slice(0, SHOWN).map((bytes, n) => {
        const type = PICTURES.find(([, magic]) => magic.every((byte, at) => bytes[at] === byte))?.[0];
        return type ? <Shown key={n} bytes={bytes} type={type} name={output.name} /> : <pre class="values" key={n}>{pretty(texts[n]!)}</pre>;
      })}
      {strings.length > SHOWN && <p class="muted">{strings.length} in all</p>}
    </>
  );
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 1).slice(0, 4000);
  } catch {
    return text.length > 4000 ? `${text.slice(0, 4000)}…` : text;
  }
}

function Shown(props: { bytes: Uint8Array; type: string; name: string }) {
  const [url, setUrl] = useState("");
  useEffect(() => {
    const made = URL.createObjectURL(new Blob([props.bytes as Uint8Array<ArrayBuffer>], { type: props.type }));
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [props.bytes]);
  return <img class="shown" src={url} alt={`Output ${props.name}`} />;
}

function Classes({ found }: { found: RegExpMatchArray[] }) {
  const most = Math.max(1e-9, ...found.map((one) => Number(one[1])));
  return (
    <div class="bars">
      {found.map(([, score, index, label]) => (
        <div class="meter class" key={index}>
          <span class="n">{element(Number(Number(score).toPrecision(3)))}</span>
          <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
            <rect class="a" width={Math.max(0.6, (Math.max(0, Number(score)) / most) * 100)} height="10" rx="1" />
          </svg>
          <span>{label || `class ${index}`}</span>
        </div>
      ))}
    </div>
  );
}
