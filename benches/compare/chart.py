"""The table as a picture: what a request costs, where Triton's CPU time is 1."""

from xml.sax.saxutils import escape

WIDTH, MARGIN, LABELS = 870, 24, 344
HEAD, BAR, GAP, BETWEEN = 64, 9, 3, 12
OURS, WORSE, TRITON, TEXT, FAINT = "#2f6f8f", "#b5533c", "#d9dde0", "#24292f", "#6a737d"
# Triton's bar, which is 1 long, and the longest that ours may be beside its number.
LONGEST, NUMBER = 1.15, 30
SCALE = (WIDTH - LABELS - 2 * MARGIN - NUMBER) / LONGEST


def text(x, y, content, size=12, anchor="start", colour=TEXT):
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" text-anchor="{anchor}" '
        f'fill="{colour}">{escape(content)}</text>'
    )


def bar(x, y, width, colour):
    return f'<rect x="{x:.1f}" y="{y:.0f}" width="{width:.1f}" height="{BAR}" rx="1.5" fill="{colour}"/>'


def groups(lines):
    """{(title, protocol): [(concurrency, ratio)]} of the lines that have a peer, in their order."""
    found = {}
    for line in lines:
        if peer := line["triton"]:
            ratio = line["ours"]["cpu_s_per_1000"] / peer["cpu_s_per_1000"]
            key = line["title"], line["protocol"]
            found.setdefault(key, []).append((line["concurrency"], ratio))
    return found


def group(title, protocol, bars, top):
    """A row of the table: a bar for each concurrency."""
    height = len(bars) * (BAR + GAP) - GAP
    name = f"{title}, {'gRPC' if protocol == 'grpc' else 'HTTP'}"
    yield text(MARGIN + LABELS - 44, top + height / 2 + 4, name, anchor="end")
    for n, (concurrency, ratio) in enumerate(bars):
        y = top + n * (BAR + GAP)
        left = MARGIN + LABELS
        yield text(left - 8, y + BAR - 1, str(concurrency), 9, "end", FAINT)
        yield bar(left, y, SCALE, TRITON)
        length = SCALE * min(ratio, LONGEST)
        yield bar(left, y, length, OURS if ratio <= 1 else WORSE)
        yield text(left + max(length, SCALE) + 6, y + BAR - 1, f"{ratio:.2f}", 9, colour=FAINT)


def draw(lines, machine):
    """An SVG."""
    parts, top = [], HEAD
    for (title, protocol), bars in groups(lines).items():
        parts += group(title, protocol, bars, top)
        top += len(bars) * (BAR + GAP) + BETWEEN
    height = top + MARGIN
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="Helvetica, Arial, sans-serif">',
        f'<rect width="{WIDTH}" height="{height}" rx="6" fill="#ffffff"/>',
        text(MARGIN, 28, "CPU time of the server for a request", 16),
        text(MARGIN, 46, f"hippocamp over Triton 2.51 (grey, 1), by concurrency; {machine}", 11, colour=FAINT),
    ]
    return "\n".join([*head, *parts, "</svg>"]) + "\n"
