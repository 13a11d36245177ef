// A line without axes, for a row of a table or a card.

export function Spark(props: { values: number[]; width?: number; height?: number; tone?: string; max?: number }) {
  const { values, width = 120, height = 28, tone = "", max } = props;
  const top = Math.max(max ?? 0, ...values, 1e-9);
  const step = values.length > 1 ? width / (values.length - 1) : width;
  const y = (value: number) => (height - 2 - (value / top) * (height - 4)).toFixed(1);
  const points = values.map((value, n) => `${(n * step).toFixed(1)},${y(value)}`);
  const line = points.length ? `M${points.join("L")}` : "";
  return (
    <svg class={`spark ${tone}`} viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" aria-hidden="true">
      {line && <path class="area" d={`${line}L${width},${height}L0,${height}Z`} />}
      {line && <path class="line" d={line} />}
    </svg>
  );
}

/** As many values as fit, each the mean of those that it stands for; the newest last, from the right end. */
export function thinned(values: number[], count: number, of = Math.max(100, values.length)): number[] {
  const padded = [...new Array<number>(Math.max(0, of - values.length)).fill(0), ...values.slice(-of)];
  const size = of / count;
  return Array.from({ length: count }, (_, n) => {
    const part = padded.slice(Math.round(n * size), Math.round((n + 1) * size));
    return part.reduce((sum, value) => sum + value, 0) / Math.max(part.length, 1);
  });
}
